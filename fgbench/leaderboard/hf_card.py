"""Results as the ``model-index`` of a model card on the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Iterable

from fgbench import selection
from fgbench.errors import UsageError
from fgbench.leaderboard.columns import MEASURED, MINIATURE, Row

_HUB_TASKS = {
    "box-classification": "zero-shot-image-classification",
    "classification": "zero-shot-image-classification",
    "detection": "zero-shot-object-detection",
    "segmentation": "image-segmentation",
    "lmm": "image-text-to-text",
}
"""The hub's name of a task by ours; a task without one goes by its own."""


def model_card(rows: Iterable[Row], model: str | None) -> str:
    """Front matter of a model card, to be put at the head of its README.md.

    Only main numbers. Written and checked by ``huggingface_hub``.

    Args:
        rows: measured rows.
        model: whose; may be None if there is one only.

    Raises:
        UsageError: no rows, several models, or none of this name.
    """
    from huggingface_hub import EvalResult, ModelCardData

    rows = [row for row in rows if row["origin"] == MEASURED and row["main"] == "1"]
    names = list(dict.fromkeys(row["model"] for row in rows))
    if model is None and len(names) == 1:
        model = names[0]
    if not names:
        raise UsageError("hf-card: no measured results among the inputs. Give records or a leaderboard file.")
    if model not in names:
        wanted = f"no results of {model!r}" if model else "a card is about one model: name it with --model"
        raise UsageError(f"hf-card: {wanted}. Models with measured results: {', '.join(names)}.")
    results = []
    for row in rows:
        if row["model"] != model:
            continue
        _, spec = selection.datasets().get(row["dataset"])
        miniature = " (miniature suite, not the real dataset)" if row["scope"] == MINIATURE else ""
        results.append(
            EvalResult(
                task_type=_HUB_TASKS.get(spec.task, spec.task),
                task_name=selection.tasks().get(spec.task).title,
                dataset_type=spec.id,
                dataset_name=spec.title + miniature,
                dataset_config=None if row["subset"] == "*" else row["subset"],
                dataset_args={"protocol": row["protocol"], "n": int(row["n"]), "data_sha256": row["data_sha256"]},
                metric_type=row["metric"],
                metric_name=f"{row['metric']} (fgbench {row['fgbench']}, protocol {row['protocol']})",
                metric_value=float(row["value"]),
            )
        )
    return f"---\n{ModelCardData(model_name=model, eval_results=results).to_yaml()}\n---\n"
