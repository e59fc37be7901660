"""Problems declared in TOML: read rightly, and mistakes told with file and line."""

import gzip
import pathlib
import re

import numpy as np
import pytest

from t2t_multimodel.data import serialization
from t2t_multimodel.data.raw_example import BadExample
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems import make_problem
from t2t_multimodel.problems.from_files import load_problem_file

DOCS = pathlib.Path(__file__).parents[2] / "docs" / "your_own_data.md"

TEXT = """
[[problem]]
name = "mine"
kind = "text_pairs"
inputs_space = "english_tokens"
targets_space = "french_tokens"
vocabulary = {name = "mine", size = 300}
train = {inputs = ["a.en", "b.en.gz"], targets = ["a.fr", "b.fr"]}
dev = {from = "train", every = 5}
also_reversed = true
"""

IMAGES = """
[[problem]]
name = "image_mine"
kind = "image_folder"
image_size = [4, 6]
train = "pictures"
dev = {from = "train", every = 3}
test = {from = "train", every = 3}
"""


pytestmark = pytest.mark.usefixtures("forget_new_problems")


@pytest.fixture
def texts(tmp_path):
    english = [f"sentence {number}" for number in range(20)]
    french = [f"phrase {number} é" for number in range(20)]
    write = lambda name, lines: (tmp_path / name).write_text(  # noqa: E731
        "".join(f"{line}\n" for line in lines), encoding="utf-8"
    )
    write("a.en", english[:12])
    write("a.fr", french[:12])
    write("b.fr", french[12:])
    with gzip.open(tmp_path / "b.en.gz", "wt", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in english[12:])
    return list(zip(english, french, strict=True))


@pytest.fixture
def pictures(tmp_path):
    from tensorflow import io

    rng = np.random.default_rng(0)
    for name, count in (("cat", 6), ("dog", 7)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)
            data = io.encode_png(pixels).numpy()
            (tmp_path / "pictures" / name / f"{number}.png").write_bytes(data)
    return tmp_path / "pictures"


def examples(name, split):
    return list(make_problem(name).examples(split, tmp_dir=None, seed=0))


def test_sentence_pairs(declare, texts):
    assert declare(TEXT) == ["mine", "mine_rev"]
    problem = make_problem("mine")
    assert problem.inputs.space is SpaceId.ENGLISH_TOKENS
    assert problem.targets.vocabulary.file_name == "vocab.mine.300"
    assert dict(problem.num_shards) == {"train": 10, "dev": 1}
    train, dev = (
        [(e["inputs"], e["targets"]) for e in examples("mine", split)]
        for split in ("train", "dev")
    )
    assert dev == texts[::5]
    assert train == [pair for i, pair in enumerate(texts) if i % 5]
    [first, *_] = examples("mine_rev", "dev")
    assert (first["targets"], first["inputs"]) == texts[0]


def test_a_folder_of_images_a_class(declare, pictures):
    declare(IMAGES)
    problem = make_problem("image_mine")
    assert problem.targets.names == ("cat", "dog")
    assert (problem.inputs.height_px, problem.inputs.width_px) == (4, 6)
    splits = {split: examples("image_mine", split) for split in problem.num_shards}
    assert {split: len(found) for split, found in splits.items()} == {
        "train": 4,
        "dev": 5,
        "test": 4,
    }
    everything = [e["inputs"]() for found in splits.values() for e in found]
    assert len(set(everything)) == 13
    # Held-out examples are of every class, in turn.
    assert [e["targets"] for e in splits["dev"]] == [0, 1, 0, 1, 1]


def test_both_kinds_become_batches(declare, texts, pictures, tmp_path):
    from t2t_multimodel.data import manifest, pipeline
    from t2t_multimodel.data.generate import generate

    declare(TEXT + IMAGES)
    problems = [make_problem(name) for name in ("mine", "image_mine")]
    data_dir = tmp_path / "data"

    def run():
        said = []
        generate(problems, data_dir, tmp_path, num_processes=1, say=said.append)
        return said

    run()
    manifest.check_ready(problems, data_dir)
    for problem, keys in zip(problems, ((4, 16), (5, 4, 6, 3)), strict=True):
        [batch] = pipeline.eval_dataset(problem, data_dir, "dev", batch_size=800)
        assert batch["inputs"].shape[: len(keys)] == keys or problem is problems[0]
    assert sum("nothing to do" in line for line in run()) == 2
    (tmp_path / "a.en").write_text("new\n" * 12, encoding="utf-8")
    assert sum("nothing to do" in line for line in run()) == 1


def test_reading_a_file_again_is_no_clash(declare, texts):
    assert declare(TEXT) == declare(TEXT)


