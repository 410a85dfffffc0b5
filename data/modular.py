"""Modular arithmetic: every pair (a, b) of 0 ... p-1, an operation, and the published split into train and test."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from common.errors import UserError
from common.randomness import generator
from common.ranges import Fraction, Range
from common.waves import Waves, waves_of
from data.task import Sizes, Split, Task, check_fraction

Modulus = Annotated[int, Range(least=2, most=10_000)]


class Operation(NamedTuple):
    """``label(a, b, p)`` maps int64 tensors of one shape to int64 classes; ``symmetric``: label(a, b) = label(b, a)."""

    label: Callable[[Tensor, Tensor, int], Tensor]
    symmetric: bool


def _divide(a: Tensor, b: Tensor, p: int) -> Tensor:
    inverse = torch.tensor([0] + [pow(i, -1, p) for i in range(1, p)])
    return a * inverse[b] % p


# Polynomials as the published code names them. `rand` has no formula: its labels are drawn from the seed.
OPERATIONS: dict[str, Operation] = {
    "add": Operation(lambda a, b, p: (a + b) % p, True),
    "subtract": Operation(lambda a, b, p: (a - b) % p, False),
    "multiply": Operation(lambda a, b, p: a * b % p, True),
    "divide": Operation(_divide, False),
    "x2y2": Operation(lambda a, b, p: (a**2 + b**2) % p, True),
    "x2xyy2": Operation(lambda a, b, p: (a**2 + a * b + b**2) % p, True),
    "x2xyy2x": Operation(lambda a, b, p: (a**2 + a * b + b**2 + a) % p, False),
    "x3xy": Operation(lambda a, b, p: (a**3 + a * b) % p, False),
    "x3xy2y": Operation(lambda a, b, p: (a**3 + a * b**2 + b) % p, False),
    "only_add": Operation(lambda a, b, p: a + b, True),
    "rand": Operation(lambda a, b, p: torch.empty(0), False),
}


def cyclic_order(fn_name: str, p: int) -> Tensor | None:
    """The numbers in the order in which the operation is an addition or a subtraction modulo their count; None where there is none.

    0 ... p-1 for addition and subtraction; the powers of a primitive root, without 0, for multiplication and division.
    """
    if fn_name in ("add", "subtract"):
        return torch.arange(p)
    if fn_name in ("multiply", "divide"):
        for root in range(1, p):
            powers = [pow(root, exponent, p) for exponent in range(p - 1)]
            if sorted(powers) == list(range(1, p)):
                return torch.tensor(powers)
    return None


def num_classes(fn_name: str, p: int) -> int:
    """How many classes the operation has: p, or 2p for the sum without the modulus, which the published code uses."""
    return 2 * p if fn_name == "only_add" else p


def all_pairs(p: int, fn_name: str, is_symmetric_input: bool) -> list[tuple[int, int]]:
    """The pairs (a, b) in row-major order: a <= b only when ``is_symmetric_input``; for ``divide`` without b = 0."""
    return [(a, b) for a in range(p) for b in range(a if is_symmetric_input else 0, p) if b != 0 or fn_name != "divide"]


def num_pairs(p: int, fn_name: str, is_symmetric_input: bool) -> int:
    """How many pairs ``all_pairs`` gives."""
    count, with_zero = (p * (p + 1) // 2, 1) if is_symmetric_input else (p * p, p)
    return count - with_zero * (fn_name == "divide")


def check_task(p: int, fn_name: str, frac_train: float, is_symmetric_input: bool) -> None:
    """Raise UserError for an unknown operation, a division modulo a p that is not prime, a fraction that leaves a set empty."""
    if fn_name not in OPERATIONS:
        raise UserError(f"fn_name {fn_name!r} is unknown; choose one of {', '.join(OPERATIONS)}")
    if fn_name == "divide" and any(p % i == 0 for i in range(2, int(p**0.5) + 1)):
        raise UserError(f"fn_name divide needs a prime p, and {p} is none: not every b has an inverse")
    check_fraction(frac_train, num_pairs(p, fn_name, is_symmetric_input))


def modular_split(p: int, fn_name: str, frac_train: float, is_symmetric_input: bool, seed: int) -> Split:
    """The published split: all pairs, shuffled by ``random.Random(seed)``, the first ``int(frac_train * n)`` train.

    Gives ``x (n, 2)`` int64 and ``y (n,)`` int64 on the CPU. Raises UserError as ``check_task`` does.
    """
    check_task(p, fn_name, frac_train, is_symmetric_input)
    pairs = all_pairs(p, fn_name, is_symmetric_input)
    random.Random(seed).shuffle(pairs)
    x, n = torch.tensor(pairs), int(frac_train * len(pairs))
    if fn_name == "rand":
        y = torch.randint(p, (len(pairs),), generator=generator(seed, "labels"))
    else:
        y = OPERATIONS[fn_name].label(x[:, 0], x[:, 1], p)
    return Split(x[:n], y[:n], x[n:], y[n:], num_classes(fn_name, p), p)


@dataclass(frozen=True, kw_only=True)
class Modular(Task):
    """Modular arithmetic, a operation b, from some of all pairs."""

    name: ClassVar[str] = "modular"
    shows: ClassVar[str] = "frequencies"

    p: Modulus = 67
    """The modulus; inputs are 0 ... p-1."""
    fn_name: Literal[tuple(OPERATIONS)] = "add"
    """Operation."""
    frac_train: Fraction = 0.4
    """Fraction of the pairs that trains."""
    is_symmetric_input: bool = True
    """Only the pairs with a <= b."""

    def __post_init__(self):
        super().__post_init__()
        check_task(self.p, self.fn_name, self.frac_train, self.is_symmetric_input)

    @property
    def subject(self) -> str:
        return self.fn_name

    @property
    def order_matters(self) -> bool:
        return not self.is_symmetric_input and not OPERATIONS[self.fn_name].symmetric

    def split(self, seed: int) -> Split:
        return modular_split(self.p, self.fn_name, self.frac_train, self.is_symmetric_input, seed)

    def waves(self) -> Waves | None:
        order = cyclic_order(self.fn_name, self.p)
        return None if order is None else waves_of(order, self.p)

    def sizes(self) -> Sizes:
        return Sizes(
            num_pairs(self.p, self.fn_name, self.is_symmetric_input), self.p, num_classes(self.fn_name, self.p)
        )
