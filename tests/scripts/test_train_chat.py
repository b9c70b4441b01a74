"""The chat model's training script at toy size: it asks what the suite asks, goes on after a kill, and loads."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from tokenizers import Tokenizer

from fgbench.adapters.llava_naflex import LlavaNaflexGenerator, load
from fgbench.adapters.llava_naflex_model import LlavaNaflex
from fgbench.adapters.naflex import NaflexPreprocessor
from fgbench.data.files import DatasetFiles
from fgbench.data.mini.boxes import COCO_SCENES
from fgbench.data.mini.chat import GQA_SCENES, MMBENCH_SCENES, MMMU_SCENES, TEXTVQA_SCENES, write_chat
from fgbench.data.mini.files import scenes
from fgbench.data.mini.world import questions, render, scene
from fgbench.metrics.box_answers import Target, ious
from fgbench.tasks.lmm import TASK
from scripts.train_chat import chance, network, training, turns
from scripts.train_chat import tokenizer as tokenizers
from scripts.train_chat.evaluation import Evaluation
from scripts.train_chat.objectives import Objectives
from scripts.train_chat.packing import Batch, Packer
from scripts.train_chat.pictures import Gallery, Picture
from scripts.train_chat.training import Plan, train

WEIGHTS = Path(__file__).resolve().parents[2] / "adapters/weights"
TOWER = WEIGHTS / "fgclip2-tiny"
SHIPPED = WEIGHTS / "llava-tiny"
TOY = Plan(
    steps=4,
    looking=1,
    batch=2,
    warmup=1,
    cooling=1,
    fresh=1,
    window=3,
    evaluate_every=4,
    save_every=2,
    evaluation_scenes=2,
)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return tokenizers.build()


SCENES = {
    "gqa": GQA_SCENES,
    "textvqa": TEXTVQA_SCENES,
    "mmmu": MMMU_SCENES,
    "refcoco": COCO_SCENES,
    "mmbench-en": MMBENCH_SCENES["dev"],
    "mmbench-cn": MMBENCH_SCENES["dev"],
}


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suite")
    write_chat(folder)
    return folder


@pytest.fixture(scope="module")
def trained(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    train(TOY, tokenizer, TOWER, folder, print)
    return folder


def test_the_tokenizer_is_the_same_every_time_and_loses_nothing(tokenizer: Tokenizer) -> None:
    assert tokenizers.build().to_str() == tokenizer.to_str()
    for text in ("What colour is it?", "图中有几个三角形？", "[0.05, 0.11, 1.00, 0.30]", "a 猫 🐈\n\tZebra!", "  two"):
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids) == f" {text}"
    assert tokenizer.encode("<s></s>", add_special_tokens=False).ids[-1] != tokenizers.EOS


def test_each_word_and_coordinate_is_one_piece(tokenizer: Tokenizer) -> None:
    words = [tokenizers.word(tokenizer, each) for table in tokenizers.TABLES for each in table.values()]
    assert all(len(pair) == 2 for pair in words)
    [ids] = [tokenizer.encode("[0.05, 0.11, 1.00, 0.30]", add_special_tokens=False).tokens]
    assert [piece for piece in ids if piece in tokenizers.COORDINATES] == ["0.05", "0.11", "1.00", "0.30"]
    assert len(ids) == 9


@pytest.mark.parametrize("row", SCENES)
def test_questions_are_those_of_the_suite(row: str, suite: Path) -> None:
    """Word for word, and with what the suite counts as right."""
    spec = next(spec for spec in TASK.datasets if spec.id == row)
    loaded = TASK.load(spec, DatasetFiles(spec, suite), None)
    own = [turn for each in scenes(*SCENES[row]) for turn in turns.held_out(each) if turn.row == row]
    asked = [
        (prompt.text, question)
        for prompt, question in zip(loaded.items.prompts, loaded.items.questions.rows, strict=True)
        if not (row.startswith("mmbench") and question.subset == "test")
    ]
    if row != "refcoco":
        assert Counter((text, question.answers[0]) for text, question in asked) == Counter(
            (turn.prompt, turn.answer) for turn in own
        )
        return
    assert Counter(text for text, _ in asked) == Counter(turn.prompt for turn in own)
    for text, question in asked:
        written = [turn.answer for turn in own if turn.prompt == text]  # other pictures may have such a thing, too
        target = Target(question.box, *question.size)
        assert max(ious(written, [target] * len(written))) > 0.85  # coordinates have two decimals


def test_what_a_question_sees_is_what_it_sees_alone(tokenizer: Tokenizer) -> None:
    """The packed batch gives the scores that the adapter's own network gives, prompt by prompt."""
    module = network.build(TOWER, tokenizer, 0).eval()
    gallery = Gallery(module, tokenizer, frozen=2, kept=4)
    pictures = [gallery.picture("train", number) for number in (3, 8)]
    assert len({len(picture.states) for picture in pictures}) == 2  # one is padded
    conversations = [picture.drawer.turns(random.Random(0))[::4] for picture in pictures]
    batch = Packer(tokenizer).pack(conversations, [len(picture.states) for picture in pictures])
    objectives = Objectives(module, tokenizer, 2, 0).eval()
    with torch.inference_mode():
        packed = objectives.answers(objectives.tokens(pictures), batch)
        generator = _generator(module, tokenizer)
        number = 0
        for picture, turns_of_it in zip(pictures, conversations, strict=True):
            cut = NaflexPreprocessor()(render(picture.scene), f"naflex-{network.BUDGET}")
            for turn in turns_of_it:
                answer = [*tokenizer.encode(turn.answer, add_special_tokens=False).ids, tokenizers.EOS]
                row = torch.cat([generator.tokens(turn.prompt, 1), torch.tensor(answer)])
                alone = module([row], cut["patches"][None], cut["shape"][None])[0, -1 - len(answer) : -1]
                mine = batch.turn == number
                assert batch.wanted[mine].tolist() == answer
                torch.testing.assert_close(packed[mine], alone, atol=0.03, rtol=0)  # states are kept in half precision
                number += 1
    assert number == len(batch.turns)


