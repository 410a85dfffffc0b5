"""Sparse parity: bits of which only a few decide the label."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from common.errors import UserError
from common.randomness import generator
from common.ranges import Count
from data.task import Sizes, Split, Task, with_one


@dataclass(frozen=True, kw_only=True)
class Parity(Task):
    """(num_bits, num_relevant)-sparse parity: the label is the product of a few of many bits -1 and 1 (arXiv 2207.08799)."""

    name: ClassVar[str] = "parity"
    inputs: ClassVar[str] = "vectors"

    num_bits: Count = 40
    """Bits of an example."""
    num_relevant: Count = 3
    """Bits that decide the label, drawn with the seed."""
    num_train: Count = 1_000
    """Training examples."""
    num_test: Count = 1_000
    """Test examples."""

    def __post_init__(self):
        super().__post_init__()
        if self.num_relevant > self.num_bits:
            raise UserError(f"num_relevant {self.num_relevant} is more than num_bits {self.num_bits}")

    def split(self, seed: int) -> Split:
        """``x (n, num_bits + 1)`` float32 of -1 and 1, ``y (n,)`` int64: 0 where the product of the relevant bits is -1, else 1.

        The last input is 1 and stands for the biases that no model has: without it one layer of ReLUs is an even function and a linear
        one, so that it can fit a parity of 3 bits, which is odd, and never compute it.
        """
        drawn = generator(seed, "split")
        relevant = torch.randperm(self.num_bits, generator=drawn)[: self.num_relevant]
        bits = torch.randint(2, (self.num_train + self.num_test, self.num_bits), generator=drawn)
        x, y = with_one(2.0 * bits - 1), (1 + bits[:, relevant].sum(-1) + self.num_relevant) % 2
        n = self.num_train
        return Split(x[:n], y[:n], x[n:], y[n:], 2, self.num_bits + 1)

    def sizes(self) -> Sizes:
        return Sizes(self.num_train + self.num_test, self.num_bits + 1, 2)
