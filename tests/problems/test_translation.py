"""WMT's translation problems: T2T's numbers, official files, TFDS, what is missing."""

import gzip
import pathlib

import pytest

from t2t_multimodel.data import tfds_corpus
from t2t_multimodel.data.raw_example import BadExample
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems import make_problem

SHARED = pathlib.Path(__file__).parents[3] / "shared" / "data"
NAMES = ("translate_ende_wmt8k", "translate_enfr_wmt8k", "translate_frde_wmt8k")


@pytest.fixture(autouse=True)
def no_downloads_of_others(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setattr("sacrebleu.SACREBLEU_DIR", str(tmp_path / "sacrebleu"))


@pytest.fixture
def write(tmp_path):
    """Returns a function that writes a file under `tmp_path`."""

    def make(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = text.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)

    return make


def read(problem, split, tmp_dir):
    """Returns the pairs, and the places of those that cannot be used."""
    found = list(problem.examples(split, tmp_dir=tmp_dir, seed=0))
    bad = [pathlib.Path(e.place).name for e in found if isinstance(e, BadExample)]
    good = [e for e in found if not isinstance(e, BadExample)]
    return [(e["inputs"], e["targets"]) for e in good], bad


def sgml(kind, *segments):
    lines = [f'<seg id="{i}">{text}</seg>' for i, text in enumerate(segments, 1)]
    inner = "\n".join(lines)
    return f'<{kind}set setid="x"><doc docid="d">\n{inner}\n</doc></{kind}set>\n'


def lay_out_real_files(tmp_path):
    """Makes WMT folders of Multi30k (gzip) and newstest2014 (SGML)."""
    for split, source in (("train", "train"), ("dev", "val"), ("test", None)):
        folder = tmp_path / "wmt_ende" / split
        folder.mkdir(parents=True)
        found = (
            SHARED.glob(f"multi30k/{source}.[de][en].gz")
            if source
            else SHARED.glob("newstest2014/newstest2014-deen-*.sgm")
        )
        for path in found:
            (folder / path.name).symlink_to(path)


@pytest.mark.parametrize(
    "name, inputs, targets",
    [
        (NAMES[0], SpaceId.ENGLISH_TOKENS, SpaceId.GERMAN_TOKENS),
        (NAMES[1], SpaceId.ENGLISH_TOKENS, SpaceId.FRENCH_TOKENS),
        (NAMES[2], SpaceId.FRENCH_TOKENS, SpaceId.GERMAN_TOKENS),
    ],
)
def test_spaces_multipliers_and_shards_are_those_of_t2t(name, inputs, targets):
    problem, turned = make_problem(name), make_problem(f"{name}_rev")
    assert (problem.inputs.space, problem.targets.space) == (inputs, targets)
    assert (turned.inputs.space, turned.targets.space) == (targets, inputs)
    assert turned.data_name == name
    assert (problem.loss_multiplier, problem.batch_size_multiplier) == (1.0, 1)
    assert problem.num_shards == {"train": 100, "dev": 1, "test": 1}
    [vocabulary] = problem.vocabularies()
    assert vocabulary.file_name == "vocab.endefr.8192"


def test_official_files_in_folders(write, tmp_path):
    write("wmt_ende/train/commoncrawl.de-en.en", "One\n\n Three \nFour\n")
    write("wmt_ende/train/commoncrawl.de-en.de", "Eins\nZwei\nDrei\n \n")
    write("wmt_ende/train/europarl-v7.de-en.en.gz", "Five\n")
    write("wmt_ende/train/europarl-v7.de-en.de.gz", "Fünf\n")
    write("wmt_ende/train/news-commentary-v14.de-en.tsv", "Sechs\tSix\nSieben\n")
    write("wmt_ende/dev/newstest2013-src.en.sgm", sgml("src", "A &amp; B", "C"))
    write("wmt_ende/dev/newstest2013-ref.de.sgm", sgml("ref", "A und B", ""))
    write("wmt_ende/test/newstest2014.en", "Test\n")
    write("wmt_ende/test/newstest2014.de", "Prüfung\n")
    problem = make_problem("translate_ende_wmt8k")
    # Of training text, what is not translated is no mistake; a short row is one.
    assert read(problem, "train", tmp_path) == (
        [("One", "Eins"), ("Three", "Drei"), ("Five", "Fünf"), ("Six", "Sechs")],
        ["news-commentary-v14.de-en.tsv:2"],
    )
    assert read(problem, "dev", tmp_path) == (
        [("A & B", "A und B")],
        ["newstest2013-src.en.sgm:3"],
    )
    assert read(problem, "test", tmp_path) == ([("Test", "Prüfung")], [])
    turned = make_problem("translate_ende_wmt8k_rev")
    assert read(turned, "test", tmp_path) == ([("Prüfung", "Test")], [])
    counts = [problem.count_examples(s, tmp_path) for s in ("train", "dev", "test")]
    assert counts == [7, 2, 1]
    assert not any(source.missing for source in problem.sources(tmp_path))
    assert problem.source_state(tmp_path / "elsewhere") == ""
    state = problem.source_state(tmp_path)
    assert make_problem("translate_ende_wmt8k").source_state(tmp_path) == state
    write("wmt_ende/train/newer.en", "More\n")
    write("wmt_ende/train/newer.de", "Mehr\n")
    assert problem.source_state(tmp_path) != state


def test_every_corpus_gives_both_sides_to_the_vocabulary(write, tmp_path):
    for name, english in (("a", "One\n\n"), ("b", "Two\nThree\n")):
        write(f"wmt_enfr/train/{name}.en", english)
        write(f"wmt_enfr/train/{name}.fr", "Un\nDeux\n")
    texts = [
        (feature.space.name, list(side))
        for feature, side in make_problem(NAMES[1]).vocabulary_texts(tmp_path)
    ]
    assert texts == [
        ("ENGLISH_TOKENS", ["One"]),
        ("ENGLISH_TOKENS", ["Two", "Three"]),
        ("FRENCH_TOKENS", ["Un"]),
        ("FRENCH_TOKENS", ["Un", "Deux"]),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_missing_is_told_with_where_to_get_it(name, tmp_path):
    problem = make_problem(name)
    sources = problem.sources(tmp_path)
    assert [split for source in sources for split in source.splits] == [
        "train",
        "dev",
        "test",
    ]
    for source in sources:
        assert source.where.startswith("https://www.statmt.org/")
        assert "research" in source.licence
        [line] = source.missing
        assert line.startswith(f"there is no {tmp_path / problem.folder}/")
    assert problem.count_examples("test", tmp_path) is None


def test_a_folder_that_is_not_in_order_is_told(write, tmp_path):
    write("wmt_frde/train/europarl-v7.fr.gz", "Un\n")
    problem = make_problem("translate_frde_wmt8k")
    [line] = problem.sources(tmp_path)[0].missing
    assert "europarl-v7.fr.gz has no partner" in line
    with pytest.raises(UserError, match="has no partner"):
        read(problem, "train", tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_without_a_folder_tfds_is_read(name, tmp_path, capsys):
    import tensorflow_datasets as tfds

    problem = make_problem(name)
    with tfds.testing.mock_data(num_examples=4):
        # A corpus looks for its data once; other tests have others.
        problem.corpus = tfds_corpus.TfdsCorpus(problem.corpus.name, size="1 GiB")
        good, bad = read(problem, "train", tmp_path)
    assert len(good) == 4 and not bad
    assert all(text and text == text.strip() for pair in good for text in pair)
    assert f"TFDS {problem.corpus.name} (1 GiB): getting it" in capsys.readouterr().out


def test_the_french_german_test_set_is_that_of_sacrebleu(write, tmp_path):
    problem = make_problem("translate_frde_wmt8k")
    raw = "sacrebleu/wmt19/raw/sgm/newstest2019-frde"
    write(f"{raw}-src.fr.sgm", sgml("src", "Un", "Deux &lt;"))
    assert problem.sources(tmp_path)[2].missing
    write(f"{raw}-ref.de.sgm", sgml("ref", "Eins", "Zwei &lt;"))
    assert not problem.sources(tmp_path)[2].missing
    assert problem.count_examples("test", tmp_path) == 2
    assert read(problem, "test", tmp_path)[0] == [("Un", "Eins"), ("Deux <", "Zwei <")]


def test_a_test_set_that_cannot_be_downloaded(tmp_path, monkeypatch):
    def fail(self):
        raise OSError("no network")

    monkeypatch.setattr("sacrebleu.dataset.base.Dataset.maybe_download", fail)
    with pytest.raises(UserError, match="wmt19 fr-de cannot be downloaded .OSError: n"):
        read(make_problem("translate_frde_wmt8k"), "test", tmp_path)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real corpora")
def test_real_files_as_wmt_folders(tmp_path):
    lay_out_real_files(tmp_path)
    problem = make_problem("translate_ende_wmt8k")
    for split, count in (("train", 27_000), ("dev", 1_014), ("test", 1_942)):
        assert problem.count_examples(split, tmp_path) == count
    for split in ("dev", "test"):
        good, bad = read(problem, split, tmp_path)
        assert len(good) == problem.count_examples(split, tmp_path) and not bad
    assert good[0] == (
        "Gutach: Increased safety for pedestrians",
        "Gutach: Noch mehr Sicherheit für Fußgänger",
    )


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real corpora")
def test_real_files_become_shards_that_say_the_same(tmp_path):
    """Multi30k (gzip) and newstest2014 (SGML), written and read back whole."""
    import tensorflow as tf

    from t2t_multimodel.data.generate import generate
    from t2t_multimodel.data.vocabularies import encoders_for

    lay_out_real_files(tmp_path)
    problem = make_problem("translate_ende_wmt8k")
    data_dir = tmp_path / "data"
    generate([problem], data_dir, tmp_path, num_processes=2, say=lambda _: None)
    encoders = encoders_for(problem, data_dir)
    # Of so little text, no minimum count gives just 8192.
    assert 7000 < encoders["inputs"].vocab_size < 10_000
    for split in ("train", "dev", "test"):
        stored = []
        for path in sorted(data_dir.glob(f"{problem.name}-{split}-*-of-*")):
            for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
                fields = tf.train.Example.FromString(record).features.feature
                ids = [fields[side].int64_list.value for side in encoders]
                assert all(side[-1] == 1 for side in ids)
                pair = [encoders["inputs"].decode(side[:-1]) for side in ids]
                stored.append(tuple(pair))
        expected = read(problem, split, tmp_path)[0]
        if split == "train":  # Dealt to shards and shuffled.
            stored, expected = sorted(stored), sorted(expected)
        assert stored == expected