def edited(text, old, new):
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    "old, new, line, message",
    [
        ('kind = "text', "kind = text", 4, "Invalid value"),
        ('"text_pairs"', '"text_pair"', 4, "no kind named 'text_pair'; did you mean"),
        (
            "also_rev",
            "also_ref",
            10,
            "no key named 'also_refersed'; did you mean 'also",
        ),
        ("true", '"yes"', 10, "also_reversed = 'yes' must be like true or false"),
        ("english_tok", "english_tik", 5, "did you mean 'english_tokens'"),
        ('inputs_space = "english_tokens"\n', "", 2, "'inputs_space' is missing"),
        ("size = 300", "size = -3", 7, "size = -3 must be positive"),
        ("size = 300", "sise = 300", 7, "no key named 'sise'; did you mean 'size'"),
        ('name = "mine", s', 'name = "a/b", s', 7, "'a/b' must be letters"),
        ('name = "mine"\n', 'name = "Mine"\n', 3, "'Mine' must be lower-case"),
        ('"mine"\nk', '"image_mini"\nk', 3, "'image_mini' is taken"),
        ('["a.en", "b.en.gz"]', '"a.en"', 8, "1 files of inputs and 2 of targets"),
        ("a.fr", "c.fr", 8, "targets: there is no .*c.fr"),
        ("targets = [", "target = [", 8, "no key named 'target'"),
        ("every = 5", "every = 1", 9, "every = 1 must be 2 or more"),
        ("every = 5", "every = 5, offset = 5", 9, "must be from 0 to 4"),
        ('from = "train"', 'from = "dev"', 9, "only dev and test can be held out"),
        ('dev = {from = "train", every = 5}\n', "", 2, "'dev' is missing; give its"),
        ("[[problem]]", "[[problems]]", 2, "no key named 'problems'"),
        ("[[problem]]", "[problem]", 2, "needs double brackets"),
    ],
)
def test_mistakes_in_text_pairs(declare, texts, old, new, line, message):
    with pytest.raises(UserError, match=message) as caught:
        declare(edited(TEXT, old, new))
    assert re.search(rf"mine\.toml:{line}:|line {line},", str(caught.value))


@pytest.mark.parametrize(
    "old, new, line, message",
    [
        ("[4, 6]", "[4]", 5, r"image_size = \[4\] must be \[height, width\]"),
        ('"pictures"', '"picture"', 6, "there is no .*picture"),
        ('"pictures"', "3", 6, "train must be a path or a list"),
        (
            "every = 3}\ntest",
            "every = 4}\ntest",
            8,
            "test and dev would share examples",
        ),
        ("kind", 'classes = ["a", "a"]\nkind', 4, "must be names, each once"),
        ("kind", 'augmentation = "flips"\nkind', 4, "did you mean 'flip'"),
    ],
)
def test_mistakes_in_image_folders(declare, pictures, old, new, line, message):
    with pytest.raises(UserError, match=message) as caught:
        declare(edited(IMAGES, old, new))
    assert f"mine.toml:{line}:" in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match="cannot read .*none.toml: No such file"):
        load_problem_file(tmp_path / "none.toml")
    (tmp_path / "mine.toml").write_bytes(b"\xff")
    with pytest.raises(UserError, match="mine.toml is not UTF-8"):
        load_problem_file(tmp_path / "mine.toml")


def test_mistakes_in_the_texts(declare, texts, tmp_path):
    declare(TEXT)
    (tmp_path / "a.fr").write_text("une ligne\n")
    with pytest.raises(UserError, match="a.fr ends after line 1, .*a.en goes on"):
        examples("mine", "train")
    (tmp_path / "a.fr").write_bytes(b"une\n\xff deux\n\n" + b"plus\n" * 9)
    bad = [e for e in examples("mine", "train") if isinstance(e, BadExample)]
    assert bad == [
        BadExample(f"{tmp_path / 'a.fr'}:2", "not UTF-8 at byte 0 of the line"),
        BadExample(f"{tmp_path / 'a.en'}:3", "one side is empty"),
    ]
    (tmp_path / "a.fr").unlink()
    with pytest.raises(UserError, match="cannot read .*a.fr: No such file"):
        examples("mine", "train")


def test_a_compressed_text_that_is_cut_off_or_none(declare, texts, tmp_path):
    declare(TEXT)
    packed = tmp_path / "b.en.gz"
    packed.write_bytes(packed.read_bytes()[:-12])
    with pytest.raises(UserError, match="b.en.gz is cut off"):
        examples("mine", "train")
    packed.write_bytes(b"plain text")
    with pytest.raises(UserError, match="cannot read .*b.en.gz: Not a gzipped file"):
        examples("mine", "train")


@pytest.mark.parametrize(
    "name, data, message",
    [
        ("cat/9.png", b"GIF89a", "9.png: .*neither PNG nor JPEG"),
        ("cat/9.png", b"\x89PNG\r\n\x1a\n broken", "9.png: .*cannot be decoded"),
        ("cat/notes.txt", b"x", "notes.txt is not an image file"),
        ("owl/1.png", b"x", "no class named 'owl'"),
    ],
)
def test_mistakes_in_the_pictures(declare, pictures, name, data, message):
    declare(IMAGES)
    (pictures / name).parent.mkdir(exist_ok=True)
    (pictures / name).write_bytes(data)
    problem = make_problem("image_mine")
    with pytest.raises(UserError, match=message):
        for split in ("train", "dev", "test"):
            for example in examples("image_mine", split):
                serialization.serialize(problem, example, {})


def test_folders_without_pictures(declare, tmp_path):
    (tmp_path / "pictures").mkdir()
    with pytest.raises(UserError, match="pictures has no folders in it"):
        declare(IMAGES)
    (tmp_path / "pictures" / "cat").mkdir()
    declare(IMAGES)
    with pytest.raises(UserError, match="cat has no images in it"):
        examples("image_mine", "train")


def test_the_examples_of_the_documentation_load(tmp_path):
    blocks = re.findall(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.S)
    assert len(blocks) >= 2
    for number, block in enumerate(blocks):
        for path in re.findall(r'"([\w/.-]*[/.][\w/.-]*)"', block):
            target = tmp_path / path
            if target.suffix in (".en", ".fr", ".gz", ".mrg", ".txt", ".trees"):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(b"")
            else:
                (target / "daisy").mkdir(parents=True, exist_ok=True)
        file = tmp_path / f"{number}.toml"
        file.write_text(block, encoding="utf-8")
        assert load_problem_file(file)
