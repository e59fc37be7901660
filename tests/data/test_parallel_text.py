"""Parallel texts in every official form, and what is wrong with them told exactly."""

import gzip
import pathlib

import pytest

from t2t_multimodel.data import parallel_text, sgml
from t2t_multimodel.data.parallel_text import ParallelText
from t2t_multimodel.errors import UserError

SHARED = pathlib.Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def write(tmp_path):
    """Returns a function that writes a file, packed if its name ends in .gz."""

    def make(name, text):
        data = text if isinstance(text, bytes) else text.encode()
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return make


def pairs(text):
    return [row.texts for row in text.read() if not row.fault]


def faults(text):
    return [(row.place, row.fault) for row in text.read() if row.fault]


def test_lines_belong_together_by_number_and_are_stripped(write):
    text = ParallelText(
        write("a.en", "\ufeffOne \r\nTwo\u2028halves\n"),
        write("a.de.gz", "  Eins\nZwei"),
    )
    assert pairs(text) == [("One", "Eins"), ("Two\u2028halves", "Zwei")]
    assert [row.place.rsplit("/")[-1] for row in text.read()] == ["a.en:1", "a.en:2"]
    assert text.count() == 2


def test_a_pair_that_cannot_be_used_is_told_and_the_next_ones_are_read(write):
    text = ParallelText(
        write("a.en", "one\n \n\nfour\nfive\n"),
        write("a.de", b"eins\nzwei\n\nvier \xfcber\nf\xc3\xbcnf\n"),
    )
    assert pairs(text) == [("one", "eins"), ("five", "fünf")]
    en, de = text.paths
    assert faults(text) == [
        (f"{en}:2", "one side is empty"),
        (f"{en}:3", "both sides are empty"),
        (f"{de}:4", "not UTF-8 at byte 5 of the line"),
    ]
    assert text.count() == 5


@pytest.mark.parametrize("longer", ["a.en", "a.de"])
def test_different_line_counts(write, longer):
    files = {"a.en": "1\n2\n3\n", "a.de": "1\n2\n3\n"}
    files[longer] += "4\n"
    text = ParallelText(*(write(name, lines) for name, lines in files.items()))
    shorter = {"a.en": "a.de", "a.de": "a.en"}[longer]
    with pytest.raises(UserError, match=f"{shorter} ends after line 3, .*{longer} goe"):
        pairs(text)


def test_files_that_cannot_be_read(write, tmp_path):
    lines = "".join(f"line {number * 7919}\n" for number in range(2000))
    whole, packed = write("a.en", lines), write("a.de.gz", lines)
    packed.write_bytes(packed.read_bytes()[:-2000])
    with pytest.raises(UserError, match=r"a.de.gz is cut off after line 1\d\d\d; get"):
        pairs(ParallelText(whole, packed))
    data = bytearray(write("a.de.gz", lines).read_bytes())
    data[300:400] = bytes(100)
    packed.write_bytes(data)
    with pytest.raises(UserError, match="a.de.gz (is broken after|.*CRC)"):
        pairs(ParallelText(whole, packed))
    packed.write_text(lines)
    with pytest.raises(UserError, match="cannot read .*a.de.gz: Not a gzipped file"):
        ParallelText(packed, whole).count()
    with pytest.raises(UserError, match="cannot read .*none: No such file"):
        pairs(ParallelText(whole, tmp_path / "none"))
    with pytest.raises(UserError, match="cannot read .*: Is a directory"):
        pairs(ParallelText(whole, tmp_path))


def test_columns_of_a_table_by_number_and_by_name(write):
    by_number = ParallelText(
        write("a.tsv", 'Go.\tGeh!\tCC-BY\n"Stop\tHalt\n\tleer\nalone\n'),
        columns=(2, 1),
    )
    assert pairs(by_number) == [("Geh!", "Go."), ("Halt", '"Stop')]
    assert [fault for _, fault in faults(by_number)] == [
        "one side is empty",
        "the line has 1 column; column 2 is wanted",
    ]
    by_name = ParallelText(
        write("a.csv.gz", 'id,en,de\n1,"One, two","Eins\nzwei"\n2,Three,Drei\n'),
        columns=("en", "de"),
    )
    assert pairs(by_name) == [("One, two", "Eins\nzwei"), ("Three", "Drei")]
    assert [row.place[-2:] for row in by_name.read()] == [":2", ":4"]
    assert (by_number.count(), by_name.count()) == (4, 2)
    with pytest.raises(UserError, match="no column named 'ed'; known: de, en, id"):
        pairs(ParallelText(by_name.first, columns=("en", "ed")))


def test_a_broken_table(write):
    quoted = ParallelText(write("a.csv", 'a,b\nc,"d\ne,f\n'))
    with pytest.raises(UserError, match="a.csv:2: no CSV"):
        pairs(quoted)
    encoded = ParallelText(write("b.csv", b"a,b\n\xe4,c\nd,e\n"))
    assert pairs(encoded) == [("a", "b"), ("d", "e")]
    assert faults(encoded) == [(f"{encoded.first}:2", "not UTF-8")]
    with pytest.raises(UserError, match="c.csv is empty"):
        pairs(ParallelText(write("c.csv", ""), columns=("en", "de")))


SOURCE = """<srcset setid="x" srclang="any">
<doc docid="one" genre="news">
<p>
<seg id="1">Tom &amp; R&D &lt;3 &#8364;5</seg>
<seg id="2"> two
lines </seg>
</p></doc>
<DOC docid="two"><hl><seg id="1">S&P</seg></hl></DOC>
</srcset>
"""
REFERENCE = """<?xml version="1.0"?>
<refset setid="x" srclang="any" trglang="de">
<doc sysid="ref" docid="two">
<seg id="1">vier</seg>
</doc><doc docid="one"><seg id="2">zwei</seg>
<seg id='1'>eins</seg></doc></refset>
"""


