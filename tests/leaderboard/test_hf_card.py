"""The library that writes a card reads it back."""

from __future__ import annotations

import pytest
from huggingface_hub import ModelCard, ModelCardData

from fgbench.errors import UsageError
from fgbench.leaderboard.hf_card import model_card

from . import good


def read_back(text: str) -> ModelCardData:
    data = ModelCard(text).data
    assert isinstance(data, ModelCardData)
    return data


def test_a_card_is_read_back_as_written() -> None:
    data = read_back(model_card(good.rows(), None) + "\n# our-model\n")
    assert data.model_name == "our-model"
    results = {(each.dataset_type, each.dataset_config, each.metric_type): each for each in data.eval_results or ()}
    assert set(results) == {
        (dataset, None if subset == "*" else subset, metric)
        for dataset, values in good.VALUES.items()
        for subset, metric in values
        if metric not in ("i2t_r5", "t2i_r5")
    }
    hard = results["fg-ovd", "hard", "top1"]
    assert hard.metric_value == 1854 / 3545
    assert hard.dataset_name == "FG-OVD"
    assert hard.dataset_args == {"protocol": "paper", "n": 3545, "data_sha256": "c3" * 32}
    assert results["voc-20", "all", "miou"].task_type == "image-segmentation"


def test_the_miniature_suite_is_named() -> None:
    rows = [{**row, "scope": "miniature"} for row in good.rows()]
    results = read_back(model_card(rows, "our-model")).eval_results
    assert results
    assert all("not the real dataset" in each.dataset_name for each in results)


def test_a_card_is_about_one_model() -> None:
    rows = [*good.rows(), *({**row, "model": "other: {name}"} for row in good.rows())]
    assert read_back(model_card(rows, "other: {name}")).model_name == "other: {name}"
    with pytest.raises(UsageError, match="--model"):
        model_card(rows, None)
    with pytest.raises(UsageError, match="no results of 'third'"):
        model_card(rows, "third")
    with pytest.raises(UsageError, match="no measured results"):
        model_card([], None)
