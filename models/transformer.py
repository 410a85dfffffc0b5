"""The one-block Transformer of the paper, for modular arithmetic: no positional embedding, LayerNorm, biases or masks of weights.

Legend: n examples, t tokens (2), q tokens that ask (all, or the last one alone), h heads, k d_head, d d_model, m d_mlp,
p vocabulary, c classes. ``...`` are leading axes of a population; they may be absent. The heads of W_Q, W_K and W_V are
stacked along their rows, (h k, d); those of W_O along its columns, (d, h k).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from common.choices import chosen
from common.errors import UserError
from common.ranges import Count
from models.model import ACTIVATIONS, Model, normal


@dataclass(frozen=True, kw_only=True)
class Transformer(Model):
    """The paper's Transformer for modular arithmetic."""

    name: ClassVar[str] = "transformer"

    d_model: Count = 128
    """Width of the residual stream."""
    d_mlp: Count = 128
    """Width of the MLP."""
    num_heads: Count = 1
    """Attention heads; divides d_model."""
    num_layers: Count = 1
    """Blocks."""

    def __post_init__(self):
        super().__post_init__()
        if self.d_model % self.num_heads:
            raise UserError(f"d_model {self.d_model} is not divisible by num_heads {self.num_heads}")

    def build(self, num_inputs: int, num_classes: int, generator: torch.Generator) -> nn.Module:
        return ModularTransformer(self, num_inputs, num_classes, generator)

    def num_weights(self, num_inputs: int, num_classes: int) -> int:
        block = 4 * self.d_model**2 + 2 * self.d_model * self.d_mlp
        return self.d_model * (num_inputs + num_classes) + self.num_layers * block

    def units(self, names: list[str]) -> list[list[tuple[str, int]]]:
        blocks = [f"blocks.{layer}" for layer in range(self.num_layers)]
        return [[(f"{block}.W_in", 0), (f"{block}.W_out", 1)] for block in blocks]


def one_hot(index: Tensor, like: Tensor) -> Tensor:
    """Rows with a 1 each, in the precision of ``like (..., p, d)``, ``(..., n) int64 -> (..., n, p)``."""
    return (index.unsqueeze(-1) == torch.arange(like.shape[-2], device=index.device)).to(like.dtype)


def times(tokens: Tensor, weight: Tensor) -> Tensor:
    """Every token's row times a matrix, ``(..., n, t, d), (..., d, k) -> (..., n, t, k)``.

    Of a population as one product of n t rows, or each of its matrices would be copied for every example. One network, of which
    nothing is copied, keeps the axis n: without a graph the other product has other last bits.
    """
    if weight.dim() == 2:
        return tokens @ weight.unsqueeze(-3)
    return (tokens.flatten(-3, -2) @ weight).unflatten(-2, tokens.shape[-3:-1])


