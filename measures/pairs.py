"""A dense run beside its ticket, as the measures see the two, and what a measure gives."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import nn

from common.errors import UserError
from configs.base import Dense
from configs.flags import config_from_json
from configs.ticket import Ticket
from data.task import Split
from experiments.build import build_loss, build_model, build_split, load_weights, set_threads_and_denormals
from experiments.folder import ASIDE
from experiments.reader import list_checkpoints, load_mask, read_config, read_metrics, read_summary
from models.model import set_weights
from pruning.masks import check_mask
from reporting.results import group_of
from training.losses import Loss


class Row(NamedTuple):
    """A number.

    ``part``: a matrix, a frequency, a set, or "all". ``mask``: "ticket"; "magnitude", which magnitude pruning takes from this very
    epoch; or a random one, with a row for each draw. ``other_run``, ``other_epoch``: what it is compared with.
    """

    measure: str
    value: float
    part: str = "all"
    mask: str | None = None
    pruning_rate: float | None = None
    other_run: str | None = None
    other_epoch: int | None = None


Rows = Iterator[Row | str]  # a text says what is left out


@dataclass(frozen=True, eq=False)
class OneRun:
    """A finished run: its folder, its config, ``{epoch: path}``, the columns of its metrics.csv, and its mask, True = kept.

    A dense run has no mask, and neither has a control that trains all weights.
    """

    folder: Path
    config: Dense
    checkpoints: Mapping[int, Path]
    metrics: Mapping[str, np.ndarray]
    mask: Mapping[str, np.ndarray] | None = None

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def has_frequencies(self) -> bool:
        """Whether the task is about the numbers 0 ... p-1, so that weights can be periodic in them."""
        return self.config.task.shows == "frequencies"

    @property
    def adds(self) -> bool:
        """Whether the task is addition modulo p."""
        return self.has_frequencies and getattr(self.config.task, "fn_name", None) == "add"

    @cached_property
    def split(self) -> Split:
        return build_split(self.config)

    @cached_property
    def loss(self) -> Loss:
        return build_loss(self.config)

    def network(self, epoch: int) -> nn.Module:
        """The model with the weights of a saved epoch, in float64."""
        model = build_model(self.config, self.split)
        set_weights(model, load_weights(self.checkpoints[epoch], model))
        return model.double().eval()

    def weights(self, epoch: int) -> dict[str, np.ndarray]:
        """``{name: float64 array}`` at a saved epoch."""
        return {name: weight.detach().numpy() for name, weight in self.network(epoch).named_parameters()}


@dataclass(frozen=True, eq=False)
class Pair:
    """A dense run and its ticket, whose mask is from ``mask_epoch`` of the dense run; or a control, or the dense run trained again.

    ``others``: the pairs of the same setting and other seeds.
    """

    dense: OneRun
    ticket: OneRun
    mask_epoch: int | None = None
    others: list["Pair"] = field(default_factory=list)

    @property
    def runs(self) -> tuple[OneRun, OneRun]:
        return self.dense, self.ticket

    @property
    def pruning_rate(self) -> float | None:
        return None if self.ticket.mask is None else self.ticket.config.pruning_rate

    @property
    def setting(self) -> str:
        """One name for the pairs of a setting, whatever their seed: a long folder's name ends with a hash of its own."""
        first = min((self, *self.others), key=lambda one: one.ticket.name).ticket
        return first.name.replace(f"_seed{first.config.seed}", "", 1)


def open_run(folder: Path) -> OneRun:
    """A finished run. Raises UserError where it is not there, not finished or damaged."""
    stored = read_config(folder)
    if not (folder / "summary.json").exists():
        raise UserError(f"{folder} holds no finished run; the command that trains it goes on from what is saved")
    if not (saved := list_checkpoints(folder)):
        raise UserError(f"{folder} holds no checkpoints")
    return OneRun(folder, config_from_json(stored, folder / "config.json"), saved, read_metrics(folder))


def open_pair(dense: Path | OneRun, ticket_folder: Path) -> Pair:
    """A dense run, and a ticket or a control of it, or the same run trained again. Raises UserError where it is none of these."""
    dense = dense if isinstance(dense, OneRun) else open_run(dense)
    ticket = open_run(ticket_folder)
    if isinstance(dense.config, Ticket):
        raise UserError(f"{dense.folder} holds a ticket; give the folder of its dense run")
    stored = read_config(ticket_folder)
    if dense.config.settings() != ticket.config.dense().settings():
        raise UserError(f"{ticket_folder} is no ticket of {dense.folder}; its dense run is {stored.get('dense_run')}")
    if dense.name == ticket.name:
        raise UserError(f"both runs are called {dense.name}, and the table tells runs by name; rename a folder")
    set_threads_and_denormals(dense.config)
    if not (ticket_folder / "mask.pth").exists():
        counts = read_summary(ticket_folder)
        if counts["weights_kept"] < counts["weights"]:
            raise UserError(f"{ticket_folder} is damaged: its mask.pth is not there; train it again with --rerun")
        return Pair(dense, ticket)
    mask = load_mask(ticket_folder)
    check_mask(mask, dict(ticket.network(min(ticket.checkpoints)).named_parameters()))
    kept = {name: np.asarray(one) for name, one in mask.items()}
    return Pair(dense, replace(ticket, mask=kept), stored["mask_source"].get("epoch"))


def find_pairs(root: Path, pattern: str) -> list[Pair]:
    """Every finished ticket and control below ``root`` whose folder's name is like ``pattern``, with its dense run.

    Pairs of one setting and other seeds know each other. What cannot be read is named on stderr and left out.
    """
    pairs, dense_runs, settings = [], {}, {}
    folders = [path.parent for path in sorted(root.glob(f"{pattern}/summary.json")) if ASIDE not in path.parent.name]
    for folder in folders:
        try:
            stored = read_config(folder)
            if "dense_run" not in stored:
                continue
            elsewhere = Path(stored["dense_run"])
            path = root / elsewhere.name if (root / elsewhere.name).exists() else elsewhere
            if path not in dense_runs:  # several tickets have one
                dense_runs[path] = open_run(path)
            pairs.append(open_pair(dense_runs[path], folder))
        except (UserError, OSError, KeyError, TypeError, AttributeError) as error:
            print(f"left out: {folder.name}: {error}", file=sys.stderr)
    if not pairs:
        raise UserError(
            f"below {root} is no finished ticket like {pattern} beside its dense run; python main.py makes one"
        )
    for pair in pairs:
        settings.setdefault(group_of(read_config(pair.ticket.folder)), []).append(pair)
    for alike in settings.values():
        for pair in alike:
            pair.others.extend(other for other in alike if other.ticket.config.seed != pair.ticket.config.seed)
    return pairs
