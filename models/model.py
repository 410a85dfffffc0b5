"""What every model is: the base of the classes in this room's other files, and what they share."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.choices import choice
from common.ranges import Positive, check_fields

ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu}


@dataclass(frozen=True, kw_only=True)
class Model:
    """What learns. A model is a frozen dataclass in a file of its own; its fields are flags, explained below each.

    ``name``: its place in MODELS. ``inputs``: what it takes, "tokens" (n, t) int64 or "vectors" (n, i) float32. ``sees_order``:
    whether it can tell (a, b) from (b, a). The module that ``build`` gives is written over leading axes ``...`` of a population, and
    has an ``encode`` that prepares inputs once, ``(..., n, .) -> (..., n, .)``, a tensor. Parameters with two axes or more can be
    pruned; vectors, such as biases, are trained and never pruned. One Parameter in two places is one weight.
    """

    name: ClassVar[str]
    inputs: ClassVar[str] = "tokens"
    sees_order: ClassVar[bool] = True

    act_type: choice(ACTIVATIONS) = "relu"
    """Activation."""
    weight_scale: Positive = 1.0
    """Factor on the standard deviation of every initial weight."""

    def __post_init__(self):
        check_fields(self)

    def build(self, num_inputs: int, num_classes: int, generator: torch.Generator) -> nn.Module:
        """The network at its init, on the CPU. ``num_inputs``: size of the vocabulary, or length of a vector."""
        raise NotImplementedError

    def num_weights(self, num_inputs: int, num_classes: int) -> int | None:
        """How many weights the network will have, before it is built; None where that is not known."""
        return None

    def units(self, names: list[str]) -> list[list[tuple[str, int]]] | None:
        """The units of a network with the matrices ``names``: for each kind what comes in and goes out, as (matrix, axis of units).

        Hidden units, and those of an embedding or an input, not residual dimensions. None where they are not known.
        """
        return None


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """What a checkpoint holds of a network, ``{name: tensor}``: its parameters, a tied one once, and its buffers."""
    stored = module.state_dict()
    named = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return {name: tensor.detach() for name, tensor in named.items() if name in stored}


def set_weights(module: nn.Module, weights: dict[str, Tensor]) -> None:
    """Put weights, as ``weights_of`` gives them, into a network. Raises RuntimeError where they are those of another."""
    if weights.keys() != weights_of(module).keys():
        raise RuntimeError("these are the weights of another network")
    module.load_state_dict(weights, strict=False)


def normal(*shape: int, std: float, generator: torch.Generator) -> nn.Parameter:
    """A weight matrix drawn from N(0, std^2) on the CPU."""
    return nn.Parameter(torch.randn(*shape, generator=generator) * std)
