"""A dense run beside its ticket, as analyses see the two."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
from experiments.checkpoints import list_checkpoints
from experiments.components import build_loss, build_model, build_split, load_weights, use_cpu
from experiments.reading import read_metrics
from pruning.masks import check_mask
from training.losses import Loss


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run: its folder, its config, ``{epoch: path}``, and its mask, ``{name: bool array}``, True = kept.

    A dense run has no mask, and neither has a control that trains all weights.
    """

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
    """A dense run and its ticket, whose mask is from ``mask_epoch`` of the dense run; or a control, or the dense run trained again.

    ``others``: the pairs of the same setting and other seeds.
    """

    dense: Run
    ticket: Run
    mask_epoch: int | None = None
    others: list["Pair"] = field(default_factory=list)

    @property
    def runs(self) -> tuple[Run, Run]:
        return self.dense, self.ticket

    @property
    def pruning_rate(self) -> float | None:
        return None if self.ticket.mask is None else self.ticket.config.pruning_rate


def _settings(folder: Path) -> tuple[dict, Dense]:
    """The config.json of a finished run, and its config."""
    settings = load_json(folder / "config.json", {"kind": str, "config": dict, "identity": dict})
    if not (folder / "summary.json").exists():
        raise UserError(f"{folder} holds no finished run; the command that trains it goes on from what is saved")
    return settings, config_from_json(settings, folder / "config.json")


def _saved(folder: Path) -> dict[int, Path]:
    if saved := list_checkpoints(folder):
        return saved
    raise UserError(f"{folder} holds no checkpoints")


def open_pair(dense_folder: Path, ticket_folder: Path) -> Pair:
    """A dense run, and a ticket or a control of it, or the same run trained again. Raises UserError where it is none of these."""
    (dense_settings, dense), (settings, ticket) = _settings(dense_folder), _settings(ticket_folder)
    if isinstance(dense, Ticket):
        raise UserError(f"{dense_folder} holds a ticket; give the folder of its dense run")
    if not same_run(dense_settings["identity"], completed(settings["identity"].get("dense", settings["identity"]))):
        raise UserError(f"{ticket_folder} is no ticket of {dense_folder}; its dense run is {settings.get('dense_run')}")
    if dense_folder.name == ticket_folder.name:
        raise UserError(f"both runs are called {dense_folder.name}, by which the table tells them; rename a folder")
    use_cpu(dense)
    one, other = Run(dense_folder, dense, _saved(dense_folder)), Run(ticket_folder, ticket, _saved(ticket_folder))
    if isinstance(ticket, Ticket) and ticket.learn:  # its mask is another one at every epoch
        return Pair(one, other)
    if not (ticket_folder / "mask.pth").exists():
        counts = load_json(ticket_folder / "summary.json", {"weights": int, "weights_kept": int})
        if counts["weights_kept"] < counts["weights"]:
            raise UserError(f"{ticket_folder} is damaged: its mask.pth is not there; train it again with --rerun")
        return Pair(one, other)
    stored = load_tensors(ticket_folder / "mask.pth", ("mask", "source"))
    check_mask(stored["mask"], other.network(min(other.checkpoints)).state_dict())
    mask = {name: np.asarray(kept) for name, kept in stored["mask"].items()}
    return Pair(one, replace(other, mask=mask), stored["source"]["epoch"])
