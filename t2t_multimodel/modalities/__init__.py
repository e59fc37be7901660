"""The modality nets: into the body's depth, and out of it.

One net serves every problem of its kind (paper 2.5): problems own nothing but the
label matrix of their classes. Shapes use the legend of `t2t_multimodel.layers`.
"""

from t2t_multimodel.modalities.audio import AudioModality
from t2t_multimodel.modalities.categorical import CategoricalModality
from t2t_multimodel.modalities.image import ImageModality
from t2t_multimodel.modalities.language import LanguageModality

__all__ = [
    "AudioModality",
    "CategoricalModality",
    "ImageModality",
    "LanguageModality",
]
