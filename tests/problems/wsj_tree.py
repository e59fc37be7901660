"""The discs of the two WSJ corpora in miniature, as the LDC lays them out."""

import pathlib

from tests.data import sound_bytes

# Split to the sound files of its utterances: disc, folder in the corpus, speaker.
PLACES = {
    "si_tr_s of wsj1": ("13-1.1", "wsj1/si_tr_s", "46n"),
    "si_tr_s of wsj0": ("11-1.1", "wsj0/si_tr_s", "01i"),
    "dev": ("13-16.1", "wsj1/si_dt_20", "4k0"),
    "test": ("11-13.1", "wsj0/si_et_20", "440"),
}
LISTS = {
    "si_tr_s of wsj1": "13-34.1/wsj1/doc/indices/si_tr_s.ndx",
    "si_tr_s of wsj0": "11-13.1/wsj0/doc/indices/train/tr_s_wv1.ndx",
    "dev": "13-34.1/wsj1/doc/indices/h1_p0.ndx",
    "test": "11-13.1/wsj0/doc/indices/test/nvp/si_et_20.ndx",
}
# eval93 has a list of the same name elsewhere, which must not be taken for dev93's.
OTHER_LIST = "13-32.1/wsj1/doc/indices/wsj1/eval/h1_p0.ndx"
DOTS = {
    "si_tr_s of wsj1": "13-34.1/wsj1/trans/wsj1/si_tr_s",
    "si_tr_s of wsj0": "11-4.1/wsj0/transcrp/dots/si_tr_s",
    "dev": "13-34.1/wsj1/trans/wsj1/si_dt_20",
    "test": "11-14.1/wsj0/transcrp/dots/si_et_20",
}
SAMPLES = [0, 100, -100, 50] * 500


def write(folder, utterances, *, merged=False, upper=False, ending=".dot"):
    """Writes the discs below a folder.

    Args:
        folder: Where; made if missing.
        utterances: Part (a key of `PLACES`) to (sound file as bytes, `None` for a short
            one; text) of each utterance.
        merged: Whether `wsj0` and `wsj1` are one tree instead of discs.
        upper: Whether disc 13-16.1 has upper-case names, as some copies.
        ending: Of the transcripts.

    Returns:
        Part to the paths of its sound files.
    """
    folder = pathlib.Path(folder)

    def put(path, data):
        if merged:
            path = path.split("/", 1)[1]
        elif upper and path.startswith("13-16.1"):
            path = path.upper()
        path = folder / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    paths = {}
    for part, given in utterances.items():
        disc, corpus_folder, speaker = PLACES[part]
        entries, lines, paths[part] = [], [], []
        for number, (sound, text) in enumerate(given):
            name = f"{speaker}c{2 + number // 90:02d}{number % 90 + 1:02d}"
            path = f"{corpus_folder}/{speaker}/{name}.wv1"
            if sound is None:
                sound = sound_bytes.sphere(SAMPLES, sample_byte_format="10")
            paths[part].append(put(f"{disc}/{path}", sound))
            listed = path.removesuffix(".wv1") if part == "test" else path
            blank = " " if part == "test" else ""
            entries.append(
                f"{disc.replace('-', '_').replace('.', '_')}:{blank}{listed}"
            )
            lines.append(f"{text} ({name.upper() if upper else name})")
        header = f";; File: {LISTS[part]}\n;;\n"
        put(LISTS[part], "\n".join([header, *entries, ""]).encode())
        dot = f"{DOTS[part]}/{speaker}/{speaker}c0200{ending}"
        put(dot, "\n".join([*lines, ""]).encode())
    put(OTHER_LIST, b"13_33_1: wsj1/si_et_h1/wsj64k/4oa/4oac0201.wv1\n")
    return paths
