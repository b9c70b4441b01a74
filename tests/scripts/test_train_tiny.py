"""The training script at toy size: it runs, goes on after a kill, and writes models that the adapter loads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from tokenizers import Tokenizer

from fgbench.adapters.fgclip2 import EOS, PAD, FgClip2Adapter, load
from fgbench.data.mini.world import LABELS, label_map, long_caption, mask, scene, short_captions
from fgbench.data.mini.world.scenes import seeded
from fgbench.data.mini.world.vocabulary import STUFF
from fgbench.requests import TextKind
from scripts.train_tiny import network, training
from scripts.train_tiny import tokenizer as tokenizers
from scripts.train_tiny.auxiliary import Auxiliary
from scripts.train_tiny.evaluation import Evaluation
from scripts.train_tiny.examples import LANGUAGES, LENGTH, Example, Reader, patch_labels
from scripts.train_tiny.objectives import Step
from scripts.train_tiny.prompts import STRANGERS, TEMPLATES, label_prompts, prompt
from scripts.train_tiny.training import Plan, rate, train

TOY = Plan(
    steps=4,
    looking=1,
    batch=4,
    warmup=1,
    fresh=2,
    window=8,
    large_every=9,
    early=2,
    evaluate_every=4,
    save_every=2,
    evaluation_scenes=12,
)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return tokenizers.build()


@pytest.fixture(scope="module")
def trained(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    train(TOY, tokenizer, folder, print)
    return folder


def test_the_tokenizer_is_the_same_every_time_and_loses_nothing(tokenizer: Tokenizer) -> None:
    assert tokenizers.build().to_str() == tokenizer.to_str()
    assert tokenizer.get_vocab_size() == tokenizers.SIZE
    for text in ("a red star on the left", "一个大的红色条纹五角星。", "a photo of 猫 🐈", "Zebra!"):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text
        assert tokenizer.encode(text).ids[-1] == EOS


def test_captions_fit(tokenizer: Tokenizer) -> None:
    """Nothing that the world says is cut off; the few longest short captions in Chinese may be."""
    cut = 0
    for number in range(300):
        made = scene("evaluation", number)
        for language in LANGUAGES:
            assert len(tokenizer.encode(long_caption(made, language)).ids) <= LENGTH["long"]
            cut += sum(len(tokenizer.encode(text).ids) > LENGTH["short"] for text in short_captions(made, language))
    assert cut < 0.02 * 3000


def test_ids_are_those_of_the_adapter(tokenizer: Tokenizer, trained: Path) -> None:
    texts = ["a red star.", "五角星", "word " * 100, ""]
    adapter = load(str(trained / "model"))
    for kind, length in LENGTH.items():
        expected, _ = adapter.tokenise(texts, kind)
        ids = Reader(tokenizer).ids(texts, length)
        assert torch.equal(ids, expected)
        assert ids[1, -1] == PAD


def test_a_killed_run_goes_on_to_the_same_weights(
    tokenizer: Tokenizer, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = training._batch

    def killed(plan: Plan, reader: Reader, step: int) -> list[Example]:
        if step == 3:
            raise KeyboardInterrupt
        return real(plan, reader, step)

    monkeypatch.setattr(Evaluation, "run", lambda self, model: {})
    with monkeypatch.context() as patched:
        patched.setattr(training, "_batch", killed)
        with pytest.raises(KeyboardInterrupt):
            train(TOY, tokenizer, tmp_path, print)
    train(TOY, tokenizer, tmp_path, print)
    for name in ("early", "model"):
        one, other = (safetensors.torch.load_file(f / name / "model.safetensors") for f in (tmp_path, trained))
        assert all(torch.equal(one[key], other[key]) for key in one | other)


def test_what_is_written_can_be_loaded(trained: Path) -> None:
    adapter = load(str(trained / "model"))
    assert isinstance(adapter, FgClip2Adapter)
    assert adapter.info.text_length == LENGTH
    assert adapter.info.settings["weights_stored_as"] == "float16"
    assert (trained / "model/model.safetensors").stat().st_size < 10_000_000
    vectors = adapter.encode_texts(["a red star", "一个红色五角星"], "box").vectors
    assert vectors.shape == (2, network.SIZES["width"])
    early = load(str(trained / "early")).encode_texts(["a red star", "一个红色五角星"], "box").vectors
    assert not torch.equal(early, vectors)
    [line] = (trained / "log.jsonl").read_text(encoding="utf-8").splitlines()
    found = json.loads(line)
    assert found["step"] == 4
    assert {f"hard-{language}" for language in LANGUAGES} <= set(found)
    assert all(0 <= value <= 100 for value in found.values())


def test_every_loss_reaches_its_parameters(tokenizer: Tokenizer) -> None:
    """All parts of the model learn, but for the bias of the logits and the unused rows and probe."""
    reader, model = Reader(tokenizer), network.build(tokenizer.get_vocab_size(), 0)
    auxiliary = Auxiliary(model.config.dim, 0)
    batch = [reader.example("train", number, 128) for number in (6, 7, 8)]
    kinds: tuple[TextKind | None, ...] = (None, "short", "long", "short")
    for seed, texts in enumerate(kinds):
        losses = Step(model, auxiliary, reader, batch, seeded(seed)).losses(texts=texts)
        wanted = set(training._WEIGHTS) - (set() if texts else {"caption", "region"})
        assert set(losses) == wanted
        torch.autograd.backward(list(losses.values()))
    idle = {name for name, parameter in model.named_parameters() if parameter.grad is None or not parameter.grad.any()}
    assert idle == {"logit_bias", "dense_feature_head.probe"}


def test_labels_of_patches_are_those_of_the_pixels() -> None:
    made = scene("evaluation", 5)
    width, height = made.canvas
    rows, columns = height // 16, width // 16
    labels, points = (part.view(rows, columns, -1) for part in patch_labels(label_map(made), rows, columns))
    pixels = label_map(made)[: rows * 16, : columns * 16].reshape(rows, 16, columns, 16)
    for row in range(rows):
        for column in range(columns):
            cut = pixels[row, :, column].ravel()
            assert float(points[row, column].mean()) == pytest.approx((cut >= len(STUFF)).mean(), abs=0.3)
            shares = np.bincount(cut, minlength=len(LABELS)) / 256
            if shares.max() > 0.8:
                assert labels[row, column] == shares.argmax()
            if shares.max() < 0.4:
                assert labels[row, column] == -1
    assert any(LABELS.index(thing.kind) in labels for thing in made.things if mask(made, thing).sum() > 1000)


def test_prompts() -> None:
    rng = seeded("prompts")
    assert len(TEMPLATES["en"]) == len(TEMPLATES["zh"]) == 80
    made = label_prompts(rng, "en", 4)
    assert len(made) == len(LABELS) + 4
    assert all(text == text.lower() for text in made)
    assert {prompt("star", "en", rng) for _ in range(50)} >= {"star"}
    assert not {"umbrella", "television", "tent"} & set(STRANGERS["en"])


def test_the_learning_rate_rises_and_falls() -> None:
    plan = Plan(schedule=100, warmup=10, looking=20, rate=1.0)
    rates = [rate(plan, step) for step in range(100)]
    assert rates.index(max(rates)) in (9, 10)
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] < 0.03
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[10] == rates[20] > rates[21]