def test_what_else_is_learned_stands_where_it_is_said(tokenizer: Tokenizer) -> None:
    """The ends of descriptions, the beginnings of options with their letters, and answers in words."""
    made = scene("train", 5)
    conversations = [turns.Drawer(made).turns(random.Random(number)) for number in range(2)]
    batch = Packer(tokenizer).pack(conversations, [60, 80])
    pieces = [str(tokenizer.id_to_token(number)) for number in batch.turns.flatten().tolist()]
    asked = [turn for conversation in conversations for turn in conversation]
    ends = [turn.prompt.rstrip(".。") for turn in asked if turn.thing is not None]
    assert all(
        end.endswith(pieces[place].replace("▁", " ").strip()) for end, place in zip(ends, batch.described, strict=True)
    )
    worded = [turn for turn in asked if turn.thing is None]
    for turn, place, meant in zip(worded, batch.ready.tolist(), batch.meant.tolist(), strict=True):
        assert pieces[place] == "▁ASSISTANT:"
        assert turn.said.startswith(str(tokenizer.id_to_token(meant)).replace("▁", " ").strip())
    options = [line for turn in worded for line in turn.prompt.split("\n") if re.match(r"\(?[A-D][.)] ", line)]
    assert len(options) == len(batch.options) > 20
    for line, place, letter in zip(options, batch.options.tolist(), batch.letters.tolist(), strict=True):
        assert str(tokenizer.id_to_token(letter)) == f"▁{line.strip('(')[0]}"
        assert line.split(" ", 1)[1].startswith(pieces[place].replace("▁", " ").strip())


