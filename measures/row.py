"""What every family gives."""

from collections.abc import Iterator
from typing import NamedTuple


class Row(NamedTuple):
    """A number.

    ``part``: a matrix, a frequency, a set, or "all". ``mask``: "ticket"; "magnitude", which magnitude pruning takes from this very
    epoch; or a random one, with a row for each draw. ``other_run``, ``other_epoch``: what it is compared with.
    """

    measure: str
    value: float
    part: str = "all"
    mask: str | None = None
    pruning_rate: float | None = None
    other_run: str | None = None
    other_epoch: int | None = None


Rows = Iterator[Row | str]
