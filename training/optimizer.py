"""AdamW on one flat vector: one update, one mask and one norm for all weights, for one run or a population of runs."""

import torch
from torch import Tensor, nn

from common.errors import UserError
from pruning.masks import check_mask

ALIGNMENT = 16  # floats: every matrix starts at a multiple of 64 bytes, as its own allocation would


class AdamW:
    """AdamW (Loshchilov and Hutter, arXiv 1711.05101) with the weights of ``model`` moved into one flat vector.

    ``lr`` and ``weight_decay`` are numbers for one run, whose step is torch's fused AdamW, or float64 tensors ``(R,)`` for a
    population whose weights have one leading axis R; then the same update is done by broadcasting. ``capturable``: the steps
    are to be recorded in a CUDA graph.

    ``mask``: ``{name: bool tensor}`` shaped as the weights; pruned weights are 0 after construction and after every step. As
    AdamW works element by element, the kept weights are the same bit for bit as with the mask in the forward pass.

    Attributes: ``flat (..., N)`` the weights (the model's parameters are views of it), ``exp_avg``, ``exp_avg_sq (..., N)``.
    """

    def __init__(
        self,
        model: nn.Module,
        lr,
        weight_decay,
        betas: tuple[float, float],
        mask: dict[str, Tensor] | None,
        capturable: bool = False,
    ):
        self.parameters = dict(model.named_parameters())
        self.lr, self.weight_decay, self.betas, self.eps = lr, weight_decay, betas, 1e-8
        self.is_population, self.capturable = isinstance(lr, Tensor), capturable
        self.flat = self._flatten({name: weight.data for name, weight in self.parameters.items()})
        for name, view in self.views(self.flat).items():
            self.parameters[name].data = view
        self.grad = torch.zeros_like(self.flat)
        self.grad_views = self.views(self.grad)
        self.mask = None
        if mask is not None:
            check_mask(mask, self.parameters)
            self.mask = self._flatten(mask).to(self.flat)
            self.flat.mul_(self.mask)
        if self.is_population:
            self.step_count = torch.zeros((), dtype=torch.float64, device=self.flat.device)
            self.exp_avg, self.exp_avg_sq = torch.zeros_like(self.flat), torch.zeros_like(self.flat)
            self.buffer = torch.empty_like(self.flat)
        else:
            leaf = nn.Parameter(self.flat)
            leaf.grad = self.grad
            self.fused = torch.optim.AdamW(
                [leaf], lr=lr, betas=betas, eps=self.eps, weight_decay=weight_decay, fused=True, capturable=capturable
            )
            state = self.fused.state[leaf]  # as the first step would make it, so that it can be saved before
            state["step"] = torch.zeros((), device=self.flat.device)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(self.flat), torch.zeros_like(self.flat)
            self.step_count, self.exp_avg, self.exp_avg_sq = state["step"], state["exp_avg"], state["exp_avg_sq"]

    def _flatten(self, tensors: dict[str, Tensor]) -> Tensor:
        pieces = []
        for name in self.parameters:
            piece = tensors[name].flatten(-2)
            pieces.append(nn.functional.pad(piece, (0, -piece.shape[-1] % ALIGNMENT)))
        return torch.cat(pieces, -1)

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """The matrices in a flat vector, ``(..., N) -> {name: (..., out, in)}``."""
        found, start = {}, 0
        for name, weight in self.parameters.items():
            rows, columns = weight.shape[-2:]
            found[name] = flat[..., start : start + rows * columns].unflatten(-1, (rows, columns))
            start += rows * columns + -(rows * columns) % ALIGNMENT
        return found

    @torch.no_grad()
    def step(self) -> None:
        """One update from the gradients that backward left at the parameters, which are dropped; then the mask."""
        for name, weight in self.parameters.items():
            self.grad_views[name].copy_(weight.grad)
            weight.grad = None
        if self.is_population:
            update_population(self)
        else:
            self.fused.step()
        if self.mask is not None:
            self.flat.mul_(self.mask)

    def state_dict(self) -> dict[str, Tensor]:
        """``exp_avg``, ``exp_avg_sq (..., N)`` and ``step``; the weights are the model's."""
        return {"exp_avg": self.exp_avg, "exp_avg_sq": self.exp_avg_sq, "step": self.step_count}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from a ``state_dict``; the weights are put back with ``load_weights``."""
        for name, tensor in self.state_dict().items():
            if name not in state or state[name].shape != tensor.shape:
                raise UserError(f"the saved {name} of the optimizer is of another model; train again with --rerun")
            tensor.copy_(state[name])

    @torch.no_grad()
    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Put weights, ``{name: (..., out, in)}``, into the flat vector, and so into the model."""
        for name, weight in self.parameters.items():
            weight.copy_(weights[name])
        if self.mask is not None:
            self.flat.mul_(self.mask)


def update_population(adamw: AdamW) -> None:
    """The update of every network of a population, each with its own learning rate and weight decay."""
    beta1, beta2 = adamw.betas
    adamw.step_count.add_(1)
    # m^ / (sqrt(v^) + eps) with both bias corrections moved into the step size and eps.
    root = (1 - beta2**adamw.step_count).sqrt()
    step_size = (adamw.lr * root / (1 - beta1**adamw.step_count)).to(adamw.flat.dtype).unsqueeze(-1)
    decay = (1 - adamw.lr * adamw.weight_decay).to(adamw.flat.dtype).unsqueeze(-1)
    adamw.exp_avg.lerp_(adamw.grad, 1 - beta1)
    adamw.exp_avg_sq.mul_(beta2).addcmul_(adamw.grad, adamw.grad, value=1 - beta2)
    torch.sqrt(adamw.exp_avg_sq, out=adamw.buffer).add_(adamw.eps * root).div_(step_size)
    adamw.flat.mul_(decay).addcdiv_(adamw.exp_avg, adamw.buffer, value=-1)
