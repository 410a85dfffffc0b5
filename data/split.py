"""What every data set gives: a training and a test set as tensors."""

from dataclasses import dataclass, replace

import torch.nn.functional as F
from torch import Tensor

TENSORS = ("train_x", "train_y", "test_x", "test_y")


@dataclass(frozen=True)
class Split:
    """Inputs and labels, whole, on one device.

    Shapes: ``train_x (n, ...)``, ``train_y (n,)`` int64 classes or float32 numbers, ``test_x (m, ...)``, ``test_y (m,)``.
    ``num_classes`` is the number of classes, whether or not all of them occur, 1 of numbers; ``num_inputs`` is the size of the
    vocabulary, or the length of a vector.
    """

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    num_classes: int
    num_inputs: int

    def to(self, device) -> "Split":
        moved = {name: getattr(self, name).to(device) for name in TENSORS}
        return replace(self, **moved)


def with_one(x: Tensor) -> Tensor:
    """Vectors with a 1 as their last entry, ``(n, d) -> (n, d + 1)``, for functions that models without biases cannot be."""
    return F.pad(x, (0, 1), value=1.0)
