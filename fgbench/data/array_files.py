"""Named arrays in one file: safetensors with a checksum, written whole or not at all."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from fgbench.data.atomic import write_atomic
from fgbench.errors import DataError

Array = npt.NDArray[Any]

_ENTRY = "fgbench"


def write_arrays(path: Path, arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Write arrays and a few strings about them; equal contents give equal bytes.

    Raises:
        StoreError: the file cannot be written.
    """
    contents = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    # One entry, because safetensors writes several in an order that changes from process to process.
    packed = json.dumps({**metadata, "crc": _crc(contents, metadata)}, sort_keys=True)
    write_atomic(path, save_arrays(contents, metadata={_ENTRY: packed}))


def read_arrays(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """Read what :func:`write_arrays` wrote.

    Returns:
        The arrays by name, and the metadata without the checksum.

    Raises:
        DataError: missing, damaged, or some other file.
    """
    try:
        data = path.read_bytes()
        arrays = load_arrays(data)
        header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
        metadata: dict[str, str] = json.loads(header["__metadata__"][_ENTRY])
        crc = metadata.pop("crc")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, TypeError, AttributeError, struct.error, safetensors.SafetensorError) as error:
        raise DataError(f"{path}: not a file of arrays, or cut off ({error}). Make it again.") from error
    if crc != _crc(arrays, metadata):
        raise DataError(f"{path}: damaged (its checksum differs). Make it again.")
    return arrays, metadata


def _crc(arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> str:
    crc = zlib.crc32(json.dumps(dict(metadata), sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        crc = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), crc)
        crc = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, crc)
    return str(crc)
