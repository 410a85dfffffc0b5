"""The multilayer perceptrons of the paper, for modular arithmetic and for images. No biases, no masks.

Legend: n examples, p inputs of the vocabulary, c classes, e d_emb, d d_model, i pixels. ``...`` are leading axes of a
population, one network for each index; they may be absent. Every weight is stored as (out, in), but W_U as (e, c).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu}


def normal(*shape: int, std: float, generator: torch.Generator) -> nn.Parameter:
    """A weight matrix drawn from N(0, std^2) on the CPU."""
    return nn.Parameter(torch.randn(*shape, generator=generator) * std)


class ModularMLP(nn.Module):
    """``W_U^T W_outproj relu(W_inproj (W_E a + W_E b))``: it adds the embeddings, so it cannot tell (a, b) from (b, a).

    The products are taken in the cheap order: ``W_inproj W_E (d, p)`` and ``W_outproj^T W_U (d, c)`` are small, and every
    example only looks up in the one and multiplies with the other. Exact, and about ten times less work than example by example.

    The paper's Section 3.1; ``num_layers`` extra d x d hidden layers ``W_h``, none by default.
    """

    def __init__(
        self,
        *,
        p: int,
        num_classes: int,
        d_emb: int,
        d_model: int,
        num_layers: int,
        act_type: str,
        weight_scale: float,
        generator: torch.Generator,
    ):
        super().__init__()
        self.p = p
        self.act = ACTIVATIONS[act_type]
        s = weight_scale
        self.W_E = normal(d_emb, p, std=s / p**0.5, generator=generator)  # e p
        self.W_inproj = normal(d_model, d_emb, std=s / d_emb**0.5, generator=generator)  # d e
        self.W_h = nn.ParameterList(
            normal(d_model, d_model, std=s / d_model**0.5, generator=generator) for _ in range(num_layers)
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


class ImageMLP(nn.Module):
    """784-200-200-10 on flat images, as in the paper's Section 3.1: ``W_out relu(W_h ... relu(W_in x))``."""

    def __init__(
        self,
        *,
        num_pixels: int,
        num_classes: int,
        d_model: int,
        num_layers: int,
        act_type: str,
        weight_scale: float,
        generator: torch.Generator,
    ):
        super().__init__()
        self.act = ACTIVATIONS[act_type]
        s = weight_scale
        self.W_in = normal(d_model, num_pixels, std=s / num_pixels**0.5, generator=generator)  # d i
        self.W_h = nn.ParameterList(
            normal(d_model, d_model, std=s / d_model**0.5, generator=generator) for _ in range(num_layers)
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
