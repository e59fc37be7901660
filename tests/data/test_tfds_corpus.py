"""Corpora of TensorFlow Datasets: prepared ones, mocked ones, and missing ones."""

import pickle

import pytest
import tensorflow_datasets as tfds

from t2t_multimodel.data.tfds_corpus import TfdsCorpus
from t2t_multimodel.errors import UserError

PAIRS = [{"de": f"Satz {i}", "en": f"sentence {i}"} for i in range(7)]


@pytest.fixture(autouse=True)
def data_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    return tmp_path / "tfds"


def write_prepared(name, data_dir, **splits):
    """Writes a data set as TFDS leaves it when it has prepared one."""
    builder = tfds.builder(name, data_dir=str(data_dir))
    builder.data_path.mkdir(parents=True)
    writer = tfds.core.SequentialWriter(builder.info, max_examples_per_shard=3)
    writer.initialize_splits(list(splits))
    for split, examples in splits.items():
        writer.add_examples({split: examples})
    writer.close_all()


def test_a_prepared_corpus_is_read_in_order_and_counted(data_dir):
    corpus = TfdsCorpus("wmt14_translate/de-en")
    assert not corpus.is_prepared()
    assert corpus.num_examples("train") is None
    write_prepared(corpus.name, data_dir, train=PAIRS, validation=PAIRS[:2])
    corpus = TfdsCorpus("wmt14_translate/de-en")
    assert corpus.is_prepared()
    assert corpus.num_examples("train") == 7
    said = []
    read = list(corpus.read("train", said.append))
    assert [pair["de"].decode() for pair in read] == [pair["de"] for pair in PAIRS]
    assert len(list(corpus.read("validation"))) == 2
    assert not said
    with pytest.raises(UserError, match="no split 'test'; it has train, validation"):
        corpus.num_examples("test")
    with pytest.raises(UserError, match="cannot read split 'test'"):
        next(corpus.read("test"))


def test_pictures_come_as_the_bytes_of_their_file():
    corpus = TfdsCorpus("coco_captions")
    wanted = {"image": True, "image/id": True}
    with tfds.testing.mock_data(num_examples=3):
        read = list(corpus.read("train", lambda _: None, features=wanted))
        whole = list(TfdsCorpus("mnist").read("test", lambda _: None))
    assert len(read) == 3
    for example in read:
        assert set(example) == set(wanted)
        assert example["image"][:3] == b"\xff\xd8\xff"
    assert whole[0]["image"][:4] == b"\x89PNG"


def test_what_is_downloaded_and_how_large_it_is_is_said(data_dir):
    said = []
    with tfds.testing.mock_data(num_examples=2):
        corpus = TfdsCorpus("wmt14_translate/fr-en", size="9 GiB download")
        read = list(corpus.read("train", said.append))
    assert len(read) == 2
    assert said == [
        f"TFDS wmt14_translate/fr-en (9 GiB download): getting it ready in {data_dir}"
    ]


def test_files_that_the_user_must_bring_are_named(data_dir):
    corpus = TfdsCorpus("imagenet2012", needs_files=("ILSVRC2012_img_val.tar",))
    missing = data_dir / "downloads" / "manual" / "ILSVRC2012_img_val.tar"
    assert corpus.missing_files() == [missing]
    with pytest.raises(UserError, match=f"there is no {missing}; get it from its"):
        corpus.prepare(lambda _: None)
    assert not corpus.is_prepared()


def test_a_download_that_fails_is_one_line_with_what_to_do(monkeypatch):
    def fail(self):
        raise ConnectionError("statmt.org\nTraceback of many lines")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    corpus = TfdsCorpus("wmt19_translate/fr-de")
    with pytest.raises(UserError) as caught:
        next(corpus.read("train", lambda _: None))
    assert "ConnectionError: statmt.org; try again, or prepare" in str(caught.value)
    assert "tfds build wmt19_translate/fr-de --data_dir=" in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_a_folder_that_cannot_be_written(data_dir):
    data_dir.write_text("a file where the folder should be")
    with pytest.raises(UserError, match="cannot write to .*set TFDS_DATA_DIR"):
        TfdsCorpus("mnist").prepare(lambda _: None)


def test_an_unknown_name():
    with pytest.raises(UserError, match="TFDS has no data set 'wmt14_translat'"):
        TfdsCorpus("wmt14_translat").is_prepared()


def test_a_corpus_can_be_sent_to_another_process():
    corpus = TfdsCorpus("mnist", size="11 MiB")
    assert not corpus.is_prepared()
    sent = pickle.loads(pickle.dumps(corpus))
    assert (sent.name, sent.size) == ("mnist", "11 MiB")
    assert not sent.is_prepared()
