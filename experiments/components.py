"""From a config to data, model, loss, optimizer and device: what training needs, before it is known which run it is."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call

from common.errors import UserError
from common.randomness import generator
from configs.base import Dense
from configs.ticket import Ticket
from data.split import Split
from experiments.checkpoints import load_checkpoint
from pruning.controls import CONTROLS, Setting, Start
from pruning.edge_popup import EdgePopup
from pruning.masks import make_mask
from pruning.rounds import below_what_is_kept, prune_in_rounds
from pruning.scores import Network, score
from training.loop import Schedule
from training.losses import LOSSES, Loss
from training.metrics import logit_std
from training.optimizer import OPTIMIZERS, Optimizer
from training.population import stack_masks


def build_split(config: Dense) -> Split:
    """The training and test set, on the CPU."""
    return config.task.split(config.seed)


def build_model(config: Dense, split: Split) -> nn.Module:
    """The model at its init, on the CPU, drawn from the seed."""
    return config.model.build(split.num_inputs, split.num_classes, generator(config.seed, "init"))


def build_mask(config: Ticket, model: nn.Module, split: Split) -> dict[str, Tensor]:
    """The mask that a ticket's pruner takes from a ``model`` with a run's weights and its data, ``{name: bool}``, True = kept."""
    network = Network(dict(model.state_dict()), model, split.train_x, split.train_y, build_loss(config))
    scores = None if config.pruning_rounds else score(config.pruner, network, generator(config.seed, "mask"))
    return in_rounds(config, network) if config.pruning_rounds else make_mask(scores, config.pruning_rate, config.scope)


def in_rounds(config: Ticket, network: Network) -> dict[str, Tensor]:
    """The same in several rounds."""
    how = config.pruning_rate, config.scope, config.pruning_rounds, config.pruning_schedule
    return prune_in_rounds(config.pruner, network, generator(config.seed, "mask"), *how)


def next_mask(config: Ticket, model: nn.Module, split: Split, before: dict[str, Tensor]) -> dict[str, Tensor]:
    """The mask of a later iteration: what ``before``, the mask of the earlier one, has removed stays removed."""
    network = Network(dict(model.state_dict()), model, split.train_x, split.train_y, build_loss(config))
    scores = below_what_is_kept(score(config.pruner, network, generator(config.seed, "mask")), before)
    return make_mask(scores, config.pruning_rate, config.scope)


def build_edge_popup(config: Ticket, network: nn.Module) -> EdgePopup:
    """A network of which scores are learned."""
    scores = generator(config.seed, "scores")
    return EdgePopup(network, config.pruning_rate, scores, config.score_by_value, config.learn == "both")


def build_control(config: Ticket, mask: dict[str, Tensor], init: Path, final: Path) -> Start:
    """What a ticket's control trains. Raises NothingToDo where it means nothing for this mask."""
    split = config.task.split(config.seed)
    model = build_model(config, split).double()
    fresh = config.model.build(split.num_inputs, split.num_classes, generator(config.seed, "control init"))

    @torch.no_grad()
    def std(weights: dict[str, Tensor]) -> float:
        exact = {name: weight.double() for name, weight in weights.items()}
        return float(logit_std(functional_call(model, exact, (model.encode(split.train_x),))))

    setting = Setting(
        mask=mask,
        init=load_weights(init, model),
        final=load_weights(final, model),
        generator=generator(config.seed, f"control {config.control}"),
        redraw=lambda: {name: weight.detach() for name, weight in fresh.named_parameters()},
        logit_std=std,
        per_matrix=config.control_per_matrix,
    )
    return CONTROLS[config.control](setting)


def rewind(dense: Path) -> Path:
    """Where a ticket's weights start: at epoch 0 of its dense run, whose folder this is."""
    return dense / "init.pth"


def build_loss(config: Dense) -> Loss:
    """The loss that the run is trained and measured with."""
    return LOSSES[config.loss or config.task.loss]


def build_optimizer(
    configs: Sequence[Dense], model: nn.Module, masks: Sequence[dict[str, Tensor] | None], device: torch.device
) -> Optimizer:
    """The optimizer of one run, or of a population whose ``model`` has a leading axis; moves the model to the device."""
    first, capturable = configs[0], device.type == "cuda" and not configs[0].batch_size
    lr, weight_decay, mask = first.lr, first.weight_decay, masks[0]
    is_population = len(configs) > 1
    if is_population:
        lr, weight_decay = (
            torch.tensor([getattr(config, name) for config in configs], dtype=torch.float64, device=device)
            for name in ("lr", "weight_decay")
        )
        mask = stack_masks(masks, model)
    return OPTIMIZERS[first.optimizer](model.to(device), lr, weight_decay, first.betas, mask, capturable)


def build_schedule(config: Dense) -> Schedule:
    """When the run is measured, saved and ended, and what an epoch is."""
    return Schedule(
        num_epochs=config.num_epochs,
        save_every=config.save_every,
        save_at=config.save_at,
        stopping_thresh=config.stopping_thresh,
        stop_after_gen=config.gen_threshold if config.stop_after_gen else None,
        lp=config.lp,
        lp_alpha=config.lp_alpha,
        batch_size=config.batch_size,
        seed=config.seed,
    )


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


def use_cpu(config: Dense) -> None:
    """Set the number of threads, and take denormal floats for 0.

    Once a network fits its training set, gradients of wrong classes are so small that many are denormal, and a product of such
    numbers takes some six times as long. Threads that exist already would not follow, so this comes before the first product.
    """
    torch.set_num_threads(config.threads)
    torch.set_flush_denormal(True)


def start_from(model: nn.Module, init: Path | None) -> None:
    """Put the weights in the checkpoint ``init`` into a model; None leaves it at the init that was drawn for it."""
    if init is not None:
        model.load_state_dict(load_weights(init, model))


def restore(model: nn.Module, state: dict, epoch: int) -> dict | None:
    """Put a state, as ``member_state`` gives it, into a model; gives the optimizer's, None at epoch 0, where all moments are 0."""
    model.load_state_dict(state["model"])
    return state["optimizer"] if epoch else None


def load_weights(path: Path, model: nn.Module) -> dict[str, Tensor]:
    """The weights in a checkpoint. Raises UserError where they are not those of such a model, or not finite."""
    weights = load_checkpoint(path)["model"]
    wanted = {name: weight.shape for name, weight in model.state_dict().items()}
    if {name: weight.shape for name, weight in weights.items()} != wanted:
        raise UserError(f"{path} holds another model than its run's config.json says; train that run with --rerun")
    if not all(bool(weight.isfinite().all()) for weight in weights.values()):
        raise UserError(f"{path} holds weights that are not finite; train that run with --rerun")
    return weights
