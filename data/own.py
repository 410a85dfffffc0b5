"""Your own data from a file: vectors or images with classes or numbers, or pairs of whole numbers, any operation as a table."""

import re
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import Annotated, ClassVar

import torch
from tyro.conf import Suppress

from common.errors import UserError
from common.randomness import generator
from common.ranges import Place, Range
from data.own_files import OwnData, read_own
from data.task import Sizes, Split, Task, check_fraction


@dataclass(frozen=True, kw_only=True)
class Own(Task):
    """Vectors or images, each with its class, from the file that --dataset names."""

    name: ClassVar[str] = "own"
    inputs: ClassVar[str] = "vectors"
    loss: ClassVar[str] = "squared_error"

    frac_train: Annotated[float, Range(above=0, most=1)] | None = None
    """Fraction of x that trains, drawn with the seed; the rest tests, unless the file has x_test. None: 0.4, or with x_test all."""
    data_file: Suppress[Place[str | None]] = None
    """Where the file is."""
    data_hash: Suppress[str | None] = None
    """Hash of the file's arrays, as they were when the dense run was trained."""

    @property
    def subject(self) -> str:
        return re.sub(r"[^a-zA-Z0-9]+", "-", Path(self.data_file or self.name).stem)[:30]

    @property
    def shows(self) -> str | None:
        """Rows of a square's length are images."""
        num_inputs = self.sizes().num_inputs
        return "images" if isqrt(num_inputs) ** 2 == num_inputs else None

    def data(self) -> OwnData:
        """What is in the file. Raises UserError where it cannot be had, or is not what it was."""
        if self.data_file is None:
            raise UserError(f"the task {self.name} is a file of your own: give it with --dataset, as .npz or .csv")
        found = read_own(self.data_file)
        if found.hash != self.data_hash:
            raise UserError(
                f"the data in {self.data_file} have changed since the dense run was trained (hash {found.hash}, it was "
                f"{self.data_hash}); put the file back, or train a dense run on this one: train.py --dataset"
            )
        return found

    def split(self, seed: int) -> Split:
        data, sizes = self.data(), self.sizes()
        has_test = data.x_test is not None
        num_train = check_fraction(self.frac_train or (1.0 if has_test else 0.4), len(data.x), has_test)
        order = torch.randperm(len(data.x), generator=generator(seed, "split"))
        train, rest = order[:num_train], order[num_train:]
        test_x, test_y = (data.x_test, data.y_test) if has_test else (data.x[rest], data.y[rest])
        return Split(data.x[train], data.y[train], test_x, test_y, sizes.num_classes, sizes.num_inputs)

    def sizes(self) -> Sizes:
        data = self.data()
        labels = data.y if data.y_test is None else torch.cat([data.y, data.y_test])
        num_classes = 1 if labels.is_floating_point() else 1 + int(labels.max())
        return Sizes(len(labels), data.p or data.x.shape[1], num_classes)


@dataclass(frozen=True, kw_only=True)
class OwnNumbers(Own):
    """Vectors or images, each with a number, from the file that --dataset names."""

    name: ClassVar[str] = "own_numbers"
    labels: ClassVar[str] = "numbers"
    loss: ClassVar[str] = "regression_error"


@dataclass(frozen=True, kw_only=True)
class OwnPairs(Own):
    """Pairs of whole numbers, each with its class, from the file that --dataset names: any operation as a table."""

    name: ClassVar[str] = "own_pairs"
    inputs: ClassVar[str] = "tokens"
    loss: ClassVar[str] = "cross_entropy"
    shows: ClassVar[str | None] = "frequencies"

    @property
    def order_matters(self) -> bool:
        data = self.data()
        table = dict(zip(map(tuple, data.x.tolist()), data.y.tolist(), strict=True))
        return any(table.get((b, a), y) != y for (a, b), y in table.items())


def own_task(path: str) -> Own:
    """The task of a data file: pairs where it has p, numbers where its labels are not whole. Raises UserError as ``read_own``."""
    data = read_own(path)
    task = OwnPairs if data.p is not None else OwnNumbers if data.y.is_floating_point() else Own
    return task(data_file=path, data_hash=data.hash)
