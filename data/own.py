"""Your own data from a file: vectors or images with their classes, or pairs of whole numbers, any operation as a table."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import torch
from tyro.conf import Suppress

from common.errors import UserError
from common.randomness import generator
from common.ranges import Range
from data.own_files import OwnData, read_own
from data.split import Split
from data.task import Task


@dataclass(frozen=True, kw_only=True)
class Own(Task):
    """Vectors or images, each with its class, from the file that --dataset names."""

    name: ClassVar[str] = "own"
    inputs: ClassVar[str] = "vectors"
    loss: ClassVar[str] = "squared_error"

    frac_train: Annotated[float, Range(above=0, most=1)] | None = None
    """Fraction of x that trains, drawn with the seed; the rest tests, unless the file has x_test. None: 0.4, or with x_test all."""
    data_file: Suppress[str | None] = None
    """Where the file is: no part of what the run is."""
    data_hash: Suppress[str | None] = None
    """Hash of the file's arrays, as they were when the dense run was trained."""
    data_shapes: Suppress[str | None] = None
    """Shapes of the file's arrays."""

    @property
    def subject(self) -> str:
        return re.sub(r"[^a-zA-Z0-9]+", "-", Path(self.data_file or self.name).stem)[:30]

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
        data = self.data()
        own_test, num_rows = data.x_test is not None, len(data.x)
        frac_train = self.frac_train or (1.0 if own_test else 0.4)
        num_train = int(frac_train * num_rows)
        if num_train == 0 or (num_train == num_rows and not own_test):
            empty = "training" if num_train == 0 else "test"
            raise UserError(
                f"frac_train {frac_train:g} leaves the {empty} set of {num_rows} rows empty; choose another"
            )
        order = torch.randperm(num_rows, generator=generator(seed, "split"))
        train, rest = order[:num_train], order[num_train:]
        test_x, test_y = (data.x_test, data.y_test) if own_test else (data.x[rest], data.y[rest])
        num_classes = 1 + int(torch.cat([data.y, test_y]).max())
        return Split(data.x[train], data.y[train], test_x, test_y, num_classes, data.p or data.x.shape[1])


@dataclass(frozen=True, kw_only=True)
class OwnPairs(Own):
    """Pairs of whole numbers, each with its class, from the file that --dataset names: any operation as a table."""

    name: ClassVar[str] = "own_pairs"
    inputs: ClassVar[str] = "tokens"
    loss: ClassVar[str] = "cross_entropy"

    @property
    def order_matters(self) -> bool:
        data = self.data()
        table = dict(zip(map(tuple, data.x.tolist()), data.y.tolist(), strict=True))
        return any(table.get((b, a), y) != y for (a, b), y in table.items())


def own_task(path: str) -> Own:
    """The task of a data file: pairs where it has p. Raises UserError for whatever is wrong with it."""
    data = read_own(path)
    task = Own if data.p is None else OwnPairs
    return task(data_file=path, data_hash=data.hash, data_shapes=data.shapes)
