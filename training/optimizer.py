"""Optimizers on one flat vector: one update, one mask and one norm for all weights, for one run or a population of runs."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from common.errors import UserError
from pruning.masks import check_mask

ALIGNMENT = 16  # floats: every matrix starts at a multiple of 64 bytes, as its own allocation would


class Optimizer:
    """The weights of ``model`` moved into one flat vector, which ``update`` changes; written once for a run and for a population.

    ``lr`` and ``weight_decay`` are numbers for one run, or float64 tensors ``(R,)`` for a population whose weights have one
    leading axis R. ``betas``: decay rates of moments, or the first of them a momentum. ``capturable``: the steps are to be recorded in
    a CUDA graph.

    ``mask``: ``{name: bool tensor}`` shaped as the weights, without vectors; pruned weights are 0 after construction and after every
    step. For an update that works element by element the kept weights are the same bit for bit as with the mask in the forward pass.

    Attributes: ``flat (..., N)`` the weights (the model's parameters are views of it), ``grad (..., N)`` their gradients,
    ``state`` all else that the next update needs, ``{name: tensor}``: the ``moments`` of a class, each ``(..., N)``, and ``step``, how
    many there were. Between the weights of two parameters flat vectors may hold zeros.
    """

    moments: tuple[str, ...] = ()

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
        self.is_population, self.capturable, self.betas = isinstance(lr, Tensor), capturable, betas
        self.lr, self.weight_decay = (lr[:, None], weight_decay[:, None]) if self.is_population else (lr, weight_decay)
        num_leading = int(self.is_population)
        self.shapes = {name: weight.shape[num_leading:] for name, weight in self.parameters.items()}  # of one network
        self.flat = self._flatten({name: weight.data for name, weight in self.parameters.items()})
        for name, view in self.views(self.flat).items():
            self.parameters[name].data = view
        self.grad = torch.zeros_like(self.flat)
        self.grad_views = self.views(self.grad)
        self.mask = self.mask_views = None
        if mask is not None:
            vectors = {name: weight for name, weight in self.parameters.items() if len(self.shapes[name]) < 2}
            check_mask(mask, {name: weight for name, weight in self.parameters.items() if name not in vectors})
            kept = {name: torch.ones(weight.shape, dtype=torch.bool) for name, weight in vectors.items()}
            self.mask = self._flatten(mask | kept).to(self.flat)
            self.mask_views = {name: kept.bool() for name, kept in self.views(self.mask).items()}
            self.flat.mul_(self.mask)
        self.state = {name: torch.zeros_like(self.flat) for name in self.moments}
        self.state["step"] = torch.zeros((), dtype=torch.float64, device=self.flat.device)

    def update(self) -> None:
        """Change ``flat`` and ``state`` by one step along ``grad``, the gradients at ``flat``.

        An update that needs gradients elsewhere, as SAM does, changes ``flat``, calls ``compute_gradients`` and changes it back.
        """
        raise NotImplementedError

    def _flatten(self, tensors: dict[str, Tensor]) -> Tensor:
        pieces = []
        for name, shape in self.shapes.items():
            tensor = tensors[name]
            piece = tensor.reshape(*tensor.shape[: tensor.dim() - len(shape)], -1)
            pieces.append(nn.functional.pad(piece, (0, -piece.shape[-1] % ALIGNMENT)))
        return torch.cat(pieces, -1)

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """What a flat vector holds of each parameter, ``(..., N) -> {name: (..., *shape)}``."""
        found, start = {}, 0
        for name, shape in self.shapes.items():
            size = shape.numel()
            found[name] = flat[..., start : start + size].view((*flat.shape[:-1], *shape))
            start += size + -size % ALIGNMENT
        return found

    def matrices(self) -> list[Tensor]:
        """The parameters with two axes or more, each ``(..., out, in)``."""
        return [
            weight.flatten(1 - len(self.shapes[name]))
            for name, weight in self.parameters.items()
            if len(self.shapes[name]) >= 2
        ]

    @torch.no_grad()
    def step(self, closure: Callable[[], None] | None = None) -> None:
        """One update, then the mask.

        ``closure`` computes the objective at the present weights and calls backward; None where that has been done.
        """
        self.closure = closure
        self.compute_gradients()
        self.update()
        if self.mask is not None:
            self.flat.mul_(self.mask)

    def compute_gradients(self) -> None:
        """Put the gradients at the present weights into ``grad``."""
        if self.closure is not None:
            with torch.enable_grad():
                self.closure()
        for name, weight in self.parameters.items():
            if weight.grad is None:  # it has no part in the objective
                self.grad_views[name].zero_()
            else:
                self.grad_views[name].copy_(weight.grad)
            weight.grad = None

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from the ``state`` of another; the weights are the model's."""
        for name, tensor in self.state.items():
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


class AdamW(Optimizer):
    """AdamW (Loshchilov and Hutter, arXiv 1711.05101); of one run torch's fused kernel, of a population the same by broadcasting."""

    moments = ("exp_avg", "exp_avg_sq")
    eps = 1e-8

    def __init__(self, *given, **named):
        super().__init__(*given, **named)
        if self.is_population:
            self.buffer = torch.empty_like(self.flat)
        else:
            leaf = nn.Parameter(self.flat)
            leaf.grad = self.grad
            settings = {"lr": self.lr, "betas": self.betas, "eps": self.eps, "weight_decay": self.weight_decay}
            self.fused = torch.optim.AdamW([leaf], fused=True, capturable=self.capturable, **settings)
            self.state["step"] = self.state["step"].float()  # as the kernel wants it
            self.fused.state[leaf] = self.state

    def update(self) -> None:
        if self.is_population:
            update_population(self)
        else:
            self.fused.step()


def update_population(adamw: AdamW) -> None:
    """AdamW's update of every network of a population, each with its own learning rate and weight decay."""
    beta1, beta2 = adamw.betas
    exp_avg, exp_avg_sq, step = (adamw.state[name] for name in (*adamw.moments, "step"))
    step.add_(1)
    # m^ / (sqrt(v^) + eps) with both bias corrections moved into the step size and eps.
    root = (1 - beta2**step).sqrt()
    step_size = (adamw.lr * root / (1 - beta1**step)).to(adamw.flat.dtype)
    decay = (1 - adamw.lr * adamw.weight_decay).to(adamw.flat.dtype)
    exp_avg.lerp_(adamw.grad, 1 - beta1)
    exp_avg_sq.mul_(beta2).addcmul_(adamw.grad, adamw.grad, value=1 - beta2)
    torch.sqrt(exp_avg_sq, out=adamw.buffer).add_(adamw.eps * root).div_(step_size)
    adamw.flat.mul_(decay).addcdiv_(exp_avg, adamw.buffer, value=-1)


class SGD(Optimizer):
    """SGD with momentum, the first of ``betas``, and weight decay times the learning rate, as AdamW's."""

    moments = ("momentum",)

    def update(self) -> None:
        self.state["step"].add_(1)
        momentum = self.state["momentum"].mul_(self.betas[0]).add_(self.grad)
        lr, decay = (torch.as_tensor(value, dtype=self.flat.dtype) for value in (self.lr, self.lr * self.weight_decay))
        self.flat.mul_(1 - decay).sub_(lr * momentum)


# An optimizer is a class like AdamW and its name here.
OPTIMIZERS: dict[str, type[Optimizer]] = {"adamw": AdamW, "sgd": SGD}
