"""What the network must know of a problem: the nets on its two sides."""

import dataclasses
from collections.abc import Mapping

from t2t_multimodel.data.features import Feature, Text
from t2t_multimodel.data.spaces import SpaceId


@dataclasses.dataclass(frozen=True)
class ProblemSpec:
    """A problem as the network sees it.

    Args:
        name: The problem's name.
        inputs: Feature on the input side.
        targets: Feature on the target side: text or a class label.
        vocab_sizes: Vocabulary name to its real number of sub-words.
    """

    name: str
    inputs: Feature
    targets: Feature
    vocab_sizes: Mapping[str, int]

    @property
    def target_space_id(self) -> SpaceId:
        """Row of the command-token table that starts the decoder."""
        return self.targets.space

    @property
    def is_classification(self) -> bool:
        """Whether the encoder's output goes straight to the categorical net."""
        return self.targets.kind == "class_label"

    def vocab_size(self, feature: Text) -> int:
        """Returns the number of sub-words of a text feature's vocabulary."""
        return self.vocab_sizes[feature.vocabulary.name]
