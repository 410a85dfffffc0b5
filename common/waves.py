"""Waves: functions of the elements of a cyclic group by which an operation over it is simple; and what of a matrix lies in them.

A frequency k is a plane, cos and sin of 2 pi k t / n, where t numbers the n elements. Planes are ``(f, 2, p)`` float64 over all p
inputs: two orthonormal rows each, 0 at inputs outside the group; a frequency without a sine has a row of zeros.
"""

from math import gcd, pi
from typing import NamedTuple

import torch
from torch import Tensor


class Waves(NamedTuple):
    """The planes of the frequencies 1 ... n // 2, ``(f, 2, p)``; and which of them tell all elements apart, ``(f,) bool``."""

    planes: Tensor
    is_faithful: Tensor


def waves_of(order: Tensor, num_inputs: int) -> Waves:
    """The waves of a cyclic group. ``order (n,)``: its elements, inputs, as multiples or powers of one of them."""
    n = len(order)
    frequencies = torch.arange(1, n // 2 + 1, dtype=torch.float64)
    angles = 2 * pi / n * frequencies[:, None] * torch.arange(n)
    planes = torch.zeros(len(frequencies), 2, num_inputs, dtype=torch.float64)
    planes[:, 0, order], planes[:, 1, order] = angles.cos(), angles.sin()
    lengths = planes.norm(dim=-1, keepdim=True)
    planes = torch.where(lengths > 1e-6, planes / lengths, 0)
    return Waves(planes, torch.tensor([gcd(k, n) == 1 for k in range(1, n // 2 + 1)]))


def power_in(matrix: Tensor, planes: Tensor) -> Tensor:
    """The sum of squares of each row's part in each plane, ``(m, p), (f, 2, p) -> (m, f)``."""
    return torch.einsum("mp,fsp->mfs", matrix.detach().double(), planes).square().sum(-1)


def project(matrix: Tensor, planes: Tensor) -> Tensor:
    """The part of each row that lies in the planes, ``(m, p), (f, 2, p) -> (m, p)`` float64."""
    rows = planes.flatten(0, 1)
    return matrix.detach().double() @ rows.T @ rows


def strongest(matrix: Tensor, waves: Waves, number: int) -> Tensor:
    """The planes with most of a matrix's power, faithful ones first, ``(m, p) -> (number, 2, p)``."""
    power = power_in(matrix, waves.planes).sum(0)
    order = sorted(range(len(power)), key=lambda f: (not waves.is_faithful[f], -float(power[f])))
    return waves.planes[order[:number]]


def share_in(matrix: Tensor, planes: Tensor) -> float:
    """The share of a matrix's power, ``(m, p)``, that lies in the planes, ``(k, 2, p)``; 0 of a matrix that is 0."""
    total = float(matrix.double().square().sum())
    return float(power_in(matrix, planes).sum()) / total if total else 0.0


def share_of_best(matrix: Tensor, planes: Tensor) -> float:
    """The share of a matrix's power that lies in the best plane of each row."""
    total = float(matrix.double().square().sum())
    return float(power_in(matrix, planes).amax(-1).sum()) / total if total else 0.0
