"""MNIST: few images to learn from, drawn from its files, and many to test on."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from common.errors import UserError
from common.randomness import generator
from common.ranges import Count, Place
from data.mnist_files import NUM_CLASSES, load_mnist
from data.task import Sizes, Split, Task


@dataclass(frozen=True, kw_only=True)
class Mnist(Task):
    """Handwritten digits, few of them to learn from (Liu et al., arXiv 2210.01117)."""

    name: ClassVar[str] = "mnist"
    inputs: ClassVar[str] = "vectors"
    loss: ClassVar[str] = "squared_error"
    shows: ClassVar[str] = "images"

    train_size: Count = 1_000
    """Training images, drawn with the seed from the training file."""
    balanced: bool = False
    """As many training images of each class."""
    original_split: bool = False
    """The published code's split: the first train_size images of the test file train, the training file tests."""
    data_root: Place[str | None] = None
    """Folder with the MNIST files; None: the environment variable MNIST_ROOT, else data/raw, downloaded where missing."""

    @property
    def subject(self) -> str:
        return f"{self.train_size}images"

    def split(self, seed: int) -> Split:
        """``train_size`` images to learn from, and all images of the other file to test on.

        Shapes: ``train_x (train_size, 784)`` float32 in [0, 1], ``train_y (train_size,)`` int64, ``test_x (m, 784)``, ``test_y (m,)``.
        Raises UserError when the files or the sizes do not allow it.
        """
        train_images, train_labels, test_images, test_labels = load_mnist(self.data_root)
        if self.original_split:
            train_images, train_labels, test_images, test_labels = test_images, test_labels, train_images, train_labels
        chosen = self._draw(train_labels.long(), seed)
        train_x, test_x = (images.flatten(1).float().div_(255) for images in (train_images[chosen], test_images))
        return Split(train_x, train_labels[chosen].long(), test_x, test_labels.long(), NUM_CLASSES, train_x.shape[-1])

    def _draw(self, labels: Tensor, seed: int) -> Tensor:
        """The places of the training images in the file, ``(train_size,)``."""
        if self.balanced and self.original_split:
            raise UserError(
                "original_split takes the first images in order and cannot be balanced; drop one of the two"
            )
        if self.train_size > len(labels):
            raise UserError(
                f"train_size is {self.train_size}; it must be from 1 to {len(labels)}, the images in the file"
            )
        if self.original_split:
            return torch.arange(self.train_size)
        order = torch.randperm(len(labels), generator=generator(seed, "split"))
        if self.balanced:
            drawn = labels[order]
            rank = F.one_hot(drawn, NUM_CLASSES).cumsum(0).gather(1, drawn[:, None])[:, 0]  # 1: the first of its class
            order = order[rank <= self.train_size // NUM_CLASSES]
            if len(order) < self.train_size:
                raise UserError(
                    f"train_size is {self.train_size}; balanced classes need a multiple of {NUM_CLASSES}, and at most "
                    f"{NUM_CLASSES * labels.bincount(minlength=NUM_CLASSES).min().item()} with the images in the file"
                )
        return order[: self.train_size]

    def sizes(self) -> Sizes:
        return Sizes(70_000, 28 * 28, NUM_CLASSES)
