"""Asks a running TensorFlow Serving by its REST interface; needs no TensorFlow."""

import base64
import http.client
import json
import pathlib
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

import numpy as np

from t2t_multimodel.data import sound_files
from t2t_multimodel.errors import UserError, unknown

DEFAULT_SIGNATURE = "serving_default"
_IMAGE_BEGINNINGS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


class ServingClient:
    """An export of ours behind a server.

    Args:
        server: `host:port` of the REST interface, or its `http://` address.
        model: Name of the model, as the server has it.
        timeout_seconds: How long to wait for an answer.
    """

    def __init__(self, server: str, model: str, timeout_seconds: float) -> None:
        self.model = model
        self.timeout_seconds = timeout_seconds
        self._server = server if "://" in server else f"http://{server}"
        self._server = self._server.rstrip("/")

    def inputs(self, signature: str) -> list[str]:
        """Returns the names of a signature's inputs.

        Raises:
            UserError: If the server cannot be asked or has no such signature.
        """
        metadata = self._ask("/metadata")
        try:
            signatures = metadata["metadata"]["signature_def"]["signature_def"]
            if signature in signatures:
                return sorted(signatures[signature]["inputs"])
        except (KeyError, TypeError):
            raise self._no_server("its metadata lists no signatures") from None
        names = [name for name in signatures if not name.startswith("__")]
        raise UserError(unknown(f"problem of {self.model}", signature, names))

    def predict(self, signature: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the outputs of a batch by their names, lists of B.

        Args:
            signature: Name of the signature.
            inputs: Lists of B by name, as JSON can write them.

        Raises:
            UserError: If the server cannot be asked or refuses the inputs.
        """
        answer = self._ask(":predict", {"signature_name": signature, "inputs": inputs})
        outputs = answer.get("outputs") if isinstance(answer, dict) else None
        if not isinstance(outputs, dict):
            raise self._no_server("its answer holds no named outputs")
        return outputs

    def _ask(self, what: str, body: Mapping[str, Any] | None = None) -> Any:
        url = f"{self._server}/v1/models/{urllib.parse.quote(self.model, safe='')}"
        data = None if body is None else json.dumps(body).encode()
        try:
            request = urllib.request.Request(
                url + what, data, {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(
                request, timeout=self.timeout_seconds
            ) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise self._refused(error) from None
        except TimeoutError:
            raise self._late() from None
        except urllib.error.URLError as error:
            if isinstance(error.reason, TimeoutError):
                raise self._late() from None
            reason = getattr(error.reason, "strerror", None) or error.reason
            raise UserError(
                f"cannot reach {self._server}: {reason}; give the REST address of a "
                "running TensorFlow Serving as --server=host:port"
            ) from None
        except OSError as error:  # cut off in the middle of an answer
            raise UserError(f"{self._server} broke off: {error}; try again") from None
        except (ValueError, http.client.HTTPException) as error:  # no address, no JSON
            raise self._no_server(str(error)) from None

    def _refused(self, error: urllib.error.HTTPError) -> UserError:
        text = error.read().decode(errors="replace")
        try:
            said = str(json.loads(text)["error"])
        except (ValueError, KeyError, TypeError):
            return self._no_server(f"HTTP status {error.code}")
        if error.code == 404:
            return UserError(
                f"{self._server} serves no model {self.model!r} ({said}); give its "
                "name as --servable_name"
            )
        return UserError(f"{self._server} refuses the input: {said}")

    def _late(self) -> UserError:
        return UserError(
            f"{self._server} gave no answer within {self.timeout_seconds:g} s; give a "
            "longer --timeout_secs"
        )

    def _no_server(self, why: str) -> UserError:
        return UserError(
            f"{self._server} does not answer as TensorFlow Serving with an export of "
            f"t2t-mm-exporter does: {why}; give the server's REST address as --server"
        )


def request_inputs(names: list[str], line: str, sample_rate_hz: int) -> dict[str, Any]:
    """Returns a batch of one for `ServingClient.predict`.

    Args:
        names: Of the signature's inputs; they tell what it takes.
        line: A text, or the path of a picture (PNG, JPEG) or a sound that `sound_files`
            reads.
        sample_rate_hz: Of the sounds that the problem was trained with.

    Raises:
        UserError: If the file cannot be read, or the signature is none of ours.
    """
    if names == ["text"]:
        return {"text": [line]}
    if names == ["image"]:
        return {"image": [{"b64": base64.b64encode(_read_image(line)).decode()}]}
    if names == ["num_samples", "waveform"]:
        samples = _read_sound(line, sample_rate_hz)
        return {"waveform": [samples.tolist()], "num_samples": [len(samples)]}
    raise UserError(
        f"the signature takes {', '.join(names)}, which no export of t2t-mm-exporter "
        "does; give another --problem"
    )


def readable(outputs: Mapping[str, Any]) -> list[str]:
    """Returns the lines to show of a batch of one.

    A text; several texts each after its score; or classes after their probabilities.
    """
    if "labels" in outputs:
        pairs = zip(outputs["probabilities"][0], outputs["labels"][0], strict=True)
        return [f"{probability:7.2%}  {label}" for probability, label in pairs]
    texts, scores = outputs["outputs"][0], outputs["scores"][0]
    if isinstance(texts, str):
        return [texts]
    return [f"{score:.4f}\t{text}" for score, text in zip(scores, texts, strict=True)]


def _read_image(path: str) -> bytes:
    try:
        content = _path(path).read_bytes()
    except OSError as error:
        raise UserError(f"cannot read image {path}: {error.strerror}") from None
    if not content.startswith(_IMAGE_BEGINNINGS):
        raise UserError(f"image {path} is neither PNG nor JPEG; convert it")
    return content


def _read_sound(path: str, sample_rate_hz: int) -> np.ndarray:
    waveform, rate = sound_files.read_sound(_path(path))
    if rate != sample_rate_hz:
        raise UserError(
            f"{path} has {rate} samples a second; expected {sample_rate_hz}: convert "
            f"it with: sox {path} -r {sample_rate_hz} converted.wav, or give the rate "
            "of the problem as --sample_rate"
        )
    return waveform


def _path(path: str) -> pathlib.Path:
    if "\0" in path:  # else a ValueError of the operating system's
        raise UserError(f"{path!r} is not the path of a file")
    return pathlib.Path(path).expanduser()
