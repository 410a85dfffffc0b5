"""MNIST: few images to learn from, drawn from its files, and many to test on."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from common.errors import UserError
from common.randomness import generator
from common.ranges import Count
from data.mnist_files import NUM_CLASSES, load_mnist
from data.split import Split
from data.task import Task


def mnist_split(
    train_size: int = 1000,
    seed: int = 42,
    balanced: bool = False,
    original_split: bool = False,
    data_root: str | Path | None = None,
) -> Split:
    """``train_size`` images to learn from, and all images of the other file to test on.

    Default: drawn with ``seed`` from the training file, tested on the test file; ``balanced`` draws equally many of
    each class. ``original_split`` is the published code's: the first ``train_size`` images of the *test* file, tested
    on the *training* file. Shapes: ``train_x (train_size, 784)`` float32 in [0, 1], ``train_y (train_size,)`` int64,
    ``test_x (m, 784)``, ``test_y (m,)``. Raises UserError when the files or the sizes do not allow it.
    """
    if balanced and original_split:
        raise UserError("original_split takes the first images in order and cannot be balanced; drop one of the two")
    train_images, train_labels, test_images, test_labels = load_mnist(data_root)
    if original_split:
        train_images, train_labels, test_images, test_labels = test_images, test_labels, train_images, train_labels
    train_y, test_y = train_labels.long(), test_labels.long()
    if not 1 <= train_size <= len(train_y):
        raise UserError(f"train_size is {train_size}; it must be from 1 to {len(train_y)}, the images in the file")
    order = torch.randperm(len(train_y), generator=generator(seed, "split"))
    if original_split:
        order = torch.arange(len(train_y))
    if balanced:
        drawn = train_y[order]
        rank = F.one_hot(drawn, NUM_CLASSES).cumsum(0).gather(1, drawn[:, None])[:, 0]  # 1 for the first of its class
        order = order[rank <= train_size // NUM_CLASSES]
        if len(order) < train_size:
            raise UserError(
                f"train_size is {train_size}; balanced classes need a multiple of {NUM_CLASSES}, and at most "
                f"{NUM_CLASSES * train_y.bincount(minlength=NUM_CLASSES).min().item()} with the images in the file"
            )
    chosen = order[:train_size]

    def flat(images: Tensor) -> Tensor:
        return images.flatten(1).float().div_(255)

    train_x, test_x = flat(train_images[chosen]), flat(test_images)
    return Split(train_x, train_y[chosen], test_x, test_y, NUM_CLASSES, train_x.shape[-1])


@dataclass(frozen=True, kw_only=True)
class Mnist(Task):
    """Handwritten digits, few of them to learn from (Liu et al., arXiv 2210.01117)."""

    name: ClassVar[str] = "mnist"
    inputs: ClassVar[str] = "vectors"
    loss: ClassVar[str] = "squared_error"

    train_size: Count = 1_000
    """Training images, drawn with the seed from the training file."""
    balanced: bool = False
    """As many training images of each class."""
    original_split: bool = False
    """The published code's split: the first train_size images of the test file train, the training file tests."""
    data_root: str | None = None
    """Folder with the MNIST files; None: the environment variable MNIST_ROOT, else data/raw, downloaded where missing."""

    @property
    def subject(self) -> str:
        return f"{self.train_size}images"

    def split(self, seed: int) -> Split:
        return mnist_split(self.train_size, seed, self.balanced, self.original_split, data_root=self.data_root)
