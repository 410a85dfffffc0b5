"""A run is known by what it contains: hashes of its data, its start and its mask, and the settings of its training."""

import hashlib
import platform
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from data.task import TENSORS as DATA
from data.task import Split

DRAWN_ALIKE = 1e-5  # of a matrix's standard deviation: CPUs of another kind draw the same init with other last bits


def hash_of(tensors: Mapping[str, Tensor] | None) -> str | None:
    """SHA-256 of named tensors, of their types and shapes as well; None of none."""
    if tensors is None:
        return None
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        tensor = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def hash_of_split(split: Split) -> str:
    return hash_of({name: getattr(split, name) for name in DATA})


def machine() -> str:
    """What decides how numbers are rounded: the kind of CPU that torch computes with, and torch's version."""
    return f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}"


def difference(stored: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The names of what differs between two dictionaries, sorted."""
    return sorted(name for name in {*stored, *now} if stored.get(name) != now.get(name))


def drawn_alike(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether two drawn starts are the same up to rounding."""
    if one.keys() != other.keys() or any(one[name].shape != other[name].shape for name in one):
        return False
    pairs = [(one[name].double(), other[name].double()) for name in one]  # a buffer may hold whole numbers
    return all((a - b).abs().max() <= DRAWN_ALIKE * a.std(correction=0) for a, b in pairs)
