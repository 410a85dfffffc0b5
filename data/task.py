"""What every task is, the base of the classes in this room's other files, and the split that it gives."""

from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import torch.nn.functional as F
from torch import Tensor

from common.errors import UserError
from common.ranges import check_fields
from common.waves import Waves

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


class Sizes(NamedTuple):
    """How large a split is: the examples of both sets together, and the numbers that Split explains."""

    num_examples: int
    num_inputs: int
    num_classes: int


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is learned. A task is a frozen dataclass in a file of its own; its fields are flags, explained below each.

    ``name``: its place in TASKS. ``inputs``: what an example is, "tokens" (n, t) int64 or "vectors" (n, i) float32, which a model must
    take. ``labels``: "classes", int64, or "numbers", float32, which one output predicts. ``loss``: an entry of LOSSES for such labels,
    unless the config names another. ``shows``: what there is to see in its weights, "frequencies", "images" or None.
    """

    name: ClassVar[str]
    inputs: ClassVar[str] = "tokens"
    labels: ClassVar[str] = "classes"
    loss: ClassVar[str] = "cross_entropy"
    shows: ClassVar[str | None] = None

    def __post_init__(self):
        check_fields(self)

    @property
    def subject(self) -> str:
        """What is learned, in a word: the second one of a run's name."""
        return self.name

    @property
    def order_matters(self) -> bool:
        """Whether a label depends on the order of an example's tokens."""
        return False

    def split(self, seed: int) -> Split:
        """Training and test set, on the CPU. Raises UserError where they cannot be had."""
        raise NotImplementedError

    def waves(self) -> Waves | None:
        """The waves of the group over which the operation is one; None where there is none, or it is not known."""
        return None

    def sizes(self) -> Sizes | None:
        """How large the split will be, before it is made; None where that is not known."""
        return None


def with_one(x: Tensor) -> Tensor:
    """Vectors with a 1 as their last entry, ``(n, d) -> (n, d + 1)``, for functions that models without biases cannot be."""
    return F.pad(x, (0, 1), value=1.0)


def check_fraction(frac_train: float, num_rows: int, has_test: bool = False) -> int:
    """How many of the rows train. Raises UserError where no row is left to train on, or, without a test set, to test on."""
    num_train = int(frac_train * num_rows)
    if num_train == 0 or (num_train == num_rows and not has_test):
        empty = "training" if num_train == 0 else "test"
        raise UserError(f"frac_train {frac_train:g} leaves the {empty} set of {num_rows} rows empty; choose another")
    return num_train
