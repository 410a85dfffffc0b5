"""Separate random streams from one seed."""

import hashlib

import torch


def generator(seed: int, purpose: str) -> torch.Generator:
    """A CPU generator of its own for ``purpose`` (``"init"``, ``"labels"``, ``"mask"`` ...).

    Everything random is drawn on the CPU and then moved, so that it is the same on every device, and drawing more for one
    purpose does not shift the numbers of another.
    """
    digest = hashlib.sha256(f"{purpose}:{seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
