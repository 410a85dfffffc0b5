"""What a run is made of, as tensors, before it is trained: its data, its start and its mask. Made once, by one function."""

from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from analysis.structure import alignment
from common.choices import chosen, spelled
from common.errors import NothingToDo, UserError
from common.randomness import generator
from common.waves import share_in, share_of_best, strongest
from configs.base import Dense
from configs.ticket import Ticket
from data.task import Split
from experiments.build import (
    build_loss,
    build_model,
    build_split,
    check_memory,
    load_weights,
    set_threads_and_denormals,
)
from experiments.folder import RunFolder
from experiments.identity import hash_of, hash_of_split
from experiments.parents import MaskSource, accuracies_at, mask_source, require, start_of
from experiments.reader import load_checkpoint, load_mask, read_config
from models.model import set_weights, weights_of
from models.starts import STARTS, StartSetting, input_product
from pruning.controls import CONTROLS, Setting, Start
from pruning.iterate import mask_of
from pruning.masks import check_mask
from pruning.scores import SCORERS, Network
from training.metrics import logit_std

FEW_WAVES = 6  # with about so many frequencies an MLP ends that adds modulo 67


@dataclass(frozen=True, eq=False)
class Ingredients:
    """``start``: the weights at epoch 0 before the mask, ``{name: tensor}``. ``mask``: ``{name: bool}``, or None.

    ``logit_multiplier``: a fixed number by which a control multiplies the logits. ``is_drawn``: the start was drawn from the seed or
    computed by a control, not loaded. ``dense``: the folder of a ticket's dense run. ``about``: what config.json says of where mask
    and start come from. ``weights_hash``: of the weights that gave the mask.
    """

    config: Dense
    split: Split
    start: dict[str, Tensor]
    mask: dict[str, Tensor] | None = None
    logit_multiplier: float | None = None
    is_drawn: bool = True
    dense: RunFolder | None = None
    about: dict[str, Any] = field(default_factory=dict)
    weights_hash: str | None = None

    @cached_property
    def content(self) -> dict[str, Any]:
        """Hashes of what the run is made of."""
        hashes = {"data": hash_of_split(self.split), "start": hash_of(self.start), "mask": hash_of(self.mask)}
        return hashes | {"logit_multiplier": self.logit_multiplier}

    @property
    def training(self) -> dict[str, Any]:
        """The settings of the training, which with the content are what the run is known by.

        Without those by which its data and its start come about: these are compared themselves.
        """
        compared = {"task", "start", "waves", "wave_share", *(field.name for field in fields(self.config.task))}
        settings = self.config.training().settings()
        return {name: value for name, value in settings.items() if name not in compared}


def gather(config: Dense) -> Ingredients:
    """What a run is made of; for a ticket its dense run must be finished.

    Raises UserError where a run that it needs, or the checkpoint of the mask, is not there; NothingToDo for a control that means
    nothing here.
    """
    set_threads_and_denormals(config)
    check_memory(config)
    split = build_split(config)
    model = build_model(config, split)
    drawn = {name: weight.clone() for name, weight in weights_of(model).items()}
    if config.start is not None:
        drawn = begin_from(config, drawn)
    if not isinstance(config, Ticket):
        return Ingredients(config, split, drawn, about={"waves": shares_of_waves(config, drawn, None, None)})
    data = hash_of_split(split)
    dense, source = require(config.dense(), config, data), mask_source(config, data)
    start = load_weights(start_of(dense.path, config.start_epoch(source and source.epoch)), model)
    about, is_drawn, end = {"dense_run": str(dense.path)}, config.control is not None, dense.path / "final.pth"
    if source is None:
        about["waves"] = shares_of_waves(config, start, None, end)
        return Ingredients(config, split, start, is_drawn=False, dense=dense, about=about)
    mask, weights = take_mask(config, source, model, split)
    about["mask_source"] = described(config, source)
    trained = build_control(config, mask, start, split, weights) if is_drawn else Start(mask, start)
    if weights is not None:
        about["alignment"] = alignment(trained.init, weights, mask if trained.mask is None else trained.mask)
    about["waves"] = shares_of_waves(config, trained.init, trained.mask, end)
    what = (config, split, trained.init, trained.mask, trained.multiplier)
    return Ingredients(*what, is_drawn, dense, about, hash_of(weights))


