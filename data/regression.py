"""Polynomial regression: a number is learned, not a class."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch

from common.randomness import generator
from common.ranges import Count, Range
from data.task import Sizes, Split, Task, with_one


@dataclass(frozen=True, kw_only=True)
class Regression(Task):
    """y = (beta . x)^2 / 2 of Gaussian inputs (Kumar et al., arXiv 2310.06110). What counts as accuracy is the explained variance."""

    name: ClassVar[str] = "regression"
    inputs: ClassVar[str] = "vectors"
    labels: ClassVar[str] = "numbers"
    loss: ClassVar[str] = "regression_error"

    num_dimensions: Count = 100
    """Length D of x, whose entries have variance 1 / D."""
    num_train: Annotated[int, Range(least=2)] = 1_000
    """Training examples; generalization is late where they are many more than D and far fewer than D^2."""
    num_test: Annotated[int, Range(least=2)] = 1_000
    """Test examples."""

    def split(self, seed: int) -> Split:
        """``x (n, D + 1)`` float32 from N(0, 1 / D), then a 1, ``y (n,)`` float32; ``beta`` from the seed, of length sqrt(D)."""
        drawn = generator(seed, "split")
        beta = torch.randn(self.num_dimensions, generator=drawn, dtype=torch.float64)
        beta *= self.num_dimensions**0.5 / beta.norm()
        shape = self.num_train + self.num_test, self.num_dimensions
        x = torch.randn(shape, generator=drawn, dtype=torch.float64) / self.num_dimensions**0.5
        y = ((x @ beta) ** 2 / 2).float()
        x, n = with_one(x.float()), self.num_train
        return Split(x[:n], y[:n], x[n:], y[n:], 1, self.num_dimensions + 1)

    def sizes(self) -> Sizes:
        return Sizes(self.num_train + self.num_test, self.num_dimensions + 1, 1)
