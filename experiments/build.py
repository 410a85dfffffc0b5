"""From a config to data, model, loss, optimizer and device: what training needs, before it is known which run it is."""

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from common.choices import chosen
from common.errors import UserError
from common.randomness import generator
from configs.base import Dense
from data.task import Split
from experiments.reader import load_checkpoint
from models.model import weights_of
from training.loop import Schedule
from training.losses import LOSSES, Loss
from training.optimizer import OPTIMIZERS, Optimizer
from training.population import stack_masks


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a device."""
    if device.type == "cuda":
        # What the allocator keeps for itself is free as well.
        own = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + own
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):  # not Linux: half of what is built in
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def check_memory(config: Dense) -> None:
    """Raise UserError, before anything is made, for a run that the memory of its device cannot hold.

    The least that it needs: weights, gradients, two moments and two copies; logits and their gradients in float64.
    """
    sizes = config.task.sizes()
    num_weights = config.model.num_weights(sizes.num_inputs, sizes.num_classes) if sizes else None
    if num_weights is None:
        return
    of_vectors = 4 * sizes.num_inputs if config.task.inputs == "vectors" else 0
    need = 6 * 4 * num_weights + sizes.num_examples * (2 * 8 * sizes.num_classes + of_vectors)
    if need > (free := free_memory(choose_device(config))):
        raise UserError(
            f"this network has {num_weights:,} weights and {sizes.num_examples:,} examples, which need {need / 1e9:,.0f} GB or more; "
            f"{free / 1e9:,.1f} GB are free; choose a smaller network or task"
        )


def build_split(config: Dense) -> Split:
    """The training and test set, on the CPU. Raises UserError where labels are not what the task has promised."""
    split = config.task.split(config.seed)
    for labels in (split.train_y, split.test_y):
        if labels.is_floating_point() and split.num_classes == 1 and bool(labels.isfinite().all()):
            continue
        if labels.dtype != torch.int64 or not 0 <= int(labels.min()) <= int(labels.max()) < split.num_classes:
            found = f"{labels.dtype} from {labels.min().item()} to {labels.max().item()}"
            raise UserError(f"labels are torch.int64 from 0 to {split.num_classes - 1}, and the task gives {found}")
    return split


def build_model(config: Dense, split: Split) -> nn.Module:
    """The model at its init, on the CPU, drawn from the seed."""
    return config.model.build(split.num_inputs, split.num_classes, generator(config.seed, "init"))


def build_loss(config: Dense) -> Loss:
    """The loss that the run is trained and measured with."""
    return chosen(LOSSES, config.loss or config.task.loss)


def build_optimizer(
    configs: Sequence[Dense], model: nn.Module, masks: Sequence[dict[str, Tensor] | None], device: torch.device
) -> Optimizer:
    """The optimizer of one run, or of a population whose ``model`` has a leading axis; moves the model to the device."""
    first, capturable = configs[0], device.type == "cuda" and not configs[0].batch_size
    lr, weight_decay, mask = first.lr, first.weight_decay, masks[0]
    if len(configs) > 1:
        lr, weight_decay = (
            torch.tensor([getattr(config, name) for config in configs], dtype=torch.float64, device=device)
            for name in ("lr", "weight_decay")
        )
        mask = stack_masks(masks, model)
    return chosen(OPTIMIZERS, first.optimizer)(model.to(device), lr, weight_decay, first.betas, mask, capturable)


def build_schedule(config: Dense) -> Schedule:
    """When the run is measured, saved and ended, and what an epoch is."""
    names = ("num_epochs", "save_every", "save_at", "stopping_thresh", "lp", "lp_alpha", "batch_size", "seed")
    own = {name: getattr(config, name) for name in names}
    return Schedule(**own, stop_after_gen=config.gen_threshold if config.stop_after_gen else None)


def choose_device(config: Dense) -> torch.device:
    """The device that the config names. Raises UserError where it is not there."""
    name = config.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        if torch.device(name).type not in ("cpu", "cuda"):
            raise RuntimeError("only cpu and cuda are supported")
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {name} is not there ({str(error).splitlines()[0]}); use --device cpu") from None


def set_threads_and_denormals(config: Dense) -> None:
    """Set the number of CPU threads, and take denormal floats for 0.

    Once a network fits its training set, gradients of wrong classes are so small that many are denormal, and a product of such
    numbers takes some six times as long. Threads that exist already would not follow, so this comes before the first product.
    """
    torch.set_num_threads(config.threads)
    torch.set_flush_denormal(True)


def load_weights(path: Path, model: nn.Module) -> dict[str, Tensor]:
    """The weights in a checkpoint. Raises UserError where they are not those of such a model, or not finite."""
    weights = load_checkpoint(path)["model"]
    wanted = {name: (weight.shape, weight.dtype) for name, weight in weights_of(model).items()}
    if {name: (weight.shape, weight.dtype) for name, weight in weights.items()} != wanted:
        raise UserError(f"{path} holds another model than its run's config.json says; train that run with --rerun")
    if not all(bool(weight.isfinite().all()) for weight in weights.values()):
        raise UserError(f"{path} holds weights that are not finite; train that run with --rerun")
    return weights
