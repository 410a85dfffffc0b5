"""Several operations of modular arithmetic at once: the first token says which one."""

import random
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from common.errors import UserError
from common.ranges import Fraction
from data.modular import OPERATIONS, Modulus, all_pairs, check_task, num_pairs
from data.task import Sizes, Split, Task

FORMULAS = tuple(name for name in OPERATIONS if name not in ("rand", "only_add"))  # of p classes each


@dataclass(frozen=True, kw_only=True)
class Operations(Task):
    """Several operations of modular arithmetic, each example a token for its operation, a, and b."""

    name: ClassVar[str] = "operations"

    p: Modulus = 67
    """The modulus; inputs are 0 ... p-1, then a number for each operation."""
    fn_names: tuple[Literal[FORMULAS], ...] = ("add", "multiply")
    """Operations."""
    frac_train: Fraction = 0.4
    """Fraction of all examples that trains."""
    is_symmetric_input: bool = True
    """Only the pairs with a <= b."""

    def __post_init__(self):
        super().__post_init__()
        if len(set(self.fn_names)) < max(2, len(self.fn_names)):
            raise UserError(f"fn_names must be two operations or more, each once, not {' '.join(self.fn_names)}")
        for fn_name in self.fn_names:
            check_task(self.p, fn_name, self.frac_train, self.is_symmetric_input)

    @property
    def subject(self) -> str:
        return "-".join(self.fn_names)

    @property
    def order_matters(self) -> bool:
        return not self.is_symmetric_input and not all(OPERATIONS[name].symmetric for name in self.fn_names)

    def split(self, seed: int) -> Split:
        """``x (n, 3)`` int64: p + the operation's place in ``fn_names``, a, b; ``y (n,)`` int64. Shuffled as ``modular_split``."""
        examples = []
        for place, fn_name in enumerate(self.fn_names):
            a, b = torch.tensor(all_pairs(self.p, fn_name, self.is_symmetric_input)).T
            labels = OPERATIONS[fn_name].label(a, b, self.p)
            examples += torch.stack([torch.full_like(a, self.p + place), a, b, labels], -1).tolist()
        random.Random(seed).shuffle(examples)
        x, y = torch.tensor(examples).split([3, 1], -1)
        y, n = y[:, 0], int(self.frac_train * len(y))
        return Split(x[:n], y[:n], x[n:], y[n:], self.p, self.p + len(self.fn_names))

    def sizes(self) -> Sizes:
        num_examples = sum(num_pairs(self.p, fn_name, self.is_symmetric_input) for fn_name in self.fn_names)
        return Sizes(num_examples, self.p + len(self.fn_names), self.p)
