from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from fgbench.data.images import Probe
from fgbench.errors import RankError, StoreError
from fgbench.requests import ImageRef
from fgbench.runner import store as store_module
from fgbench.runner.ranks import Ranks
from fgbench.runner.store import AnswerStore
from fgbench.runner.together import Unit, check_complete, share_broken, share_files, total

from ..processes import in_threads


def key(number: int) -> bytes:
    return bytes([number]) * 16


@pytest.mark.parametrize("everyone", [True, False])
def test_files_of_others_are_seen(tmp_path: Path, everyone: bool) -> None:
    def action(ranks: Ranks) -> list[bool]:
        store = AnswerStore(tmp_path)
        ranks.gather(None)  # all have looked into the empty folder
        store.write([key(ranks.rank)], [b"answer %d" % ranks.rank])
        share_files(ranks, [store], everyone=everyone)
        if ranks.first:
            assert store.read([key(2), key(0)]) == [b"answer 2", b"answer 0"]
        return [bool(each) for each in store.has([key(rank) for rank in range(3)])]

    found = [each.result() for each in in_threads(3, action)]
    assert found[0] == [True] * 3
    assert found[1:] == ([[True] * 3] * 2 if everyone else [[False, True, False], [False, False, True]])


def test_the_same_chunk_twice_is_refused(tmp_path: Path) -> None:
    def action(ranks: Ranks) -> None:
        store = AnswerStore(tmp_path)
        store.write([key(1)], [b"x"])
        share_files(ranks, [store], everyone=False)

    errors = [each.exception() for each in in_threads(2, action)]
    assert {type(error) for error in errors} <= {StoreError, RankError}
    assert all("two processes made the same chunk" in str(error) for error in errors)


@pytest.mark.parametrize("damage", ["gone", "damaged"])
def test_a_file_that_cannot_be_read_here_is_an_error(
    tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_DELAY", 0.05)
    writer, reader = AnswerStore(tmp_path), AnswerStore(tmp_path)
    writer.write([key(1)], [b"x"])
    path = tmp_path / writer.written[0]
    path.unlink() if damage == "gone" else path.write_bytes(b"nonsense")
    with pytest.raises(StoreError, match=r"another process has written it.*the same results folder"):
        reader.adopt(writer.written)


def test_only_a_tidy_store_removes_files(tmp_path: Path) -> None:
    AnswerStore(tmp_path).write([key(1)], [b"x"])
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"nonsense")
    looking = AnswerStore(tmp_path, tidy=False)
    assert looking.has([key(1)]).all()
    assert looking.damaged == []
    assert bad.exists()
    assert AnswerStore(tmp_path).damaged == ["bad.safetensors"]
    assert not bad.exists()


def test_broken_pictures_and_counters_of_all(tmp_path: Path) -> None:
    refs = [ImageRef("a.png"), ImageRef("b.tar", "c.png", (512, 99))]

    def action(ranks: Ranks) -> tuple[dict[ImageRef, str], dict[str, int]]:
        broken = {refs[ranks.rank]: f"broken {ranks.rank}"}
        share_broken(ranks, broken)
        return broken, total(ranks, {"seen": ranks.rank + 1, "split": 0})

    for each in in_threads(2, action):
        assert each.result() == ({refs[0]: "broken 0", refs[1]: "broken 1"}, {"seen": 3, "split": 0})


class TestComplete:
    REFS = (ImageRef("a"), ImageRef("b"))
    PROBES: ClassVar[dict[ImageRef, Probe | str]] = {
        REFS[0]: Probe("da", 1, 1),
        REFS[1]: Probe("db", 1, 1),
        ImageRef("c"): "image_missing",
    }
    UNITS: ClassVar[list[Unit]] = [([key(1), key(2)], ["da"]), ([], ["db"]), ([key(3)], ["db", "da"])]

    def check(self, stored: set[bytes], broken: tuple[ImageRef, ...] = ()) -> None:
        check_complete(lambda keys: np.array([each in stored for each in keys]), self.UNITS, broken, self.PROBES)

    def test_all_there(self) -> None:
        self.check({key(1), key(2), key(3)})

    @pytest.mark.parametrize("lost", [1, 2, 3])
    def test_a_hole_is_an_error(self, lost: int) -> None:
        with pytest.raises(StoreError, match="answers for 1 inputs are neither stored nor explained"):
            self.check({key(1), key(2), key(3)} - {key(lost)})

    def test_a_broken_picture_explains_what_it_is_part_of(self) -> None:
        self.check({key(1), key(2)}, (self.REFS[1],))
        self.check(set(), (self.REFS[0],))
        with pytest.raises(StoreError, match="1 inputs"):
            self.check(set(), (self.REFS[1],))
