"""A LLaVA with a NaFlex tower, against its parts called by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from PIL import Image

from fgbench.adapters.llava_naflex import load, untrained
from fgbench.adapters.llava_naflex_files import assemble
from fgbench.adapters.llava_naflex_model import PICTURE
from fgbench.adapters.naflex import target_size
from fgbench.errors import ModelError, UsageError
from fgbench.generator import TOO_LONG, Generator, Reply

from .tiny_lmms import BUDGET, LLAMA, byte_tokenizer, llava_parts, picture, spoken

TEXTS = ["What is it?", "Describe the picture in one word, 请直接回答。", "a" * 40]
PICTURES = [[picture(64, 32, 0)], [picture(20, 90, 1)], [picture(100, 100, 2)]]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llava_parts(tmp_path_factory.mktemp("parts"))


@pytest.fixture(scope="module")
def model(parts: Path) -> Any:
    return load(str(parts / "llava"))


def ask(model: Any, texts: Sequence[str], images: Sequence[Sequence[Image.Image]], most: int = 12) -> list[Reply]:
    with torch.inference_mode():
        replies: list[Reply] = model.generate(texts, images, most)
    return replies


def logits(model: Any, text: str, images: Sequence[Image.Image]) -> torch.Tensor:
    """Of the first new token: [vocabulary]."""
    cut = [model._cut(image) for image in images]
    with torch.inference_mode():
        found: torch.Tensor = model.module([model.tokens(text, len(images))], *model._pictures(cut))[0, -1]
    return found


def tokens_by_hand(parts: Path, model: Any, image: Image.Image) -> torch.Tensor:
    """Tokens of a picture from transformers' own SigLIP 2: processor, all layers, the last state but one."""
    tower = transformers.Siglip2VisionModel.from_pretrained(parts / "vision", dtype=torch.float32)
    inputs = transformers.Siglip2ImageProcessorPil()(images=image, max_num_patches=BUDGET, return_tensors="pt")
    with torch.inference_mode():
        states = tower(**inputs, output_hidden_states=True).hidden_states[-2]
        real = states[0, : int(inputs["spatial_shapes"].prod())]
        vision = model.module.vision
        found: torch.Tensor = vision.linear_2(torch.nn.functional.gelu(vision.linear_1(real)))
    return found


def test_tokens_of_a_picture_are_the_projected_last_states_but_one(parts: Path, model: Any) -> None:
    for (image,) in PICTURES:
        with torch.inference_mode():
            (found,) = model.module.vision(*model._pictures([model._cut(image)]))
        torch.testing.assert_close(found, tokens_by_hand(parts, model, image), rtol=0, atol=1e-5)


def test_answers_are_those_of_the_language_model_called_by_hand(parts: Path, model: Any) -> None:
    """Token by token, without cache and padding."""
    speaker = transformers.LlamaForCausalLM.from_pretrained(parts / "language", dtype=torch.float32)
    table = speaker.get_input_embeddings()
    tokenizer = byte_tokenizer()
    for text, (image,) in zip(TEXTS[:2], PICTURES, strict=False):
        before = tokenizer("USER: ", return_tensors="pt")["input_ids"][0]
        after = tokenizer(f"\n{text} ASSISTANT:", add_special_tokens=False, return_tensors="pt")["input_ids"][0]
        new: list[int] = []
        with torch.inference_mode():
            while len(new) < 6 and LLAMA["eos_token_id"] not in new:
                tail = table(torch.cat([after, torch.tensor(new, dtype=torch.int64)]))
                row = torch.cat([table(before), tokens_by_hand(parts, model, image), tail])
                new.append(int(speaker(inputs_embeds=row[None]).logits[0, -1].argmax()))
        (reply,) = ask(model, [text], [[image]], 6)
        assert reply.text == tokenizer.decode(new, skip_special_tokens=True).strip()
        assert (reply.tokens, reply.truncated) == (len(new), new[-1] != LLAMA["eos_token_id"])


def test_batch_equals_single(model: Any) -> None:
    together = ask(model, TEXTS, PICTURES)
    assert together == [ask(model, [text], [own])[0] for text, own in zip(TEXTS, PICTURES, strict=True)]
    assert len({reply.text for reply in together}) > 1
    cut = [model._cut(own[0]) for own in PICTURES]
    with torch.inference_mode():
        batch = model.module([model.tokens(text, 1) for text in TEXTS], *model._pictures(cut))[:, -1]
    alone = torch.stack([logits(model, text, own) for text, own in zip(TEXTS, PICTURES, strict=True)])
    torch.testing.assert_close(batch, alone, rtol=0, atol=1e-4)


def test_the_picture_matters(model: Any) -> None:
    one, other = (logits(model, "What?", [picture(64, 64, seed)]) for seed in (5, 6))
    assert (one - other).abs().max() > 1e-3


