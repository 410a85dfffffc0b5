"""Starts: what a network begins from in place of its init.

A start is a function from a StartSetting to weights, and has a place in STARTS.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from common.errors import UserError
from common.waves import Waves, project, strongest

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class StartSetting:
    """What a start is made from.

    ``init``: ``{name: tensor}``. ``generator`` gives what is random. ``waves``: those of the task's operation, or None.
    ``number``: how many of them. ``share``: of the power of the embedding that shall lie in these, 0 to 1.
    """

    init: Weights
    generator: torch.Generator
    waves: Waves | None
    number: int
    share: float

    def known_waves(self) -> Waves:
        """The waves, or a UserError where none are known."""
        return require_waves(self.waves)


def require_waves(waves: Waves | None) -> Waves:
    if waves is None:
        raise UserError(
            "no waves are known for this task: they are those of a group, of add, subtract, multiply or divide modulo p"
        )
    return waves


def input_product(weights: Weights) -> Tensor:
    """What each neuron sees of each number, ``(m, p)``: W_inproj W_E of the MLP, W_E of the Transformer."""
    if "W_E" not in weights:
        raise UserError("waves are of numbers that are embedded, and this model has no W_E")
    return weights["W_inproj"] @ weights["W_E"] if "W_inproj" in weights else weights["W_E"]


def with_share(matrix: Tensor, planes: Tensor, share: float) -> Tensor:
    """A matrix with a share of its power inside the planes and the rest outside, at its norm, ``(d, p), (k, 2, p) -> (d, p)``.

    Columns that no plane reaches, as that of 0 in a multiplication, stay as they are.
    """
    used = planes.any(0).any(0)
    own = matrix[:, used].double()
    inside = project(own, planes[..., used])
    outside = own - inside
    parts = share**0.5 * inside / inside.norm() + (1 - share) ** 0.5 * outside / outside.norm()
    made = matrix.clone()
    made[:, used] = (parts * own.norm()).to(matrix.dtype)
    return made


def waves(setting: StartSetting) -> Weights:
    """The init with its embedding projected on the waves that are strongest in what its neurons see."""
    known = setting.known_waves()
    planes = strongest(input_product(setting.init), known, setting.number)
    return setting.init | {"W_E": with_share(setting.init["W_E"], planes, setting.share)}


def random_planes(setting: StartSetting) -> Weights:
    """The same with as many random planes, the control for the rank."""
    known = setting.known_waves().planes
    input_product(setting.init)  # the model embeds numbers
    planes = torch.zeros(setting.number, 2, known.shape[-1], dtype=torch.float64)
    used = known.any(0).any(0)
    drawn = torch.randn(int(used.sum()), 2 * setting.number, generator=setting.generator, dtype=torch.float64)
    planes[..., used] = torch.linalg.qr(drawn).Q.T.unflatten(0, (-1, 2))
    return setting.init | {"W_E": with_share(setting.init["W_E"], planes, setting.share)}


STARTS: dict[str, Callable[[StartSetting], Weights]] = {"waves": waves, "random_planes": random_planes}
