"""What every data set gives: a training and a test set as tensors."""

from dataclasses import dataclass, fields

from torch import Tensor


@dataclass(frozen=True)
class Split:
    """Inputs and labels, whole, on one device.

    Shapes: ``train_x (n, ...)``, ``train_y (n,)`` int64 classes, ``test_x (m, ...)``, ``test_y (m,)``. ``num_classes`` is the
    number of classes, whether or not all of them occur.
    """

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    num_classes: int

    def to(self, device) -> "Split":
        moved = {f.name: getattr(self, f.name).to(device) for f in fields(self) if f.name != "num_classes"}
        return Split(**moved, num_classes=self.num_classes)
