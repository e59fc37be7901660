"""Features as JSON, so that a run can be read back without its Python classes."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from t2t_multimodel.data.features import (
    Audio,
    ClassLabel,
    Feature,
    Image,
    Text,
    Vocabulary,
)
from t2t_multimodel.data.spaces import SpaceId
from t2t_multimodel.errors import UserError, unknown

_CLASSES = {cls.kind: cls for cls in (Text, Image, Audio, ClassLabel)}


def feature_to_json(feature: Feature) -> dict[str, Any]:
    """Returns the feature as a JSON object: its kind and its fields.

    Spaces are written by name; a vocabulary by its name and target size.
    """
    described: dict[str, Any] = {"kind": feature.kind}
    for field in dataclasses.fields(feature):
        value = getattr(feature, field.name)
        if isinstance(value, Vocabulary):
            value = {"name": value.name, "target_size": value.target_size}
        elif isinstance(value, SpaceId):
            value = value.name
        elif isinstance(value, tuple):
            value = list(value)
        described[field.name] = value
    return described


def feature_from_json(described: Mapping[str, Any], where: str) -> Feature:
    """Returns what `feature_to_json` described.

    Args:
        described: The JSON object.
        where: What messages call it, e.g. `"problems.json: inputs of x"`.

    Raises:
        UserError: If the object does not describe a feature.
    """
    if not isinstance(described, Mapping):
        raise UserError(f"{where} must be a JSON object, got {described!r}")
    fields = dict(described)
    kind = fields.pop("kind", None)
    if kind not in _CLASSES:
        raise UserError(f"{where}: {unknown('kind of feature', str(kind), _CLASSES)}")
    try:
        if "space" in fields:
            fields["space"] = SpaceId[fields["space"]]
        if "vocabulary" in fields:
            fields["vocabulary"] = Vocabulary(**fields["vocabulary"])
        if "names" in fields:
            fields["names"] = tuple(fields["names"])
        return _CLASSES[kind](**fields)
    except (KeyError, TypeError) as error:
        raise UserError(f"{where} does not describe a feature: {error}") from error
