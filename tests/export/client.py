"""A client that has tensorflow and tensorflow-text alone: answers to JSON.

Run as a program: `client.py EXPORT REQUESTS ANSWERS [--block]`. REQUESTS holds a list
of (signature, inputs), inputs as lists with strings in base64; ANSWERS gets one
dictionary of outputs for each. `--block` lets the import of anything else of this
project's environment fail, as if it were not there.
"""

import base64
import importlib.abc
import json
import sys

BLOCKED = ("t2t_multimodel", "sacrebleu", "tensorflow_datasets", "tests")


class Blocker(importlib.abc.MetaPathFinder):
    """Finds nothing, loudly."""

    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ImportError(f"{name} is not for clients")


def main(export, requests, answers, block=""):
    """Writes what the export answers."""
    if block:
        sys.meta_path.insert(0, Blocker())
    import tensorflow as tf
    import tensorflow_text  # noqa: F401

    def tensor(name, values):
        if name in ("text", "image"):
            return tf.constant([base64.b64decode(value) for value in values])
        return tf.constant(values, tf.float32 if name == "waveform" else tf.int32)

    def plain(value):
        if value.dtype == tf.string:
            return tf.strings.unicode_transcode(value, "UTF-8", "UTF-8").numpy()
        return value.numpy()

    model = tf.saved_model.load(export)
    with open(requests) as file:
        wanted = json.load(file)
    got = []
    for signature, inputs in wanted:
        tensors = {name: tensor(name, values) for name, values in inputs.items()}
        outputs = model.signatures[signature](**tensors)
        got.append({name: plain(value).tolist() for name, value in outputs.items()})
    with open(answers, "w") as file:
        json.dump(got, file, default=bytes.decode)
    assert not [name for name in sys.modules if name.split(".")[0] in BLOCKED]


if __name__ == "__main__":
    main(*sys.argv[1:])
