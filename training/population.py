"""Many runs as one: networks of the same shapes stacked along one leading axis, and taken apart again."""

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from data.task import TENSORS, Split
from training.losses import Loss


def stack(tensors: Sequence[Tensor]) -> Tensor:
    """``R x (...) -> (R, ...)``; one tensor that all share stays as it is, and is broadcast."""
    first = tensors[0]
    return first if all(tensor is first or tensor.equal(first) for tensor in tensors) else torch.stack(list(tensors))


def stack_states(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Optimizers' states, each tensor with a leading axis; the number of steps is the same in all."""
    return {
        name: torch.stack([state[name] for state in states]) if first.dim() else first
        for name, first in states[0].items()
    }


def stack_models(models: Sequence[nn.Module]) -> nn.Module:
    """One module whose parameters have a leading axis, ``(R, out, in)``."""
    stacked = copy.deepcopy(models[0])
    members = [dict(model.named_parameters()) for model in models]
    for name, weight in stacked.named_parameters():
        weight.data = torch.stack([member[name].data for member in members])
    return stacked


def stack_splits(splits: Sequence[Split]) -> Split:
    """One split with a leading axis; inputs or labels that all members share have none."""
    return replace(splits[0], **{name: stack([getattr(split, name) for split in splits]) for name in TENSORS})


def stack_masks(masks: Sequence[dict[str, Tensor] | None], model: nn.Module) -> dict[str, Tensor] | None:
    """``{name: (R, out, in) bool}`` for a stacked model; a member without a mask keeps all. None where none has a mask."""
    prunable = next((list(mask) for mask in masks if mask is not None), None)
    if prunable is None:
        return None
    sizes = {name: weight.shape[1:] for name, weight in model.named_parameters()}
    everything = {name: torch.ones(sizes[name], dtype=torch.bool) for name in prunable}
    return {name: torch.stack([(mask or everything)[name] for mask in masks]) for name in prunable}


def scale_logits(model: nn.Module, multipliers: Sequence[float | None]) -> RemovableHandle:
    """Multiply the logits of one network, or of each of a stacked population, by a fixed number; None is 1. Gives what undoes it."""
    numbers = [1.0 if multiplier is None else multiplier for multiplier in multipliers]
    weight = next(model.parameters())
    scale = torch.tensor(numbers, dtype=weight.dtype, device=weight.device)
    scale = scale[:, None, None] if len(numbers) > 1 else scale[0]
    return model.register_forward_hook(lambda _, inputs, logits: logits * scale)


def can_be_stacked(model: nn.Module, split: Split) -> bool:
    """Whether such networks can be trained as one. Buffers, and the random numbers of dropout, are of one network alone."""
    if next(model.buffers(), None) is not None:
        return False
    before = torch.get_rng_state()
    with torch.no_grad():
        model.train()(model.encode(split.train_x))
    return torch.get_rng_state().equal(before)


def bytes_of_member(model: nn.Module, split: Split, loss: Loss) -> int:
    """About how much memory one network takes while it trains: what its backward pass saves, counted, and its tensors.

    Weights, gradient, both moments, mask and a buffer make six copies; the test pass, which saves nothing, is counted as if it
    did, for what the loss holds for a moment.
    """
    saved: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss(model(model.encode(split.train_x)), split.train_y)
    data = sum(tensor.nbytes for tensor in (split.train_x, split.train_y, split.test_x, split.test_y))
    weights = sum(weight.nbytes for weight in model.parameters())
    rows = 1 + len(split.test_y) / len(split.train_y)
    return round(6 * weights + data + 2 * rows * sum(saved.values()))
