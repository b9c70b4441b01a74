"""fgbench: a bilingual fine-grained evaluation suite for image-text models.

>>> import fgbench
>>> result = fgbench.evaluate("fgclip2", "fine-grained", data_root="data")  # doctest: +SKIP

The functions below are imported on first use, so that ``import fgbench`` stays cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from fgbench.adapter_kit.check import check_adapter as check_adapter
    from fgbench.api import Evaluation as Evaluation
    from fgbench.api import evaluate as evaluate
    from fgbench.api import plan as plan
    from fgbench.models import load_adapter as load_adapter
    from fgbench.score_api import score as score
    from fgbench.sweep_api import sweep as sweep

_HOMES = {
    "Evaluation": "api",
    "check_adapter": "adapter_kit.check",
    "evaluate": "api",
    "load_adapter": "models",
    "plan": "api",
    "score": "score_api",
    "sweep": "sweep_api",
}

__all__ = ["Evaluation", "__version__", "check_adapter", "evaluate", "load_adapter", "plan", "score", "sweep"]


def __getattr__(name: str) -> Any:
    """Import a public function when it is first used."""
    if name == "__version__":
        # importlib.metadata takes a tenth of a second to import, which --help need not pay.
        from importlib.metadata import version

        return version("fgbench")
    if name not in _HOMES:
        raise AttributeError(f"module 'fgbench' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"fgbench.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """Also the names that are not imported yet, for completion in notebooks."""
    return sorted({*globals(), *__all__})
