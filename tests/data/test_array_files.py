"""Files of arrays: equal contents give equal bytes, in every process; other files are refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from fgbench.data.array_files import read_arrays, write_arrays
from fgbench.errors import DataError

ARRAYS = {"b": np.arange(6, dtype=np.int32).reshape(2, 3), "a": np.zeros((0, 4), dtype=np.float32)}
WRITE = """
import sys
from pathlib import Path
import numpy as np
from fgbench.data.array_files import write_arrays
arrays = {"b": np.arange(6), "a": np.zeros((0, 4)), "c": np.ones(3)}
write_arrays(Path(sys.argv[1]), arrays, {"x": "1", "y": "ü", "z": ""})
"""


def test_there_and_back(tmp_path: Path) -> None:
    write_arrays(tmp_path / "x", ARRAYS, {"x": "1", "y": "ü"})
    arrays, metadata = read_arrays(tmp_path / "x")
    assert metadata == {"x": "1", "y": "ü"}
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        assert np.array_equal(arrays[name], array)


def test_every_process_writes_the_same(tmp_path: Path) -> None:
    for number in range(3):
        subprocess.run([sys.executable, "-c", WRITE, tmp_path / str(number)], check=True)
    assert len({(tmp_path / str(number)).read_bytes() for number in range(3)}) == 1


def test_other_files(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with pytest.raises(DataError, match="cannot be read"):
        read_arrays(path)
    save_file({"a": np.zeros(3, dtype=np.float32)}, path)
    with pytest.raises(DataError, match="not a file of arrays"):
        read_arrays(path)
    save_file({"a": np.zeros(3, dtype=np.float32)}, path, metadata={"fgbench": '{"crc": "1"}'})
    with pytest.raises(DataError, match="damaged"):
        read_arrays(path)
    for entry in ("[]", "{}", "7", "{"):
        save_file({"a": np.zeros(3, dtype=np.float32)}, path, metadata={"fgbench": entry})
        with pytest.raises(DataError, match="not a file of arrays"):
            read_arrays(path)