def shares_of_waves(config: Dense, start: dict[str, Tensor], mask: dict[str, Tensor] | None, end: Path | None) -> dict:
    """How much of what neurons see of the numbers lies in few waves at epoch 0 (studies/waves); empty where no waves are known.

    In the FEW_WAVES strongest ones, in the best one of each neuron, and, where the dense run's last checkpoint ``end`` is given, in
    the strongest ones there.
    """
    waves = config.task.waves()
    if waves is None or "W_E" not in start or start["W_E"].shape[-1] != waves.planes.shape[-1]:
        return {}
    mask = mask or {}
    seen = input_product({name: weight * mask.get(name, 1) for name, weight in start.items()})
    shares = {
        "strongest": share_in(seen, strongest(seen, waves, FEW_WAVES)),
        "best": share_of_best(seen, waves.planes),
    }
    if end is not None:
        keys = strongest(input_product(load_checkpoint(end)["model"]), waves, FEW_WAVES)
        shares["dense_run"] = share_in(seen, keys)
    return {f"waves_{name}": share for name, share in shares.items()}


def begin_from(config: Dense, init: dict[str, Tensor]) -> dict[str, Tensor]:
    """What a dense run begins from in place of its init."""
    drawn, waves = generator(config.seed, f"start {spelled(STARTS, config.start)}"), config.task.waves()
    if waves is not None and config.waves > len(waves.planes):
        raise UserError(f"--waves {config.waves} is more than the {len(waves.planes)} waves that there are")
    setting = StartSetting(init, drawn, waves, config.waves, config.wave_share)
    return chosen(STARTS, config.start)(setting)


def take_mask(
    config: Ticket, source: MaskSource, model: nn.Module, split: Split
) -> tuple[dict[str, Tensor], dict[str, Tensor] | None]:
    """The mask, ``{name: bool}``, and the weights that gave it; None in place of these where the mask was there already."""
    if source.run is None:
        mask = load_mask(source.path)
        check_mask(mask, dict(model.named_parameters()))
        return mask, None
    weights = load_weights(source.path, model)
    network = build_model(config, split)
    set_weights(network, weights)
    before = load_mask(source.run.path) if isinstance(config.mask_from(), Ticket) else None
    data = split.train_x, split.train_y, build_loss(config), config.task.waves(), config.mask_waves
    scored = Network(dict(network.named_parameters()), network, *data)
    how = config.pruning_rate, config.scope, generator(config.seed, "mask")
    return mask_of(config.pruner, scored, *how, before), weights


def described(config: Ticket, source: MaskSource) -> dict[str, Any]:
    """Where a mask comes from, as config.json and mask.pth say it. Of a ticket's mask what that ticket's config.json says."""
    if source.run is None:
        about = {"path": str(source.path), "hash": source.settings["file"]}
        if (source.path.parent / "config.json").exists():
            about = (read_config(source.path.parent).get("mask_source") or {}) | about
        return about
    about = {"run": source.run.path.name, "checkpoint": source.path.name, "prune_at": config.prune_at}
    about |= {"epoch": source.epoch, "pruner": spelled(SCORERS, config.pruner), "scope": config.scope}
    return about | accuracies_at(source.run.path, source.epoch)


def build_control(
    config: Ticket, mask: dict[str, Tensor], start: dict[str, Tensor], split: Split, weights: dict[str, Tensor] | None
) -> Start:
    """What a ticket's control trains. Raises NothingToDo where it means nothing for this mask."""
    exact = build_model(config, split).double().eval()
    fresh = config.model.build(split.num_inputs, split.num_classes, generator(config.seed, "control init"))

    @torch.no_grad()
    def std(weights: dict[str, Tensor]) -> float:
        if config.task.labels == "numbers":
            raise NothingToDo("the scale of logits has no meaning where numbers are learned; nothing is trained")
        values = {name: weight.double() for name, weight in weights.items()}
        return float(logit_std(functional_call(exact, values, (exact.encode(split.train_x),))))

    setting = Setting(
        mask=mask,
        init=start,
        generator=generator(config.seed, f"control {spelled(CONTROLS, config.control)}"),
        redraw=lambda: weights_of(fresh),
        logit_std=std,
        units=config.model.units(list(mask)),
        weights=weights,
        waves=config.task.waves(),
    )
    return chosen(CONTROLS, config.control)(setting)
