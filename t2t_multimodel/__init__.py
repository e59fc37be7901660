"""One Keras model that learns many tasks of several modalities at once.

Importing this package imports neither TensorFlow nor Keras, so that the programs
answer `--help` at once.
"""

import pathlib

__version__ = "0.1.0"

_here = pathlib.Path(__file__).parent
if not (_here / "problems").is_dir():
    # A source checkout: problems/, hparams/ and bin/ are next to this directory;
    # in an installed copy they are inside it.
    __path__.append(str(_here.parent))
