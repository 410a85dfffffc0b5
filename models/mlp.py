"""The multilayer perceptrons of the paper, for modular arithmetic and for images. No biases, no masks.

Legend: n examples, p inputs of the vocabulary, c classes, e d_emb, d d_model, i pixels. ``...`` are leading axes of a
population, one network for each index; they may be absent. Every weight is stored as (out, in), but W_U as (e, c).
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.choices import chosen
from common.ranges import Count, Whole
from models.model import ACTIVATIONS, Model, normal


@dataclass(frozen=True, kw_only=True)
class MLP(Model):
    """The paper's MLP for modular arithmetic."""

    name: ClassVar[str] = "mlp"
    sees_order: ClassVar[bool] = False

    d_emb: Count = 500
    """Width of the embedding."""
    d_model: Count = 48
    """Number of neurons."""
    num_layers: Whole = 0
    """Extra hidden layers, d_model x d_model."""

    def build(self, num_inputs: int, num_classes: int, generator: torch.Generator) -> nn.Module:
        return ModularMLP(self, num_inputs, num_classes, generator)

    def num_weights(self, num_inputs: int, num_classes: int) -> int:
        return self.d_emb * (num_inputs + 2 * self.d_model + num_classes) + self.num_layers * self.d_model**2

    def units(self, names: list[str]) -> list[list[tuple[str, int]]]:
        ends = [[("W_E", 0), ("W_inproj", 1)], [("W_outproj", 0), ("W_U", 0)]]
        return ends + between(["W_inproj", *hidden_layers(names), "W_outproj"])


@dataclass(frozen=True, kw_only=True)
class ImageMLP(Model):
    """The paper's MLP for images, 784-200-200-10."""

    name: ClassVar[str] = "image_mlp"
    inputs: ClassVar[str] = "vectors"

    d_model: Count = 200
    """Width of the hidden layers."""
    num_layers: Whole = 1
    """Extra hidden layers, d_model x d_model."""

    def build(self, num_inputs: int, num_classes: int, generator: torch.Generator) -> nn.Module:
        return VectorMLP(self, num_inputs, num_classes, generator)

    def num_weights(self, num_inputs: int, num_classes: int) -> int:
        return self.d_model * (num_inputs + num_classes) + self.num_layers * self.d_model**2

    def units(self, names: list[str]) -> list[list[tuple[str, int]]]:
        return [[("W_in", 1)], *between(["W_in", *hidden_layers(names), "W_out"])]


def hidden_layers(names: list[str]) -> list[str]:
    return [name for name in names if name.startswith("W_h")]


def between(layers: list[str]) -> list[list[tuple[str, int]]]:
    """The units between each matrix (out, in) and the next."""
    return [[(one, 0), (following, 1)] for one, following in pairwise(layers)]


class ModularMLP(nn.Module):
    """``W_U^T W_outproj relu(W_inproj (W_E a + W_E b))``: it adds the embeddings, so it cannot tell (a, b) from (b, a).

    The products are taken in the cheap order: ``W_inproj W_E (d, p)`` and ``W_outproj^T W_U (d, c)`` are small, and every
    example only looks up in the one and multiplies with the other. Exact, and about ten times less work than example by example.

    The paper's Section 3.1; ``num_layers`` extra d x d hidden layers ``W_h``, none by default.
    """

    def __init__(self, sizes: MLP, p: int, num_classes: int, generator: torch.Generator):
        super().__init__()
        self.p = p
        self.act = chosen(ACTIVATIONS, sizes.act_type)
        d_emb, d_model, s = sizes.d_emb, sizes.d_model, sizes.weight_scale
        self.W_E = normal(d_emb, p, std=s / p**0.5, generator=generator)  # e p
        self.W_inproj = normal(d_model, d_emb, std=s / d_emb**0.5, generator=generator)  # d e
        self.W_h = nn.ParameterList(
            normal(d_model, d_model, std=s / d_model**0.5, generator=generator) for _ in range(sizes.num_layers)
        )  # d d
        self.W_outproj = normal(d_emb, d_model, std=s / d_model**0.5, generator=generator)  # e d
        self.W_U = normal(d_emb, num_classes, std=s / d_emb**0.5, generator=generator)  # e c

    def encode(self, x: Tensor) -> Tensor:
        """How often each input occurs, ``(..., n, 2) int64 -> (..., n, p)``: the lookup of both as one product."""
        return F.one_hot(x, self.p).sum(-2).to(self.W_E.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, ``(..., n, 2) int64, or (..., n, p) as encode gives it -> (..., n, c)``."""
        counts = x if x.is_floating_point() else self.encode(x)
        hidden = self.act(counts @ (self.W_inproj @ self.W_E).mT)  # n d
        for weight in self.W_h:
            hidden = self.act(hidden @ weight.mT)
        return hidden @ (self.W_outproj.mT @ self.W_U)  # n c


class VectorMLP(nn.Module):
    """``W_out relu(W_h ... relu(W_in x))`` on flat images, as in the paper's Section 3.1."""

    def __init__(self, sizes: ImageMLP, num_pixels: int, num_classes: int, generator: torch.Generator):
        super().__init__()
        self.act = chosen(ACTIVATIONS, sizes.act_type)
        d_model, s = sizes.d_model, sizes.weight_scale
        self.W_in = normal(d_model, num_pixels, std=s / num_pixels**0.5, generator=generator)  # d i
        self.W_h = nn.ParameterList(
            normal(d_model, d_model, std=s / d_model**0.5, generator=generator) for _ in range(sizes.num_layers)
        )  # d d
        self.W_out = normal(num_classes, d_model, std=s / d_model**0.5, generator=generator)  # c d

    def encode(self, x: Tensor) -> Tensor:
        """Images as they are, in the weights' precision, ``(..., n, i) -> (..., n, i)``."""
        return x.to(self.W_in.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, ``(..., n, i) -> (..., n, c)``."""
        hidden = self.act(x @ self.W_in.mT)  # n d
        for weight in self.W_h:
            hidden = self.act(hidden @ weight.mT)
        return hidden @ self.W_out.mT  # n c