def test_segments_belong_together_by_document_and_number(write):
    text = ParallelText(
        write("t-src.en.sgm", SOURCE), write("t-ref.de.sgm.gz", REFERENCE)
    )
    assert pairs(text) == [
        ("Tom & R&D <3 €5", "eins"),
        ("two lines", "zwei"),
        ("S&P", "vier"),
    ]
    assert [row.place.rpartition(":")[2] for row in text.read()] == ["4", "5", "8"]
    assert text.count() == 3


@pytest.mark.parametrize(
    "old, new, message",
    [
        (
            '<seg id="2">zwei</seg>\n',
            "",
            "src.sgm:5: segment '2' of document 'one' is ",
        ),
        ("'1'", "'3'", "ref.sgm:6: segment '3' of document 'one' is not in .*src.sgm"),
        ("'1'", "'2'", "ref.sgm:6: segment '2' of document 'one' stands at .*sgm:5 al"),
        ("zwei</seg>", "zwei", "ref.sgm:5: the segment does not end with </seg>"),
        ("eins</seg></doc></refset>\n", "ei", "ref.sgm is cut off after .*ref.sgm:6"),
        ("</refset>", "", "ref.sgm is cut off after .*ref.sgm:6"),
        ("id='1'", "", "ref.sgm:6: the segment has no id"),
        ("<seg id='1'>", "", "ref.sgm:6: </seg> without <seg>"),
        ("zwei", "zw\udce9i", "ref.sgm:5: not UTF-8 at byte 37"),
    ],
)
def test_segments_that_do_not_match(write, old, new, message):
    assert old in REFERENCE
    reference = REFERENCE.replace(old, new).encode(errors="surrogateescape")
    text = ParallelText(write("src.sgm", SOURCE), write("ref.sgm", reference))
    with pytest.raises(UserError, match=message):
        pairs(text)


def test_a_file_without_segments(write):
    with pytest.raises(UserError, match="plain.sgm has no <seg> in it"):
        sgml.read_segments(write("plain.sgm", "one\ntwo\n"))


def test_the_files_of_a_folder_find_their_partners(write, tmp_path):
    for name in (
        "europarl-v7.de-en.en",
        "europarl-v7.de-en.de",
        "commoncrawl.de.gz",
        "commoncrawl.en",
        "old/newstest2013-src.en.sgm",
        "old/newstest2013-ref.de.sgm",
        "old/newstest2013.en",
        "old/newstest2013.de",
        "newstest2014-deen-src.en.sgm",
        "newstest2014-deen-ref.en.sgm",
        "newstest2014-deen-src.de.sgm",
        "newstest2014-deen-ref.de.sgm",
        "newstest2021.en-de.src.en",
        "newstest2021.en-de.ref.A.de",
        "newstest2021.en-de.ref.B.de",
        "news-commentary-v14.de-en.tsv.gz",
        "README.md",
        ".hidden",
    ):
        write(f"wmt/{name}", "x\n")
    found = parallel_text.find(tmp_path / "wmt", "en", "de")
    assert [tuple(path.name for path in text.paths) for text in found] == [
        ("commoncrawl.en", "commoncrawl.de.gz"),
        ("europarl-v7.de-en.en", "europarl-v7.de-en.de"),
        ("news-commentary-v14.de-en.tsv.gz",),
        ("newstest2014-deen-src.en.sgm", "newstest2014-deen-ref.de.sgm"),
        ("newstest2021.en-de.src.en", "newstest2021.en-de.ref.A.de"),
        ("newstest2013-src.en.sgm", "newstest2013-ref.de.sgm"),
        ("newstest2013.en", "newstest2013.de"),
    ]
    assert found[2].columns == (2, 1)
    back = parallel_text.find(tmp_path / "wmt", "de", "en")
    assert [path.name for path in back[3].paths] == [
        "newstest2014-deen-src.de.sgm",
        "newstest2014-deen-ref.en.sgm",
    ]


@pytest.mark.parametrize(
    "names, message",
    [
        (["a.en"], "a.en has no partner: there is no a in 'de' in .*wmt"),
        (["a.en", "b.de"], "a.en has no partner"),
        (["a.en", "a.fr"], "a.fr is no text in 'en' or 'de': expected names like x.en"),
        (["a.tmx"], "a.tmx is no text"),
        (["a.tsv"], "a.tsv: the name must say which columns it has: x.en-de.tsv has"),
        (["README"], "wmt has no parallel text in 'en' and 'de' in it"),
    ],
)
def test_a_folder_that_is_not_in_order(write, tmp_path, names, message):
    for name in names:
        write(f"wmt/{name}", "x\n")
    with pytest.raises(UserError, match=message):
        parallel_text.find(tmp_path / "wmt", "en", "de")


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real corpora")
def test_real_test_sets_are_read_whole():
    folder = SHARED / "newstest2014"
    for names, count, last in (
        (("deen-src.en", "deen-ref.de"), 1942, 2158),
        (("fren-src.en", "fren-ref.fr"), 2016, 2264),
    ):
        text = ParallelText(*(folder / f"newstest2014-{name}.sgm" for name in names))
        rows = list(text.read())
        assert len(rows) == text.count() == count
        assert not faults(text)
        assert rows[-1].place.endswith(f":{last}")
    [text] = parallel_text.find(SHARED / "wmt_fr_de", "fr", "de")
    assert len(pairs(text)) == 1026