def test_the_number_of_tokens_follows_the_picture(model: Any) -> None:
    counts = {}
    for size in ((64, 64), (96, 32), (20, 90), (33, 30)):
        row = [model.tokens("What?", 1)]
        inputs, mask = model.module.embed(row, *model._pictures([model._cut(picture(*size))]))
        assert inputs.shape[:2] == mask.shape
        width, height = target_size(*size, BUDGET)
        counts[size] = inputs.shape[1] - len(row[0]) + 1
        assert counts[size] == width * height / 16**2
    assert counts[64, 64] == 16 > counts[96, 32] == 12
    assert len(load(model.info.source, budget=64)._cut(picture(64, 64))["patches"]) == 64


def test_several_pictures_and_none(model: Any) -> None:
    pair = [picture(64, 32, 3), picture(32, 64, 4)]
    (reply,) = ask(model, ["Which?"], [pair])
    assert reply == ask(model, ["Which?", "Which one is larger?"], [pair, pair[::-1]])[0]
    assert (logits(model, "Which?", pair) - logits(model, "Which?", pair[::-1])).abs().max() > 1e-3
    assert len(ask(model, ["Hello", "Who are you?"], [[], []])) == 2
    assert ask(model, [], []) == []


def test_it_is_a_generator(model: Any) -> None:
    assert isinstance(model, Generator)


def test_as_many_pictures_as_places(model: Any) -> None:
    with pytest.raises(ValueError, match="Expected 2 pictures, one per place, but got 1"):
        model.module.embed([model.tokens("x", 2)], *model._pictures([model._cut(picture())]))


def test_a_prompt_that_does_not_fit_is_told_and_the_others_are_answered(model: Any) -> None:
    room = LLAMA["max_position_embeddings"] - len(model.tokens("", 1)) - 15 - 12
    replies = ask(model, ["x" * (room + 1), "x" * room], [[picture(64, 64)]] * 2)
    assert replies[0] == Reply("", 0, problem=TOO_LONG)
    assert replies[1].tokens > 0


def test_a_tokenizer_of_another_model(parts: Path, tmp_path: Path) -> None:
    spoken(tmp_path / "language", vocab_size=100)
    model = load(str(assemble(str(parts / "vision"), str(tmp_path / "language"), None, tmp_path / "llava")))
    with pytest.raises(ModelError, match=r"but config\.json has vocab_size 100"):
        model.tokens("x", 0)


def test_names_of_special_tokens_stay_text(model: Any) -> None:
    ids = model.tokens("</s><image>", 1)
    assert (ids == PICTURE).sum() == 1
    assert not set(ids.tolist()) & {LLAMA["eos_token_id"], 4}
    assert ids[0] == LLAMA["bos_token_id"]


def test_teacher_forcing(model: Any) -> None:
    """The loss is the mean over the answers' tokens, whatever else is in the batch."""
    answers = ["yes", "no", "a longer answer"]
    together = model.loss(TEXTS, PICTURES, answers)
    summed, count = 0.0, 0
    for text, own, answer in zip(TEXTS, PICTURES, answers, strict=True):
        length = len(answer.encode()) + 1
        summed += float(model.loss([text], [own], [answer]).detach()) * length
        count += length
    assert float(together.detach()) == pytest.approx(summed / count, rel=1e-4)
    together.backward()
    for name, parameter in model.module.named_parameters():
        # A key's bias shifts all scores of a query alike, and the softmax does not see that.
        assert parameter.grad is not None, name
        assert "k_proj.bias" in name or parameter.grad.abs().sum() > 0, name
    model.module.zero_grad()


def test_it_learns(parts: Path) -> None:
    torch.manual_seed(0)
    model = load(str(parts / "llava"))
    optimiser = torch.optim.Adam(model.module.parameters(), lr=5e-3)
    images, answers = [[Image.new("RGB", (16, 16), colour)] for colour in ("red", "blue")], ["r", "b"]
    model.module.train()
    for _ in range(25):
        optimiser.zero_grad()
        loss = model.loss(["?", "?"], images, answers)
        loss.backward()
        optimiser.step()
    model.module.eval()
    assert [reply.text for reply in ask(model, ["?", "?"], images)] == answers


def test_untrained_ones_are_the_same_for_the_same_seed() -> None:
    one, same, other = (untrained("llava", seed=seed) for seed in (1, "1", 2))
    assert torch.equal(one.module.vision.linear_1.weight, same.module.vision.linear_1.weight)
    assert not torch.equal(one.module.vision.linear_1.weight, other.module.vision.linear_1.weight)
    picture = Image.new("RGB", (40, 30), "red")
    assert len(one.generate(["What is it?", "猫"], [[picture], [picture]], 4)) == 2
    assert "random" in one.info.notes[0]
    with pytest.raises(UsageError, match="llava"):
        untrained("llama")
    with pytest.raises(UsageError, match="whole number"):
        untrained("llava", seed="x")