def test_every_loss_reaches_its_parameters(tokenizer: Tokenizer) -> None:
    module = network.build(TOWER, tokenizer, 0)
    gallery, objectives = Gallery(module, tokenizer, 2, 4), Objectives(module, tokenizer, 2, 0)
    pictures, batch = training._batch(TOY, gallery, Packer(tokenizer), 0)
    losses = objectives(pictures, batch)
    assert set(losses) == set(training._WEIGHTS)
    torch.autograd.backward(list(losses.values()))
    idle = {name for name, each in objectives.named_parameters() if each.grad is None or not each.grad.any()}
    frozen = ("module.vision.embeddings.", "module.vision.encoder.layers.0.", "module.vision.encoder.layers.1.")
    assert idle == {name for name, _ in objectives.named_parameters() if name.startswith(frozen)}


def test_a_killed_run_goes_on_to_the_same_weights(
    tokenizer: Tokenizer, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = training._batch

    def killed(plan: Plan, gallery: Gallery, packer: Packer, step: int) -> tuple[list[Picture], Batch]:
        if step == 3:
            raise KeyboardInterrupt
        return real(plan, gallery, packer, step)

    monkeypatch.setattr(Evaluation, "run", lambda self, objectives: {})
    with monkeypatch.context() as patched:
        patched.setattr(training, "_batch", killed)
        with pytest.raises(KeyboardInterrupt):
            train(TOY, tokenizer, TOWER, tmp_path, print)
    train(TOY, tokenizer, TOWER, tmp_path, print)
    one, other = (safetensors.torch.load_file(f / "model/model.safetensors") for f in (tmp_path, trained))
    assert all(torch.equal(one[key], other[key]) for key in one | other)


def test_what_is_written_can_be_loaded(trained: Path) -> None:
    model = load(str(trained / "model"))
    assert model.info.frame == turns.FRAME
    [reply] = model.generate(["Where is the star?"], [[render(scene("evaluation", 0))]], 3)
    assert reply.tokens <= 3
    [line] = (trained / "log.jsonl").read_text(encoding="utf-8").splitlines()
    found = json.loads(line)
    assert found["step"] == 4
    assert {*turns.ROWS, "mmbench-cn/circular", "gqa/colour"} <= set(found)
    assert all(0 <= value <= 100 for value in found.values())
    assert found["gqa"] < 100
    assert found["refcoco"] == 0  # so soon
    tower, seen = (safetensors.torch.load_file(folder / "model.safetensors") for folder in (TOWER, trained / "model"))
    changed = {
        number: not torch.equal(tower[f"vision_model.{name}"], seen[f"vision.{name}"])
        for number in range(4)
        for name in [f"encoder.layers.{number}.mlp.fc1.weight"]
    }
    assert changed == {0: False, 1: False, 2: True, 3: True}


def test_what_is_shipped_is_what_the_script_makes(tokenizer: Tokenizer) -> None:
    assert (SHIPPED / "tokenizer.json").read_text(encoding="utf-8") == tokenizer.to_str()
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 3_500_000
    module = load(str(SHIPPED)).module
    assert module.config.to_dict() == network.build(TOWER, tokenizer, 0).config.to_dict()


def test_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of MMBench's rotations each has to be guessed right; an open question is guessed among the known answers."""
    monkeypatch.setattr(chance, "_TRAINING", 30)
    shown = [scene("evaluation", number) for number in range(6)]
    asked = [question for each in shown for question in questions(each, "zh")]
    guessed, prior = chance.chance("mmbench-cn", shown)
    assert guessed == pytest.approx(100 * np.mean([1 / len(q.options) ** len(q.options) for q in asked]))
    assert guessed < prior < 100
    guessed, prior = chance.chance("mmmu", shown)
    closed = [q for each in shown for q in questions(each, "en") if q.skill != "count"]
    numbers = 5  # answers to questions for a number
    expected = [1 / len(q.options) for q in closed] + [1 / numbers] * len(shown)
    assert guessed == pytest.approx(100 * np.mean(expected))


def _generator(module: LlavaNaflex, tokenizer: Tokenizer) -> LlavaNaflexGenerator:
    return LlavaNaflexGenerator(module, tokenizer, frame=None, budget=network.BUDGET, name="it", source="a test")
