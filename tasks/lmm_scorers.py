"""The scorers of written answers by dataset and name, so that a protocol can choose one by name.

The first of each is the rule of the paper's baseline (LLaVA) or the official one; the others reproduce toolkits that
disagree with it, under a date where the toolkit changed its mind. Numbers of different rules do not compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fgbench.metrics import box_answers, exact_match, mmmu, option_matching, vqa
from fgbench.metrics.outcomes import Scorer

SCORERS: Mapping[str, Mapping[str, Scorer[Any]]] = {
    "gqa": {
        "llava": exact_match.llava,
        "lmms-eval": exact_match.lmms_eval,
        "vlmevalkit": exact_match.vlmevalkit,
    },
    "textvqa": {
        "evalai": vqa.evalai,
        "vlmevalkit": vqa.vlmevalkit,
    },
    "mmmu": {
        "strict": mmmu.strict,
        "official-random": mmmu.official_random,
        "lmms-eval-2026-03": mmmu.lmms_eval_2026_03,
        "vlmevalkit-2026-06": mmmu.vlmevalkit_2026_06,
    },
    "refcoco": {
        "llava": box_answers.llava,
        "lmms-eval": box_answers.lmms_eval,
        "vlmevalkit": box_answers.vlmevalkit,
    },
    "mmbench": {
        "exact": option_matching.exact,
        "vlmevalkit-2026-06": option_matching.vlmevalkit_2026_06,
        "exact-cjk": option_matching.exact_cjk,
    },
}
