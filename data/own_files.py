"""A data file of one's own, .npz or .csv: read, checked and hashed. Whatever is wrong with it is one UserError."""

import csv
import hashlib
import zlib
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from common.errors import UserError
from common.files import UNREADABLE

MOST_CLASSES = 10_000  # also of p: the network has a weight for each class, and for each of the p numbers, and neuron


class OwnData(NamedTuple):
    """``x (n, d)`` float32, or with ``p`` pairs ``(n, 2)`` int64 of 0 ... p-1; ``y (n,)`` int64 or float32; a test set, or None twice.

    ``hash``: of the arrays as the network sees them. A .csv and an .npz of the same numbers are the same data, and so are images
    and their rows of pixels.
    """

    x: Tensor
    y: Tensor
    x_test: Tensor | None
    y_test: Tensor | None
    p: int | None
    hash: str


def read_own(path: str) -> OwnData:
    """The data in a file. Raises UserError where there is no such file, or where something about it is wrong."""
    file = Path(path)
    if not file.is_file():
        raise UserError(f"the data file {path} is not there; if it lies elsewhere now, say so with --dataset")
    stat = file.stat()
    return _read_once(file, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=4)
def _read_once(file: Path, size: int, mtime_ns: int) -> OwnData:
    """Once per process for an unchanged file: a sweep and its tickets read it once."""
    readers = {".npz": _read_npz, ".csv": _read_csv}
    if file.suffix.lower() not in readers:
        raise UserError(f"the data file {file} is neither .npz nor .csv")
    try:
        arrays = readers[file.suffix.lower()](file)
    except PermissionError:
        raise
    except (*UNREADABLE, zlib.error, csv.Error) as error:
        raise UserError(f"{file} cannot be read as {file.suffix}: {str(error)[:200] or type(error).__name__}") from None
    try:
        return _checked(arrays)
    except ValueError as error:
        raise UserError(f"{file}: {error}") from None