class Block(nn.Module):
    """Causal attention, then an MLP, each added to the residual stream.

    A last block computes the last token alone (q = 1): nothing reads the others.
    """

    def __init__(self, sizes: Transformer, last: bool, generator: torch.Generator):
        super().__init__()
        self.num_heads, self.last, self.act = sizes.num_heads, last, chosen(ACTIVATIONS, sizes.act_type)
        d_model, d_mlp, std = sizes.d_model, sizes.d_mlp, sizes.weight_scale / sizes.d_model**0.5
        self.W_Q, self.W_K, self.W_V = (normal(d_model, d_model, std=std, generator=generator) for _ in range(3))
        self.W_O = normal(d_model, d_model, std=std, generator=generator)
        self.W_in = normal(d_mlp, d_model, std=std, generator=generator)
        self.W_out = normal(d_model, d_mlp, std=std, generator=generator)

    def heads(self, rows: Tensor) -> Tensor:
        """``(..., r, h k) -> (..., h, r, k)``."""
        return rows.unflatten(-1, (self.num_heads, -1)).transpose(-2, -3)

    def pattern(self, scores: Tensor) -> Tensor:
        """Softmax over the tokens that a token may see (itself and those before), ``(..., h, q, t) -> (..., h, q, t)``."""
        q, t = scores.shape[-2:]
        if q > 1:
            future = torch.ones(q, t, dtype=torch.bool, device=scores.device).triu(1 + t - q)
            scores = scores.masked_fill(future, -torch.inf)
        return scores.softmax(-1)

    def attend_to_vocabulary(self, index: Tensor, vocabulary: Tensor) -> Tensor:
        """The first block's attention and residual, ``tokens (..., n, t) int64, vocabulary (..., p, d) -> (..., n, q, d)``.

        Before any mixing a token is one of p rows, so scores and values are computed once for the vocabulary, ``(h, p, p)``
        and ``(h, p, d)``, and looked up; a token's mixture of values is a distribution over p times that small table.
        """
        asking = index[..., -1:] if self.last else index  # n q
        n, q = asking.shape[-2:]
        chosen_rows = one_hot(asking.flatten(-2), vocabulary)  # nq p
        queries, keys, values = (
            self.heads(vocabulary @ weight.mT) for weight in (self.W_Q, self.W_K, self.W_V)
        )  # h p k
        table = queries @ keys.mT / queries.shape[-1] ** 0.5  # h p p
        rows = chosen_rows.unsqueeze(-3) @ table  # h nq p
        lead = rows.shape[:-3]  # of the weights, where all networks share one input
        seen = index[..., None, :, None, :].expand(*lead, self.num_heads, n, q, -1)  # h n q t
        scores = rows.unflatten(-2, (n, q)).gather(-1, seen)  # h n q t
        pattern = self.pattern(scores)
        mixture = torch.zeros_like(rows).unflatten(-2, (n, q)).scatter_add(-1, seen, pattern)  # h n q p
        moved = values @ self.W_O.unflatten(-1, (self.num_heads, -1)).movedim(-2, -3).mT  # h p d
        attended = times(mixture.movedim(-4, -2).flatten(-2), moved.flatten(-3, -2))  # n q d
        return attended + (chosen_rows @ vocabulary).unflatten(-2, (n, q))

    def attend(self, residual: Tensor) -> Tensor:
        """A later block's attention and residual, ``(..., n, t, d) -> (..., n, q, d)``."""
        asking = residual[..., -1:, :] if self.last else residual
        queries, keys, values = (
            self.heads(times(tokens, weight.mT))
            for tokens, weight in ((asking, self.W_Q), (residual, self.W_K), (residual, self.W_V))
        )  # n h q k, n h t k, n h t k
        pattern = self.pattern(queries @ keys.mT / queries.shape[-1] ** 0.5)  # n h q t
        mixed = (pattern @ values).transpose(-2, -3).flatten(-2)  # n q hk
        return asking + times(mixed, self.W_O.mT)

    def add_mlp(self, residual: Tensor) -> Tensor:
        """The residual stream after the MLP, ``(..., n, q, d) -> (..., n, q, d)``."""
        rows = residual.flatten(-3, -2)  # nq d
        return (rows + self.hidden(rows) @ self.W_out.mT).view_as(residual)

    def hidden(self, residual: Tensor) -> Tensor:
        """The MLP's hidden units, ``(..., r, d) -> (..., r, m)``."""
        return self.act(residual @ self.W_in.mT)


class ModularTransformer(nn.Module):
    """Two tokens a and b; the answer is read at b. The paper's Section 3.1, after Nanda et al. (arXiv 2301.05217)."""

    def __init__(self, sizes: Transformer, p: int, num_classes: int, generator: torch.Generator):
        super().__init__()
        self.p = p
        d_model, s = sizes.d_model, sizes.weight_scale
        self.W_E = normal(d_model, p, std=s / p**0.5, generator=generator)  # d p
        self.blocks = nn.ModuleList(
            Block(sizes, layer == sizes.num_layers - 1, generator) for layer in range(sizes.num_layers)
        )
        self.W_U = normal(d_model, num_classes, std=s / d_model**0.5, generator=generator)  # d c

    def encode(self, x: Tensor) -> Tensor:
        """The tokens as they are."""
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Logits, ``(..., n, 2) int64 -> (..., n, c)``."""
        block, *later = self.blocks
        residual = block.attend_to_vocabulary(x, self.W_E.mT)
        for following in later:
            residual = following.attend(block.add_mlp(residual))
            block = following
        answer = residual.squeeze(-2)  # n d
        # W_out W_U is small (m, c): two products with c columns cost less than one back to d and one to c.
        return answer @ self.W_U + block.hidden(answer) @ (block.W_out.mT @ self.W_U)

    def of_ones(self) -> Tensor:
        """The logits where every entry of every token's row is 1, ``(1, c)``; tokens that are all the same attend uniformly."""
        residual = self.W_E.new_ones(1, self.p) @ self.W_E.mT
        for block in self.blocks:
            residual = residual + residual @ block.W_V.mT @ block.W_O.mT
            residual = residual + block.hidden(residual) @ block.W_out.mT
        return residual @ self.W_U
