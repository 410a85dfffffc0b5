"""A sweep: one base config, the axes along which it varies, and the seeds."""

from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from common.errors import UserError
from configs.base import NOT_IDENTITY, PARTS, Dense
from configs.ticket import Ticket


@dataclass(frozen=True)
class Sweep:
    """Every combination of the axes for every seed, of ``base``; or ``settings``, a list of combinations spelled out.

    ``axes``: ``{field name: values}``. ``settings``: ``[{field name: value}, ...]``, for what is no full grid. What is given
    twice is one run. ``at``: epochs whose test accuracy --collect gives a column. Raises UserError where these are not what they
    should be.
    """

    base: Dense
    axes: dict[str, list] = field(default_factory=dict)
    settings: list[dict[str, Any]] = field(default_factory=list)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    at: tuple[int, ...] = ()

    def __post_init__(self):
        if not isinstance(self.base, Dense):
            raise UserError(f"a sweep's base is a config, such as MLPTicketConfig(), not {self.base!r}")
        if not isinstance(self.axes, dict) or not all(
            isinstance(values, list | tuple) for values in self.axes.values()
        ):
            raise UserError("a sweep's axes are {field name: [value, ...], ...}")
        if not isinstance(self.settings, list | tuple) or not all(isinstance(one, dict) for one in self.settings):
            raise UserError("a sweep's settings are [{field name: value, ...}, ...]")
        if self.axes and self.settings:
            raise UserError("a sweep has axes or settings, not both")
        if not isinstance(self.seeds, list | tuple):
            raise UserError(f"a sweep's seeds are (0, 1, 2), not {self.seeds!r}")
        known = set(self.base.as_dict()) - {"seed", "dense_run", *PARTS, *NOT_IDENTITY}
        for name in self.varying:
            if name not in known:
                raise UserError(
                    f"{name} is no axis for a {type(self.base).__name__}; axes are its fields that decide what a run is, "
                    "but not seed, which has a place of its own"
                )
        for name, values in self.axes.items():
            if not values:
                raise UserError(f"the axis {name} has no values")
        if getattr(self.base, "dense_run", None):
            raise UserError("a sweep finds its dense runs by their settings: leave out --dense_run")
        if not self.seeds:
            raise UserError("a sweep needs at least one seed: --seeds 0 1 2")

    @property
    def varying(self) -> list[str]:
        """The names of what varies, besides the seed."""
        return list(dict.fromkeys([*self.axes, *(name for setting in self.settings for name in setting)]))

    def with_base(self, base: Dense, seeds: tuple[int, ...] | None) -> "Sweep":
        """The same sweep over another base."""
        return replace(self, base=base, seeds=self.seeds if seeds is None else seeds)

    def configs(self) -> list[Dense]:
        """The configs in order: seed by seed, so that a sweep that is cut short has whole seeds."""
        grid = [dict(zip(self.axes, values, strict=True)) for values in product(*self.axes.values())]
        settings = self.settings or grid
        return list(dict.fromkeys(self.base.but(seed=seed, **one) for seed in self.seeds for one in settings))

    @property
    def heading(self) -> str:
        """What ``label`` says, as the head of a column."""
        return ", ".join(self.varying) if self.axes else "differs from the base"

    def label(self, config: Dense, names: bool = False) -> str:
        """A config without its seed: its place on the axes (with ``names`` or without), or how it differs from the base."""
        values = {name: getattr(config, name) for name in self.varying}
        if self.axes:
            return ", ".join(f"{name} {value}" if names else str(value) for name, value in values.items())
        different = {name: value for name, value in values.items() if value != getattr(self.base, name)}
        return ", ".join(f"{name} {value}" for name, value in different.items()) or "the base"

    @property
    def has_tickets(self) -> bool:
        return isinstance(self.base, Ticket)
