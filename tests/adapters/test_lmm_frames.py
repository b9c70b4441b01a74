"""Chat frames, letter by letter as the toolkits write them."""

from __future__ import annotations

import pytest

from fgbench.adapters.lmm_frames import FRAMES, TEMPLATE, find_frame
from fgbench.errors import UsageError


@pytest.mark.parametrize(
    ("name", "pictures", "expected"),
    [
        (
            "vicuna_v1",
            1,
            "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
            "detailed, and polite answers to the user's questions. USER: <image>\nWhat? ASSISTANT:",
        ),
        (
            "vicuna_v1",
            2,
            "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
            "detailed, and polite answers to the user's questions. USER: <image> <image>\nWhat? ASSISTANT:",
        ),
        (
            "vicuna_v1",
            0,
            "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
            "detailed, and polite answers to the user's questions. USER: What? ASSISTANT:",
        ),
        ("short", 1, "USER: <image>\nWhat? ASSISTANT:"),
        (
            "vlmevalkit",
            2,
            "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, "
            "detailed, and polite answers to the human's questions. USER:  <image>  <image> What? ASSISTANT: ",
        ),
    ],
)
def test_frames(name: str, pictures: int, expected: str) -> None:
    parts = FRAMES[name].parts("What?", pictures)
    assert len(parts) == pictures + 1
    assert "<image>".join(parts) == expected


def test_finding_a_frame() -> None:
    assert find_frame(TEMPLATE, template=True) is None
    assert find_frame("short", template=False) is FRAMES["short"]
    with pytest.raises(UsageError, match=r"frame=hf: expected one of vicuna_v1, short, vlmevalkit\."):
        find_frame(TEMPLATE, template=False)
    with pytest.raises(UsageError, match=r"expected one of .*, hf\."):
        find_frame("vicuna", template=True)
