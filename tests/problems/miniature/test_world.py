"""The world's examples: reproducible, apart by split, and true to themselves."""

import collections
import itertools
import random
import struct
import zlib

import numpy as np
import pytest

from t2t_multimodel.data.trees import linearise, parse_brackets, unlinearise
from t2t_multimodel.errors import UserError
from t2t_multimodel.problems.miniature import (
    english,
    grammar,
    lexicon,
    pronunciation,
    rendering,
    speech,
    world,
)

SPLITS = ("train", "dev", "test")
SEED = 7


@pytest.fixture(scope="module")
def sentences():
    return {
        split: [world.sample_sentence(split, i, SEED) for i in range(400)]
        for split in SPLITS
    }


@pytest.fixture(scope="module")
def images():
    return [world.sample_image("train", i, SEED) for i in range(60)]


def test_splits_share_no_sentence_in_any_language(sentences):
    for one, other in itertools.combinations(SPLITS, 2):
        for form in ("english", "german", "french"):
            texts = [{getattr(s, form) for s in sentences[x]} for x in (one, other)]
            assert texts[0].isdisjoint(texts[1])


def test_splits_share_no_scene_and_no_utterance():
    scenes, spoken = [], []
    for split in SPLITS:
        drawn = [world.sample_scene(split, i, SEED) for i in range(150)]
        scenes.append({scene.canonical for scene in drawn})
        spoken.append({world.sample_utterance(split, i, SEED)[1] for i in range(40)})
    for sets in (scenes, spoken):
        for one, other in itertools.combinations(sets, 2):
            assert one.isdisjoint(other)


def test_every_text_belongs_to_one_split():
    for text in ("a", "b", "the red star"):
        assert sum(world.belongs(text, split) for split in SPLITS) == 1


def test_unknown_split_is_told():
    with pytest.raises(UserError, match="no split named 'tset'; did you mean 'test'"):
        world.belongs("text", "tset")


