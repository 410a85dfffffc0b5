"""What every task is: the base of the classes in this room's other files."""

from dataclasses import dataclass
from typing import ClassVar

from common.ranges import check_fields
from data.split import Split


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is learned. A task is a frozen dataclass in a file of its own; its fields are flags, explained below each.

    ``name``: its place in TASKS. ``inputs``: what an example is, "tokens" (n, t) int64 or "vectors" (n, i) float32, which a model must
    take. ``labels``: "classes", int64, or "numbers", float32, which one output predicts. ``loss``: an entry of LOSSES for such labels,
    unless the config names another.
    """

    name: ClassVar[str]
    inputs: ClassVar[str] = "tokens"
    labels: ClassVar[str] = "classes"
    loss: ClassVar[str] = "cross_entropy"

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
