"""The query program against a server that answers as TensorFlow Serving does."""

import base64
import http.server
import io
import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from t2t_multimodel.bin.t2t_mm_query import main
from tests.data import sound_bytes

PNG = b"\x89PNG\r\n\x1a\n and so on"


def tensors(**dtypes):
    return {name: {"dtype": dtype} for name, dtype in dtypes.items()}


SIGNATURES = {
    "translate": {"inputs": tensors(text="DT_STRING")},
    "look": {"inputs": tensors(image="DT_STRING")},
    "listen": {"inputs": tensors(waveform="DT_FLOAT", num_samples="DT_INT32")},
    "other": {"inputs": tensors(x="DT_FLOAT")},
    "__saved_model_init_op": {"inputs": {}},
}
SIGNATURES["serving_default"] = SIGNATURES["translate"]


class Serving(http.server.BaseHTTPRequestHandler):
    """Serves the model `mini`; keeps the requests."""

    requests: list = []

    def do_GET(self):
        if self.path.startswith("/v1/models/slow"):
            time.sleep(0.5)
        if self.path.startswith("/v1/models/page"):
            return self.reply(200, b"<html>")
        if self.path != "/v1/models/mini/metadata":
            return self.fail(404, "Could not find any versions of model no")
        metadata = {"signature_def": {"signature_def": SIGNATURES}}
        return self.reply(200, json.dumps({"metadata": metadata}).encode())

    def do_POST(self):
        assert self.path == "/v1/models/mini:predict"
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.requests.append(body)
        (first, *_) = body["inputs"].values()
        if body["signature_name"] == "look":
            outputs = {
                "labels": [["circle", "square"]],
                "probabilities": [[0.9, 0.1]],
                "classes": [[3, 1]],
            }
        elif first == ["beams"]:
            outputs = {"outputs": [["un", "une"]], "scores": [[-0.5, -1.25]]}
        elif first == ["bad"]:
            return self.fail(400, "assertion failed")
        else:
            outputs = {"outputs": [f"Ü {first}"[:20]], "scores": [-0.5]}
        return self.reply(200, json.dumps({"outputs": outputs}).encode())

    def fail(self, status, message):
        self.reply(status, json.dumps({"error": message}).encode())

    def reply(self, status, content):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Serving) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{serving.server_address[1]}"
        serving.shutdown()


@pytest.fixture
def query(server, capsys):
    """Returns a function: flags to exit status, standard output and error."""
    Serving.requests.clear()

    def query(*flags):
        status = main([f"--server={server}", "--servable_name=mini", *flags])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return query


def write_wav(path, samples, **more):
    path.write_bytes(sound_bytes.wav(np.asarray(samples, "<i2").tobytes(), **more))


def test_help_and_sounds_do_without_tensorflow(tmp_path):
    code = (
        "import sys\n"
        "from t2t_multimodel.bin.t2t_mm_query import main\n"
        "from t2t_multimodel.export.serving_client import request_inputs\n"
        "status = main(['--help'])\n"
        "request_inputs(['num_samples', 'waveform'], sys.argv[1], 16000)\n"
        "sys.exit(status or 'tensorflow' in sys.modules)"
    )
    path = tmp_path / "a.wav"
    write_wav(path, [1, 2])
    command = [sys.executable, "-c", code, path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--timeout_secs" in done.stdout


def test_a_text_is_sent_and_its_answer_shown(query):
    assert query("--inputs_once=das größte") == (0, "Ü ['das größte']\n", "")
    assert Serving.requests == [
        {"signature_name": "serving_default", "inputs": {"text": ["das größte"]}}
    ]


def test_all_beams_are_shown_after_their_scores(query):
    status, out, _ = query("--inputs_once=beams", "--problem=translate")
    assert (status, out) == (0, "-0.5000\tun\n-1.2500\tune\n")


def test_an_image_is_sent_as_base64(query, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    status, out, _ = query("--problem=look", f"--inputs_once={path}")
    assert (status, out) == (0, " 90.00%  circle\n 10.00%  square\n")
    (request,) = Serving.requests
    ((image,),) = request["inputs"].values()
    assert base64.b64decode(image["b64"]) == PNG


def test_a_sound_is_sent_as_samples_with_their_number(query, tmp_path):
    path = tmp_path / "a.wav"
    write_wav(path, [0, 16384, -32768, 100])
    assert query("--problem=listen", f"--inputs_once={path}")[0] == 0
    write_wav(path, [[8192, 0], [-16384, 16384]], rate=8000, channels=2)
    flags = ("--problem=listen", "--sample_rate=8000", f"--inputs_once={path}")
    assert query(*flags)[0] == 0
    assert [request["inputs"] for request in Serving.requests] == [
        {"waveform": [[0.0, 0.5, -1.0, 100 / 2**15]], "num_samples": [4]},
        {"waveform": [[0.125, 0.0]], "num_samples": [2]},
    ]


@pytest.mark.parametrize(
    "name,data",
    [
        ("a.sph", sound_bytes.sphere([8192, -16384])),
        ("a.wav", sound_bytes.wav(bytes([160, 64]), width=1)),
    ],
    ids=["sphere", "8-bit"],
)
def test_sounds_of_other_encodings_are_sent(query, tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    assert query("--problem=listen", f"--inputs_once={tmp_path / name}")[0] == 0
    (request,) = Serving.requests
    assert request["inputs"] == {"waveform": [[0.25, -0.5]], "num_samples": [2]}


def test_lines_are_answered_until_q(query, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("eins\n\nbad\nzwei\nq\ndrei\n"))
    status, out, err = query()
    assert status == 1
    assert out == "Ü ['eins']\nÜ ['zwei']\n"
    assert err.endswith("refuses the input: assertion failed\n")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "flags,message",
    [
        (["--servable_name="], "--servable_name is missing"),
        (["--servable_name=no"], "serves no model 'no' (Could not find any versions"),
        (["--servable_name=page"], "does not answer as TensorFlow Serving"),
        (["--servable_name=slow", "--timeout_secs=0.1"], "no answer within 0.1 s"),
        (["--problem=lok"], "no problem of mini named 'lok'; did you mean 'look'?"),
        (["--problem=other"], "the signature takes x, which no export of"),
        (["--problem=look"], "cannot read image x: No such file"),
        (["--problem=look", f"--inputs_once={__file__}"], "is neither PNG nor JPEG"),
        (["--problem=listen"], "cannot read sound x: No such file"),
        (
            ["--problem=listen", f"--inputs_once={__file__}"],
            "is neither WAV nor SPHERE",
        ),
        (["--problem=listen", "--inputs_once=a\0b"], "is not the path of a file"),
        (["--inputs_once=bad"], "refuses the input: assertion failed"),
        (["--server=127.0.0.1:1"], "cannot reach http://127.0.0.1:1: "),
        (["--server=::x"], "give the"),
        (["--timeout_secs=0"], "timeout_secs"),
    ],
)
def test_mistakes_are_answered_with_one_line(query, flags, message):
    status, out, err = query("--inputs_once=x", *flags)
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("t2t-mm-query: ")
    assert message in line


def test_sounds_of_another_rate_or_none_are_refused(query, tmp_path):
    path = tmp_path / "a.wav"
    write_wav(path, [1, 2], rate=8000)
    status, _, err = query("--problem=listen", f"--inputs_once={path}")
    assert status == 2
    assert "8000 samples a second; expected 16000" in err and "sox" in err
    write_wav(path, [])
    status, _, err = query("--problem=listen", f"--inputs_once={path}")
    assert (status, err) == (2, f"t2t-mm-query: {path} holds no samples\n")