def _read_npz(file: Path) -> dict[str, np.ndarray]:
    with file.open("rb") as stream:
        archive = np.load(stream, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("it holds one array; save it with np.savez(file, x=x, y=y)")
        return {name: np.asarray(archive[name]) for name in ("x", "y", "x_test", "y_test", "p") if name in archive}


def _read_csv(file: Path) -> dict[str, np.ndarray]:
    """The last column is the label; a first row that has no number there is a header. Rows and columns are counted from 1."""
    rows = []
    with file.open(encoding="utf-8-sig", newline="") as stream:  # -sig: spreadsheets put a mark in front
        for number, cells in enumerate(csv.reader(stream), 1):
            if not cells or (number == 1 and not _is_number(cells[-1])):
                continue
            if odd := [column for column, cell in enumerate(cells, 1) if not _is_number(cell)]:
                raise ValueError(f"row {number}, column {odd[0]}: {cells[odd[0] - 1]!r} is no number")
            rows.append(np.array([float(cell) for cell in cells]))
            if len(rows[-1]) != len(rows[0]):
                raise ValueError(f"row {number} has {len(rows[-1])} columns, and those before have {len(rows[0])}")
    table = np.stack(rows) if rows else np.zeros((0, 2))
    return {"x": table[:, :-1], "y": table[:, -1]}


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _checked(arrays: dict[str, np.ndarray]) -> OwnData:
    """The arrays as tensors. Raises ValueError with what is wrong."""
    if missing := [name for name in ("x", "y") if name not in arrays]:
        raise ValueError(f"{' and '.join(missing)} missing; a file has arrays x and y, and may have x_test and y_test")
    if ("x_test" in arrays) != ("y_test" in arrays):
        raise ValueError("x_test and y_test go together, and one of them is missing")
    if arrays["y"].size < 2 or ("y_test" in arrays and arrays["y_test"].size < 1):
        raise ValueError("too few rows: x needs two or more, and x_test one")
    p = _modulus(arrays["p"]) if "p" in arrays else None
    labels = [name for name in ("y", "y_test") if name in arrays]
    of_numbers = p is None and not all(_is_whole(arrays[name], name).all() for name in labels)
    tensors: dict[str, Tensor | None] = {"x_test": None, "y_test": None}
    for y in labels:
        x = y.replace("y", "x")
        tensors[x] = _inputs(arrays[x], x) if p is None else _pairs(arrays[x], x, p)
        tensors[y] = _float32(arrays[y], y) if of_numbers else _whole(arrays[y], y, MOST_CLASSES)
        if arrays[y].shape != arrays[x].shape[:1]:
            raise ValueError(f"{y} has shape {arrays[y].shape}, and {x} {arrays[x].shape}: one label a row is needed")
        if arrays[x].shape[1:] != arrays["x"].shape[1:]:
            raise ValueError(f"a row of x has shape {arrays['x'].shape[1:]}, and one of {x} {arrays[x].shape[1:]}")
    if len(tensors["y"].unique()) < 2:
        raise ValueError(f"all labels in y are {tensors['y'][0]:g}; two or more are needed")
    _tell_labels(torch.cat([tensors[name] for name in labels]).unique(), is_table=p is not None)
    return OwnData(**tensors, p=p, hash=_hash(tensors, p))


def _tell_labels(found: Tensor, is_table: bool) -> None:
    """Say what the labels are taken for, where that may not be what was meant."""
    if found.is_floating_point():
        print("note: not all labels are whole, so numbers are learned, not classes")
    elif len(found) <= found[-1] and not is_table:
        some = ", ".join(map(str, found[:10].tolist())) + ", ..." * (len(found) > 10)
        print(
            f"note: the classes in the file are {some}; the network has an output for each number from 0 to {found[-1]}, so number "
            f"the {len(found)} classes from 0 if no other will occur"
        )


def _modulus(array: np.ndarray) -> int:
    if array.shape != () or _whole(array, "p", MOST_CLASSES + 1) < 2:
        raise ValueError(f"p must be one whole number from 2 to {MOST_CLASSES}; the pairs in x are of 0 to p-1")
    return int(array)


def _inputs(array: np.ndarray, name: str) -> Tensor:
    """Vectors (n, d), or images (n, h, w) as vectors."""
    if array.ndim not in (2, 3) or 0 in array.shape[1:]:
        raise ValueError(f"{name} has shape {array.shape}; (n, d) or, for images, (n, h, w) is needed")
    return _float32(array, name).flatten(1)


def _pairs(array: np.ndarray, name: str, p: int) -> Tensor:
    if array.shape[1:] != (2,):
        raise ValueError(f"{name} has shape {array.shape}; with p in the file, pairs (n, 2) are needed")
    return _whole(array, name, p)


def _whole(array: np.ndarray, name: str, end: int) -> Tensor:
    """As int64. Raises ValueError unless all are whole numbers 0 ... end-1; 1.0 is one."""
    if (wrong := ~_is_whole(array, name) | (array < 0) | (array >= end)).any():
        raise ValueError(f"{name} has {array[wrong][0]}; it must hold whole numbers from 0 to {end - 1}")
    return torch.from_numpy(array.astype(np.int64))


def _is_whole(array: np.ndarray, name: str) -> np.ndarray:
    """Where the array has whole numbers, as bool. Raises ValueError where it has no numbers."""
    values = _finite(array, name)
    return values == np.floor(values)


def _float32(array: np.ndarray, name: str) -> Tensor:
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, which is said
        return torch.from_numpy(_finite(_finite(array, name).astype(np.float32), name))


def _finite(array: np.ndarray, name: str) -> np.ndarray:
    if array.dtype.kind not in "biuf":
        mend = "; number the classes 0, 1, 2 ..." if name.startswith("y") else ""
        raise ValueError(f"{name} holds {array.dtype}, no numbers{mend}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has nan, or a number that float32 takes for infinite")
    return array


def _hash(tensors: dict[str, Tensor | None], p: int | None) -> str:
    digest = hashlib.sha256(f"p={p}".encode())
    for name, tensor in sorted(tensors.items()):
        if tensor is not None:
            digest.update(f"{name}{tuple(tensor.shape)}".encode())
            digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()[:16]
