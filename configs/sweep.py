"""A sweep: one base config, what varies of it, and the seeds."""

from dataclasses import dataclass, field, fields
from functools import cached_property
from itertools import product
from typing import Any

from common.errors import UserError
from common.ranges import is_setting
from configs.base import PARTS, Dense
from configs.ticket import Ticket

Changes = dict[str, Any]  # {field name: value}


@dataclass(frozen=True)
class Sweep:
    """``base`` with each of the settings, for every seed.

    ``settings``: ``{"dense, same L2 norm": {"control": "same_l2"}}``, a name in words and the fields that it changes, or a list of
    such changes without names. ``axes``: ``{field name: [value, ...]}``, every combination of which is a setting. A setting's
    ``mask`` may be a function from the config without it to the ticket whose mask it is. Two settings that mean the same are one run.
    ``reads``: what a study's results.csv holds beside the usual columns: further test accuracies at which t_gen is read, and the
    beginnings of columns' names. Raises UserError for what makes no sweep.
    """

    base: Dense
    settings: dict[str, Changes] | list[Changes] = field(default_factory=dict)
    axes: dict[str, list] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    reads: tuple[float | str, ...] = ()

    def __post_init__(self):
        if not isinstance(self.base, Dense):
            raise UserError(f"a sweep's base is a config, such as MLPTicketConfig(), not {self.base!r}")
        if not isinstance(self.axes, dict) or not all(isinstance(one, list | tuple) for one in self.axes.values()):
            raise UserError("a sweep's axes are {field name: [value, ...], ...}")
        changes = self.settings.values() if isinstance(self.settings, dict) else self.settings
        if not isinstance(self.settings, dict | list | tuple) or not all(isinstance(one, dict) for one in changes):
            raise UserError("a sweep's settings are {name: {field name: value, ...}, ...}, or a list without the names")
        if self.axes and self.settings:
            raise UserError("a sweep has axes or settings, not both")
        if not isinstance(self.seeds, list | tuple):
            raise UserError(f"a sweep's seeds are (0, 1, 2), not {self.seeds!r}")
        if not self.seeds:
            raise UserError("a sweep needs at least one seed: --seeds 0 1 2")
        if empty := [name for name, values in self.axes.items() if not values]:
            raise UserError(f"the axis {empty[0]} has no values")
        known = {one.name for part in self.base.parts for one in fields(part) if is_setting(type(part), one.name)}
        known -= {"seed", *PARTS}
        if unknown := [name for name in self.varying if name not in known]:
            axes = "axes are its fields that decide what a run is, but not seed, which has a place of its own"
            raise UserError(f"{unknown[0]} is no axis for a {type(self.base).__name__}; {axes}")

    @property
    def named(self) -> dict[str, Changes]:
        """The settings by their names; one without a name is called by what it changes."""
        if isinstance(self.settings, dict) and self.settings:
            return self.settings
        grid = [dict(zip(self.axes, values, strict=True)) for values in product(*self.axes.values())]
        return {
            ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in one.items()) or "unchanged": one
            for one in self.settings or grid
        }

    @cached_property
    def labels(self) -> dict[Dense, str]:
        """Every config and the name of its setting, seed by seed, so that a sweep that is cut short has whole seeds."""
        labels: dict[Dense, str] = {}
        for seed in self.seeds:
            for name, changes in self.named.items():
                mask = changes.get("mask")
                config = self.base.but(seed=seed, **changes | ({"mask": None} if callable(mask) else {}))
                labels.setdefault(config.but(mask=mask(config)) if callable(mask) else config, name)
        return labels

    @property
    def varying(self) -> list[str]:
        """The names of the fields that vary, besides the seed."""
        return list(dict.fromkeys(name for changes in self.named.values() for name in changes))

    @property
    def has_tickets(self) -> bool:
        return isinstance(self.base, Ticket)

    def configs(self) -> list[Dense]:
        return list(self.labels)

    def label(self, config: Dense) -> str:
        return self.labels[config]
