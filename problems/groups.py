"""Groups of problems from several families: the paper's eight tasks, and free ones.

Only names stand here; whether they are registered is seen when a group is used.
"""

from t2t_multimodel.registry import PROBLEM_GROUPS

_SEVEN = (
    "audio_wsj_tokens8k",
    "image_imagenet",
    "image_ms_coco_tokens8k",
    "parsing_english_ptb8k",
    "translate_ende_wmt8k",
    "translate_ende_wmt8k_rev",
    "translate_enfr_wmt8k",
)

PROBLEM_GROUPS.register(
    "multimodel8",
    # The paper's eighth is "the reverse of the above", which is French to English; it
    # is what T2T had and what its authors said to run.
    (*_SEVEN, "translate_enfr_wmt8k_rev"),
    "The paper's eight tasks, the eighth as T2T had it: French to English.",
)

PROBLEM_GROUPS.register(
    "multimodel8_frde",
    (*_SEVEN, "translate_frde_wmt8k"),
    "The paper's eight tasks, the eighth nearer to its words: French to German.",
)

PROBLEM_GROUPS.register(
    "multimodel8_free",
    (
        "audio_librispeech_tokens8k",
        "image_imagenette",
        "image_ms_coco_tokens8k",
        "translate_ende_wmt8k",
        "translate_ende_wmt8k_rev",
        "translate_enfr_wmt8k",
        "translate_enfr_wmt8k_rev",
    ),
    "Stand-ins anyone can download; seven, as there is no free treebank of WSJ's kind.",
)