def test_an_example_hangs_on_seed_split_and_index_alone(sentences):
    assert world.sample_sentence("dev", 3, SEED) == sentences["dev"][3]
    assert world.sample_sentence("dev", 3, SEED + 1) != sentences["dev"][3]
    first, second = (world.sample_image("test", 5, SEED) for _ in range(2))
    assert first[0] == second[0] and first[2:] == second[2:]
    np.testing.assert_array_equal(first[1], second[1])
    first, second = (world.sample_utterance("test", 5, SEED) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    assert first[1] == second[1]


def test_a_translation_never_stands_for_two_sentences(sentences):
    for form in ("german", "french"):
        meanings = collections.defaultdict(set)
        for sentence in itertools.chain.from_iterable(sentences.values()):
            meanings[getattr(sentence, form)].add(sentence.english)
        assert all(len(texts) == 1 for texts in meanings.values())


def test_sentences_have_the_promised_lengths_and_seldom_repeat(sentences):
    lengths = [len(s.english.split()) for s in sentences["train"]]
    fewest, most = world.SENTENCE_WORDS
    assert min(lengths) >= fewest and max(lengths) <= most
    assert 9 < np.mean(lengths) < 13
    assert len({s.english for s in sentences["train"]}) >= 0.97 * len(lengths)


def test_tree_yields_the_sentence_and_survives_linearisation(sentences):
    for sentence in sentences["train"]:
        tree = parse_brackets(sentence.tree)
        words = sentence.english.split()
        assert tree.words == words
        assert sentence.tags.split() == linearise(tree)
        assert unlinearise(sentence.tags.split(), words) == tree


def test_sentences_recur(sentences):
    """Relative clauses and phrases stand inside of each other."""
    depths = collections.Counter(
        sentence.tags.split().count("SBAR") for sentence in sentences["train"]
    )
    assert depths[0] > depths[1] > depths[2] > 0


def test_label_is_the_shape_of_the_largest_thing(images):
    for scene, _, label, _ in images:
        largest, *others = sorted(scene.placed, key=lambda p: -p.radius_px)
        assert world.SHAPES[label] == largest.thing.noun.english[0]
        for other in others:
            assert largest.radius_px > 1.3 * other.radius_px


def test_all_labels_occur():
    labels = {world.sample_scene("train", i, SEED).label for i in range(150)}
    assert labels == set(range(len(world.SHAPES)))


def test_things_are_inside_the_picture_and_differ(images):
    for scene, picture, _, _ in images:
        assert picture.shape == (64, 64, 3) and picture.dtype == np.uint8
        assert 1 <= len(scene.placed) <= 4
        for part in ("noun", "colour"):
            kinds = {getattr(p.thing, part) for p in scene.placed}
            assert len(kinds) == len(scene.placed)
        for placed in scene.placed:
            for centre in (placed.x_px, placed.y_px):
                assert placed.radius_px <= centre <= 64 - placed.radius_px


def test_a_things_colour_is_seen_where_it_is(images):
    for scene, picture, _, _ in images:
        first = scene.placed[0]
        hidden = first.thing.noun.english[0] in ("moon", "flower")
        if hidden or first.thing.texture or len(scene.placed) > 1:
            continue
        seen = picture[int(first.y_px), int(first.x_px)].astype(int)
        meant = rendering._COLOURS_RGB[first.thing.colour.english]
        assert np.abs(seen - meant).max() < 45


def test_captions_say_where_things_are(images):
    opposite = {"above": (0, -1), "below": (0, 1), "left": (-1, 0), "right": (1, 0)}
    checked = 0
    for scene, _, _, texts in images:
        assert len(texts) == 5
        first, *others = scene.placed
        for text in texts:
            words = text.split()
            assert first.thing.noun.english[0] in words
            assert first.thing.colour.english in words
            named = [w for w in words if w in world.SHAPES]
            assert (
                named == [p.thing.noun.english[0] for p in scene.placed][: len(named)]
            )
        if not others:
            continue
        second = others[0]
        for word, (right, down) in opposite.items():
            if word in texts[0].split():
                away = (first.x_px - second.x_px) * right
                away += (first.y_px - second.y_px) * down
                assert away > 0
                checked += 1
    assert checked > 20


def test_png_holds_the_picture(images):
    picture = images[0][1]
    data = rendering.encode_png(picture)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        content = data[at + 8 : at + 8 + length]
        checksum = struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0]
        assert zlib.crc32(kind + content) == checksum
        chunks[kind] = content
        at += 12 + length
    assert struct.unpack(">II", chunks[b"IHDR"][:8]) == (64, 64)
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(64, -1)
    assert set(rows[:, 0]) == {2}
    decoded = np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8).reshape(64, 64, 3)
    np.testing.assert_array_equal(decoded, picture)


def test_utterances_are_sound():
    fewest, most = world.UTTERANCE_WORDS
    for index in range(30):
        samples, transcript = world.sample_utterance("train", index, SEED)
        assert samples.dtype == np.float32 and np.isfinite(samples).all()
        assert 0.2 < np.abs(samples).max() <= 1.0
        words = transcript.split()
        assert fewest <= len(words) <= most and "." not in words
        seconds = len(samples) / speech.SAMPLE_RATE_HZ
        assert 0.18 * len(words) < seconds < 0.55 * len(words) + 0.5


def test_speakers_and_lengths_differ():
    words = "the red star".split()
    lengths = {
        len(speech.synthesise(words, np.random.default_rng(i))) for i in range(8)
    }
    assert len(lengths) > 4


def test_every_word_of_an_utterance_can_be_spoken():
    words = {"and", "always", "because", "think", "thinks", "but"}
    words |= {form for noun in lexicon.NOUNS for form in noun.english}
    words |= {form for verb in lexicon.VERBS for form in verb.english}
    words |= {w for place in lexicon.Preposition for w in place.english}
    for adjective in (*lexicon.SIZES, *lexicon.TEXTURES, *lexicon.COLOURS):
        words.add(adjective.english)
    assert words <= pronunciation.known_words()
    for index in range(300):
        statement = grammar.sample_statement(random.Random(index))
        spoken = set(english.tree(statement).words) - {",", "."}
        assert spoken <= pronunciation.known_words()


def test_no_two_words_sound_alike():
    sounds = collections.defaultdict(set)
    for word in pronunciation.known_words():
        sounds[tuple(pronunciation.phonemes(word))].add(word)
    assert all(len(words) == 1 for words in sounds.values())
