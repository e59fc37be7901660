"""Packaging: four top-level folders become one import package, t2t_multimodel."""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent
# Folder -> package: what stands next to t2t_multimodel/ is installed inside it.
FOLDERS = {
    "t2t_multimodel": "t2t_multimodel",
    "problems": "t2t_multimodel.problems",
    "hparams": "t2t_multimodel.hparams",
    "bin": "t2t_multimodel.bin",
}
PROGRAMS = (
    "datagen",
    "trainer",
    "decoder",
    "exporter",
    "query",
    "avg_checkpoints",
    "bleu",
    "launch",
    "make_tf_configs",
)


def version() -> str:
    """Returns the version without importing the package."""
    text = (HERE / "t2t_multimodel" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "([^"]+)"', text, re.MULTILINE).group(1)


setup(
    name="t2t-multimodel",
    version=version(),
    description="One Model To Learn Them All, in TensorFlow 2 and Keras 3.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    package_dir={package: folder for folder, package in FOLDERS.items()},
    packages=[
        name
        for folder, package in FOLDERS.items()
        for name in [package, *(f"{package}.{sub}" for sub in find_packages(folder))]
    ],
    package_data={"t2t_multimodel": ["py.typed", "data/*.txt"]},
    install_requires=[
        "tensorflow>=2.21,<2.22",
        "tensorflow-text>=2.21.1,<2.22",
        "keras>=3.15,<4",
        "tensorflow-datasets>=4.9.10",
        # TFDS 4.9.10 imports it to prepare a data set, and does not ask for it.
        "importlib_resources",
        "sacrebleu>=2.4",
        "numpy>=1.26",
        "absl-py",
        "tqdm",
    ],
    extras_require={
        "test": [
            "pytest",
            "pytest-xdist",
            "hypothesis",
            "matplotlib",
            "soundfile",
            "ruff",
            "mypy",
            "build",
            # Reads the recipes of docs/distributed.md, to see that they are YAML.
            "pyyaml",
        ],
        "plots": ["matplotlib"],
        "audio": ["soundfile>=0.12"],
    },
    entry_points={
        "console_scripts": [
            f"t2t-mm-{name.replace('_', '-')} = t2t_multimodel.bin.t2t_mm_{name}:main"
            for name in PROGRAMS
        ]
    },
)
