"""A plan with a price, from a real model's calibration to the deviation after a run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fgbench import api, plan_api
from fgbench.data.images import probe
from fgbench.models import load_adapter
from fgbench.runner import calibration
from fgbench.runner.identity import identify
from fgbench.runner.run import RunReport


def test_an_estimate_is_remembered_and_can_be_compared_with_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path))
    made = api.plan(dataset=["coco", "gqa"], data_root="mini", limit=2)
    adapter = load_adapter("untrained:fgclip2")
    found = plan_api.estimate(made, adapter, device="cpu")
    assert list(found.datasets) == ["coco"]
    assert "cannot answer" in found.left_out["gqa"]
    assert 0 < found.total.seconds.low <= found.total.seconds.expected <= found.total.seconds.high
    assert found.total == found.datasets["coco"]
    assert found.total.disk.expected == 12 * (4 * adapter.info.dim + 40)  # two pictures, five captions each
    # Nothing is measured a second time.
    monkeypatch.setattr(calibration, "_measured", lambda *_: pytest.fail("measured again"))
    assert plan_api.estimate(made, adapter, device="cpu").total == found.total
    identity, where = identify(adapter, "fp32").fingerprint, torch.device("cpu")
    counters, seconds = {"image_passes": 2, "texts_encoded": 10}, {"encode_images": 3.0, "encode_texts": 1.0}
    report = RunReport((), counters, seconds, probes={ref: probe(ref) for ref in made.datasets[0].images()})
    off = plan_api.after_run(adapter, identity, where, "roi", made.datasets, report)
    assert off is not None
    assert off["actual"] == 4.0
    assert off["ratio"] == pytest.approx(4.0 / found.total.seconds.expected)
    assert plan_api.after_run(adapter, "another model", where, "roi", made.datasets, report) is None


def test_a_dataset_alone_may_need_passes_that_the_plan_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path))
    made = api.plan(dataset=["coco", "coco-box"], data_root="mini", limit=1)
    retrieval, boxes = (each.distinct_images for each in made.datasets)
    assert retrieval <= boxes  # together, they take one pass, with the dense map; retrieval alone takes one without
    found = plan_api.estimate(made, "untrained:fgclip2", device="cpu")
    assert set(found.datasets) == {"coco", "coco-box"}
    assert all(each.seconds.expected > 0 for each in found.datasets.values())
