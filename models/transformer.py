"""The one-block Transformer of the paper, for modular arithmetic: no positional embedding, LayerNorm, biases or masks of weights.

Legend: n examples, t tokens (2), q tokens that ask (all, or the last one alone), h heads, k d_head, d d_model, m d_mlp,
p vocabulary, c classes. ``...`` are leading axes of a population; they may be absent. The heads of W_Q, W_K and W_V are
stacked along their rows, (h k, d); those of W_O along its columns, (d, h k).
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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


class Tokens(NamedTuple):
    """Encoded input: ``index (..., n, t)`` int64 and ``one_hot (..., n, t, p)``."""

    index: Tensor
    one_hot: Tensor


class Block(nn.Module):
    """Causal attention, then an MLP, each added to the residual stream.

    A last block computes the last token alone (q = 1): nothing reads the others.
    """

    def __init__(self, sizes: Transformer, last: bool, generator: torch.Generator):
        super().__init__()
        self.num_heads, self.last, self.act = sizes.num_heads, last, ACTIVATIONS[sizes.act_type]
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

    def attend_to_vocabulary(self, tokens: Tokens, vocabulary: Tensor) -> Tensor:
        """The first block's attention and residual, ``tokens (..., n, t), vocabulary (..., p, d) -> (..., n, q, d)``.

        Before any mixing a token is one of p rows, so scores and values are computed once for the vocabulary, ``(h, p, p)``
        and ``(h, p, d)``, and looked up; a token's mixture of values is a distribution over p times that small table.
        """
        index, asking = tokens.index, tokens.one_hot
        if self.last:
            asking = asking[..., -1:, :]
        queries, keys, values = (
            self.heads(vocabulary @ weight.mT) for weight in (self.W_Q, self.W_K, self.W_V)
        )  # h p k
        table = queries @ keys.mT / queries.shape[-1] ** 0.5  # h p p
        n, q = asking.shape[-3:-1]
        rows = asking.flatten(-3, -2).unsqueeze(-3) @ table  # h nq p
        lead = rows.shape[:-3]  # of the weights, where all networks share one input
        seen = index[..., None, :, None, :].expand(*lead, self.num_heads, n, q, -1)  # h n q t
        scores = rows.unflatten(-2, (n, q)).gather(-1, seen)  # h n q t
        pattern = self.pattern(scores)
        mixture = torch.zeros_like(rows).unflatten(-2, (n, q)).scatter_add(-1, seen, pattern)  # h n q p
        moved = values @ self.W_O.unflatten(-1, (self.num_heads, -1)).movedim(-2, -3).mT  # h p d
        attended = mixture.movedim(-4, -2).flatten(-2) @ moved.flatten(-3, -2).unsqueeze(-3)  # n q d
        return attended + asking @ vocabulary.unsqueeze(-3)

    def attend(self, residual: Tensor) -> Tensor:
        """A later block's attention and residual, ``(..., n, t, d) -> (..., n, q, d)``."""
        asking = residual[..., -1:, :] if self.last else residual
        wide = lambda weight: weight.mT.unsqueeze(-3)
        queries, keys, values = (
            self.heads(rows @ wide(weight))
            for rows, weight in ((asking, self.W_Q), (residual, self.W_K), (residual, self.W_V))
        )  # n h q k, n h t k, n h t k
        pattern = self.pattern(queries @ keys.mT / queries.shape[-1] ** 0.5)  # n h q t
        mixed = (pattern @ values).transpose(-2, -3).flatten(-2)  # n q hk
        return asking + mixed @ wide(self.W_O)

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

    def encode(self, x: Tensor) -> Tokens:
        """The tokens and their one-hot rows, ``(..., n, 2) int64 -> (..., n, 2), (..., n, 2, p)``."""
        return Tokens(x, F.one_hot(x, self.p).to(self.W_E.dtype))

    def forward(self, x: Tensor | Tokens) -> Tensor:
        """Logits, ``(..., n, 2) int64, or as encode gives it -> (..., n, c)``."""
        tokens = x if isinstance(x, Tokens) else self.encode(x)
        block, *later = self.blocks
        residual = block.attend_to_vocabulary(tokens, self.W_E.mT)
        for following in later:
            residual = following.attend(block.add_mlp(residual))
            block = following
        answer = residual.squeeze(-2)  # n d
        # W_out W_U is small (m, c): two products with c columns cost less than one back to d and one to c.
        return answer @ self.W_U + block.hidden(answer) @ (block.W_out.mT @ self.W_U)
