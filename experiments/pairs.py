"""A dense run beside its ticket, as analyses see the two."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from torch import nn

from common.errors import UserError
from common.files import load_json, load_tensors
from configs.base import Dense
from configs.identity import completed, same_run
from configs.load import config_from_json
from configs.ticket import Ticket
from data.split import Split
from experiments.build import build_loss, build_model, build_split, load_weights, use_cpu
from experiments.checkpoints import list_checkpoints
from experiments.reading import read_metrics
from pruning.masks import check_mask
from training.losses import Loss


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run: its folder, its config, ``{epoch: path}``, and a ticket's mask, ``{name: bool array}``, True = kept."""

    folder: Path
    config: Dense
    checkpoints: Mapping[int, Path]
    mask: Mapping[str, np.ndarray] | None = None

    @property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def metrics(self) -> dict[str, np.ndarray]:
        return read_metrics(self.folder)

    @cached_property
    def split(self) -> Split:
        return build_split(self.config)

    @cached_property
    def loss(self) -> Loss:
        return build_loss(self.config)

    def network(self, epoch: int) -> nn.Module:
        """The model with the weights of a saved epoch, in float64."""
        model = build_model(self.config, self.split)
        model.load_state_dict(load_weights(self.checkpoints[epoch], model))
        return model.double()

    def weights(self, epoch: int) -> dict[str, np.ndarray]:
        """``{name: float64 array}`` at a saved epoch."""
        return {name: weight.detach().numpy() for name, weight in self.network(epoch).named_parameters()}

    def before(self, epoch: int) -> int | None:
        """The saved epoch before this one."""
        return max((other for other in self.checkpoints if other < epoch), default=None)


@dataclass(frozen=True, eq=False)
class Pair:
    """A dense run and its ticket, whose mask is from ``mask_epoch`` of the dense run. ``others``: the same of other seeds."""

    dense: Run
    ticket: Run
    mask_epoch: int
    others: list["Pair"] = field(default_factory=list)

    @property
    def runs(self) -> tuple[Run, Run]:
        return self.dense, self.ticket

    @property
    def pruning_rate(self) -> float:
        return self.ticket.config.pruning_rate


def _settings(folder: Path) -> tuple[dict, Dense]:
    """The config.json of a finished run, and its config."""
    settings = load_json(folder / "config.json", {"kind": str, "config": dict, "identity": dict})
    if not (folder / "summary.json").exists():
        raise UserError(f"{folder} holds no finished run; the command that trains it goes on from what is saved")
    return settings, config_from_json(settings, folder / "config.json")


def open_pair(dense_folder: Path, ticket_folder: Path) -> Pair:
    """Raises UserError where a run is missing or damaged, or the ticket is none of this dense run."""
    (dense_settings, dense), (settings, ticket) = _settings(dense_folder), _settings(ticket_folder)
    if isinstance(dense, Ticket) or not isinstance(ticket, Ticket):
        wrong, what, wanted = (
            (dense_folder, "ticket", "dense") if isinstance(dense, Ticket) else (ticket_folder, "dense run", "ticket")
        )
        raise UserError(f"{wrong} holds a {what}; give the folder of a {wanted} run")
    if not same_run(dense_settings["identity"], completed(settings["identity"].get("dense"))):
        raise UserError(
            f"{ticket_folder} is a ticket of another dense run, {settings.get('dense_run')}, not of {dense_folder}"
        )
    if not (ticket_folder / "mask.pth").exists():
        raise UserError(
            f"{ticket_folder} has no mask: it is a control that trains all weights; choose a run with mask.pth"
        )
    use_cpu(dense)
    stored = load_tensors(ticket_folder / "mask.pth", ("mask", "source"))
    pair = Pair(
        Run(dense_folder, dense, list_checkpoints(dense_folder)),
        Run(
            ticket_folder,
            ticket,
            list_checkpoints(ticket_folder),
            {name: np.asarray(kept) for name, kept in stored["mask"].items()},
        ),
        stored["source"]["epoch"],
    )
    for run in pair.runs:
        if not run.checkpoints:
            raise UserError(f"{run.folder} holds no checkpoints")
    check_mask(stored["mask"], pair.ticket.network(min(pair.ticket.checkpoints)).state_dict())
    return pair
