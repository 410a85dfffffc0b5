"""Files that are whole or absent.

A file is written beside its place, flushed and renamed, so that a run killed at any moment leaves nothing half-written. A
checkpoint holds plain tensors, lists and numbers, and is loaded with ``weights_only=True``: nothing in it is executed.
"""

import errno
import json
import os
import pickle
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from zipfile import BadZipFile

import torch

from common.errors import UserError

# What torch.load raises for files that are cut, damaged or foreign.
UNREADABLE = (
    *(pickle.UnpicklingError, BadZipFile, RuntimeError, ValueError, EOFError, KeyError, TypeError, AttributeError),
    *(IndexError, AssertionError, UnicodeDecodeError, MemoryError, ImportError, OSError),
)


def _replace(path: Path, write) -> None:
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp's 0600 would hide a run from the others on a cluster
        os.replace(temporary, path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        Path(temporary).unlink(missing_ok=True)  # not there after the rename


def cannot_write(path: Path, error: OSError) -> OSError:
    """The error with the file's name, which the system does not give where a write fails, and with what to do about it."""
    if error.filename is not None and not str(error.filename).endswith(".tmp"):
        return error
    reason = (error.strerror or str(error)).lower()
    is_full = error.errno in (None, errno.ENOSPC, errno.EDQUOT)
    first = "make room" if is_full else "mend that"
    return OSError(f"cannot write {path}: {reason}; {first}, and the same command goes on from what is saved")


def save_bytes(content: bytes | bytearray, path: Path) -> None:
    """Write ``content`` to ``path`` atomically."""
    _replace(path, lambda file: file.write(content))


def save_text(text: str, path: Path) -> None:
    """Write ``text`` to ``path`` atomically."""
    save_bytes(text.encode(), path)


def save_json(value: dict, path: Path) -> None:
    """Write ``value`` to ``path`` atomically, as JSON."""
    save_text(json.dumps(value, indent=2) + "\n", path)


def load_json(path: Path, keys: Mapping[str, type | UnionType] | None = None) -> dict:
    """The object in ``path``. Raises UserError where there is no such file, or it is no JSON object that holds ``keys``.

    ``keys``: ``{name: type of its value}``.
    """
    try:
        value = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path} is not there: is {path.parent} the folder of a run?") from None
    except (ValueError, RecursionError, IsADirectoryError):
        value = None
    if not isinstance(value, dict):
        raise UserError(f"{path} is damaged: it holds no JSON object; move {path.parent} aside and train again")
    for key, wanted in (keys or {}).items():
        if key not in value or not isinstance(value[key], wanted):
            odd = f"{key} is {value[key]!r}" if key in value else f"it lacks {key}"
            raise UserError(f"{path} is damaged: {odd}; move {path.parent} aside and train again")
    return value


def save_tensors(value: dict, path: Path) -> None:
    """Write ``value`` (tensors, lists, numbers, text) to ``path`` atomically."""

    def write(file):
        try:
            torch.save(value, file)
        except RuntimeError as error:  # torch reports a full disk so
            raise OSError(f"{str(error).splitlines()[0]} (is the disk full?)") from error

    _replace(path, write)


def load_tensors(path: Path, keys: tuple[str, ...], device="cpu", mmap: bool = False) -> dict:
    """The dictionary in ``path``, which must hold ``keys``. Raises UserError for anything else that the file may be."""
    path = Path(path)
    try:
        with warnings.catch_warnings(action="ignore"):  # about foreign files, which are refused below
            value = torch.load(path, map_location=device, weights_only=True, mmap=mmap)
    except FileNotFoundError:
        raise UserError(f"{path} is not there") from None
    except UNREADABLE as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # EINVAL: torch looked for a cut archive's start
            raise
        reason = "it is truncated, or no checkpoint of this project"
        raise UserError(f"{path} cannot be read: {reason}; delete it, or train the run again with --rerun") from error
    if not isinstance(value, dict) or not all(key in value for key in keys):
        lacks = f"it lacks {', '.join(keys)}"
        raise UserError(f"{path} is no file of this project: {lacks}; delete it, or train the run again with --rerun")
    return value
