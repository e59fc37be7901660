"""The BLEU program, from the command line to what it prints."""

import subprocess
import sys

import pytest
import sacrebleu

from t2t_multimodel.bin.t2t_mm_bleu import main
from t2t_multimodel.training import t2t_bleu

WANTED = ["The cat sat on the mat .", "a dog ran after the red cat , quickly ."]
DECODED = ["the cat sat on a mat .", "a dog ran after the red cat ."]


@pytest.fixture
def files(tmp_path):
    for name, lines in (("wanted", WANTED), ("decoded", DECODED)):
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def flags_of(folder):
    return [f"--translation={folder}/decoded", f"--reference={folder}/wanted"]


def t2t(lowercase):
    def words(lines):
        return [t2t_bleu.tokenize(s.lower() if lowercase else s) for s in lines]

    return 100 * t2t_bleu.corpus_bleu(words(WANTED), words(DECODED))


def test_both_scores_are_printed_with_what_they_depend_on(files, capsys):
    assert main(flags_of(files)) == 0
    first, second, third = capsys.readouterr().out.splitlines()
    expected = sacrebleu.metrics.BLEU(force=True).corpus_score(DECODED, [WANTED])
    assert first.startswith(f"sacreBLEU        {expected.score:6.2f}   nrefs:1|case:")
    assert f"version:{sacrebleu.__version__}" in first
    assert second.split()[:3] == ["T2T", "BLEU", f"{t2t(False):.2f}"]
    assert third.split()[:3] == ["T2T", "BLEU_uncased", f"{t2t(True):.2f}"]
    assert t2t(True) > t2t(False)


@pytest.mark.parametrize("variant,names", [("cased", "BLEU"), ("uncased", "uncased")])
def test_one_variant_may_be_chosen(files, capsys, variant, names):
    assert main([*flags_of(files), f"--bleu_variant={variant}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and names in lines[1]


def test_several_references_count_for_sacrebleu(files, capsys):
    other = files / "other"
    other.write_text("\n".join(DECODED))
    assert main([*flags_of(files), f"--reference={other}"]) == 0
    assert capsys.readouterr().out.split()[:2] == ["sacreBLEU", "100.00"]


@pytest.mark.parametrize(
    "content,flag,message",
    [
        (b"one line\n", [], "decoded has 2 lines, "),
        (b"", [], " 0; give files that match line by line"),
        (b"\xff\n\n", [], "is not UTF-8 at byte 0"),
        (None, [], "No such file"),
        (b"", ["--bleu_variant=all"], "bleu_variant"),
    ],
)
def test_mistakes_are_answered_with_one_line(files, capsys, content, flag, message):
    (files / "wanted").unlink()
    if content is not None:
        (files / "wanted").write_bytes(content)
    assert main([*flags_of(files), *flag]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("t2t-mm-bleu: ") and printed.err.count("\n") == 1
    assert message in printed.err


def test_both_files_must_be_given(files, capsys):
    assert main([]) == 2
    assert "--translation is missing" in capsys.readouterr().err
    assert main(flags_of(files)[:1]) == 2
    assert "--reference is missing" in capsys.readouterr().err


def test_scores_are_printed_without_tensorflow(files):
    code = (
        "import sys\n"
        "from t2t_multimodel.bin.t2t_mm_bleu import main\n"
        f"status = main({flags_of(files)!r})\n"
        "sys.exit(status or 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
