"""Loading TensorFlow without the lines that it prints on the way.

Some of them come before any log level applies, from every process that loads it.
"""

import os
import sys
import tempfile


def load() -> None:
    """Imports TensorFlow; what it prints on standard error is shown if that fails."""
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        kept = os.dup(2)
    except OSError:  # Without a standard error, nothing can be printed on it.
        import tensorflow  # noqa: F401

        return
    with tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 2)
        try:
            import tensorflow  # noqa: F401
        except BaseException:
            os.dup2(kept, 2)
            printed.seek(0)
            sys.stderr.write(printed.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
