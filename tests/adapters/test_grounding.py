"""LLMDet's class scores against a slow computation from the model's own output; nothing is computed twice or padded."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from fgbench.adapters.grounding import clean, corners, load
from fgbench.detector import Detector, load_detector
from fgbench.errors import ModelError, UsageError

from .tiny_detector import build

NAMES = ["cat", "remote_control", "bow_(weapon)", "Red_dog", "bow_(decorative_ribbons)", "zebra", "cat"]
STOP = 1012


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("detectors") / "tiny")


@pytest.fixture(scope="module")
def detector(folder: Path) -> Detector:
    loaded: Detector = load(str(folder), chunk_size=5)
    return loaded


@pytest.fixture(scope="module")
def original(folder: Path) -> Any:
    """The model as transformers loads it."""
    return transformers.AutoModelForZeroShotObjectDetection.from_pretrained(folder).eval()


@pytest.fixture(scope="module")
def processor(folder: Path) -> Any:
    return transformers.GroundingDinoProcessor(
        transformers.AutoImageProcessor.from_pretrained(folder, backend="pil"),
        transformers.AutoTokenizer.from_pretrained(folder),
    )


def picture(seed: int, size: tuple[int, int] = (80, 50)) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(noise)


@pytest.fixture(scope="module")
def names(shared: Path) -> list[str]:
    """The 1,203 categories of LVIS v1 in the order of their ids."""
    with (shared / "data/lvis_v1_categories.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [int(row["id"]) for row in rows] == list(range(1, 1204))
    return [row["name"] for row in rows]


def by_hand(output: Any, ids: list[int]) -> list[list[list[float]]]:
    """[image][query][class]: tokens belong to the class between two full stops; sigmoid and mean, number by number."""
    classes: list[list[int]] = [[]]
    for position, token in enumerate(ids[1:-1], start=1):
        if token == STOP:
            classes.append([])
        else:
            classes[-1].append(position)
    return [
        [
            [sum(1 / (1 + math.exp(-query[token])) for token in tokens) / len(tokens) for tokens in classes[:-1]]
            for query in image
        ]
        for image in output.logits.tolist()
    ]


def test_scores_and_boxes_from_the_models_own_output(detector: Detector, original: Any, processor: Any) -> None:
    image = picture(1)
    chunks = detector.prepare(NAMES)
    assert [(chunk.start, chunk.size) for chunk in chunks] == [(0, 5), (5, 2)]
    assert chunks[0].prompt == "cat. remote control. bow . Red dog. bow . "
    with torch.inference_mode():
        seen = detector.look(detector.pixels(image)[None])
        for chunk in chunks:
            found = detector.detect(seen, chunk)
            inputs = processor(images=image, text=chunk.prompt, return_tensors="pt")
            output = original(**inputs)
            expected = by_hand(output, inputs["input_ids"][0].tolist())
            assert found.scores.shape == (1, 20, chunk.size)
            assert np.allclose(found.scores.numpy(), expected, atol=1e-6)
            for box, centred in zip(found.boxes[0].tolist(), output.pred_boxes[0].tolist(), strict=True):
                cx, cy, width, height = centred
                sides = (cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2)
                assert box == pytest.approx([min(max(side, 0), 1) for side in sides], abs=1e-6)


def test_the_given_backbone_changes_no_bit(detector: Detector, original: Any, processor: Any) -> None:
    """And the image backbone runs once, whatever the number of chunks."""
    image, chunks = picture(2), detector.prepare(NAMES)
    runs: list[int] = []
    backbone = detector.module.get_submodule("model.backbone.original")
    hook = backbone.register_forward_hook(lambda *_: runs.append(1))
    module: Any = detector.module
    seen_logits: list[torch.Tensor] = []
    watch = module.register_forward_hook(lambda *arguments: seen_logits.append(arguments[2].logits))
    with torch.inference_mode():
        seen = detector.look(detector.pixels(image)[None])
        found = [detector.detect(seen, chunk) for chunk in (*chunks, chunks[0])]
        for chunk, logits in zip(chunks, seen_logits, strict=False):
            inputs = processor(images=image, text=chunk.prompt, return_tensors="pt")
            assert torch.equal(logits, original(**inputs).logits)
    hook.remove()
    watch.remove()
    assert runs == [1]
    assert torch.equal(found[0].scores, found[2].scores)  # the features given were left as they were
    with torch.inference_mode():  # without features given, the model is the original again
        again = module(**processor(images=image, text="cat.", return_tensors="pt"))
        assert torch.equal(again.logits, original(**processor(images=image, text="cat.", return_tensors="pt")).logits)


def test_chunks_of_other_lengths_beside_it_change_nothing(detector: Detector, original: Any, processor: Any) -> None:
    """The text padding of a batch: the official way to run several prompts at once."""
    image, chunks = picture(3), detector.prepare(NAMES)
    with torch.inference_mode():
        texts = [chunk.prompt for chunk in chunks]
        both = original(**processor(images=[image, image], text=texts, padding=True, return_tensors="pt"))
        seen = detector.look(detector.pixels(image)[None])
        for row, chunk in enumerate(chunks):
            found = detector.detect(seen, chunk)
            logits = both.logits[row, :, : chunk.inputs.ids.shape[1]]
            assert torch.allclose(found.scores[0], logits.sigmoid() @ chunk.inputs.share, atol=1e-5)


def test_pictures_of_a_batch_are_independent(detector: Detector) -> None:
    chunk = detector.prepare(NAMES)[0]
    pixels = [detector.pixels(picture(seed)) for seed in (4, 5)]
    with torch.inference_mode():
        both = detector.detect(detector.look(torch.stack(pixels)), chunk)
        for row, each in enumerate(pixels):
            alone = detector.detect(detector.look(each[None]), chunk)
            assert torch.allclose(both.scores[row], alone.scores[0], atol=1e-5)
            assert torch.allclose(both.boxes[row], alone.boxes[0], atol=1e-5)


@pytest.mark.parametrize(
    ("size", "treated"), [((640, 480), (64, 85)), ((30, 500), (107, 6)), ((480, 640), (85, 64)), ((64, 64), (64, 64))]
)
def test_picture_treatment(detector: Detector, size: tuple[int, int], treated: tuple[int, int]) -> None:
    """Short side 64 unless the long one exceeds 107; bilinear; ImageNet's mean and standard deviation."""
    image = picture(6, size)
    pixels = detector.pixels(image)
    assert tuple(pixels.shape) == (3, *treated)
    resized = np.asarray(image.resize(treated[::-1], Image.Resampling.BILINEAR), dtype=np.float64) / 255
    expected = (resized - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert np.allclose(pixels.numpy(), expected.transpose(2, 0, 1), atol=1e-5)


def test_names_of_lvis(names: list[str]) -> None:
    cleaned = [clean(name) for name in names]
    assert cleaned[names.index("Band_Aid")] == "Band Aid"
    assert cleaned[names.index("bat_(animal)")] == "bat "
    assert not any(set("_()") & set(name) for name in cleaned)
    count = Counter(name.strip().lower() for name in cleaned)
    assert {name for name, times in count.items() if times > 1} == {"bow", "fish", "octopus", "pan", "salmon"}


def test_the_colliding_names_keep_columns_of_their_own(tmp_path: Path, names: list[str]) -> None:
    """31 chunks of 40, the last of 3; both classes of each pair are scored, from tokens of their own."""
    words = {word.lower() for name in names for word in clean(name).split()}
    detector = load(str(build(tmp_path / "lvis", sorted(words))))
    chunks = detector.prepare(names)
    assert [chunk.size for chunk in chunks] == [40] * 30 + [3]
    assert [chunk.start for chunk in chunks] == list(range(0, 1203, 40))
    share = torch.cat([chunk.inputs.share.sum(0) for chunk in chunks])
    assert torch.allclose(share, torch.ones(1203))
    for chunk in chunks:
        assert (chunk.inputs.share > 0).sum(1).max() == 1, "no token belongs to two classes"
    for word in ("bow", "fish", "octopus", "pan", "salmon"):
        one, two = (i for i, name in enumerate(names) if clean(name).strip().lower() == word)
        assert one // 40 == two // 40
        columns = chunks[one // 40].inputs.share[:, [one % 40, two % 40]]
        assert (columns.prod(1) == 0).all()
    with torch.inference_mode():
        found = detector.detect(detector.look(detector.pixels(picture(7))[None]), chunks[-1])
    assert found.scores.shape == (1, 20, 3)


def test_too_long_a_prompt(detector: Detector) -> None:
    with pytest.raises(ModelError, match=r"5 class names from 'a{60}' to .* take 307 tokens; .* reads 256"):
        detector.prepare(["a" * 60] * 5)


def test_a_name_that_is_no_name(detector: Detector) -> None:
    with pytest.raises(ModelError, match="nothing of it is left"):
        detector.prepare(["cat", "(animal)"])


def test_special_tokens_in_a_name_are_read_as_text(detector: Detector) -> None:
    chunk = detector.prepare(["cat", "[SEP]"])[0]
    assert chunk.inputs.ids[0].tolist().count(102) == 1
    assert chunk.inputs.share.sum(0).tolist() == pytest.approx([1, 1])


def test_corners_are_clamped() -> None:
    boxes = torch.tensor([[0.5, 0.5, 0.5, 1.5], [0.0, 1.0, 0.5, 0.5]])
    assert corners(boxes).tolist() == [[0.25, 0, 0.75, 1], [0, 0.75, 0.25, 1]]


def test_info(folder: Path) -> None:
    info = load_detector(str(folder)).info
    assert (info.name, info.source, info.family) == ("tiny", "local:tiny", "grounding")
    assert (info.chunk_size, info.pairs_per_chunk) == (40, 300)
    assert info.image_rule == "short side 64, long side up to 107, bilinear, unpadded"
    assert {"model.safetensors", "config.json", "preprocessor_config.json", "tokenizer.json"} <= set(info.files)


def test_other_models_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "owlvit"}), encoding="utf-8")
    with pytest.raises(UsageError, match="of type 'owlvit'; expected 'mm-grounding-dino'"):
        load(str(tmp_path))


def test_another_picture_treatment_is_refused(tmp_path: Path) -> None:
    folder = build(tmp_path / "tiny")
    path = folder / "preprocessor_config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | {"size": {"height": 64, "width": 64}}
    path.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match=r"size\.shortest_edge and longest_edge"):
        load(str(folder))


def test_incomplete_weights_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = build(tmp_path / "tiny")
    weights = load_file(folder / "model.safetensors")
    del weights["model.text_projection.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"1 missing: model\.text_projection\.weight"):
        load(str(folder))
