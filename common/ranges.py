"""Types and ranges of config fields, read from their annotations."""

import functools
import math
import types
from collections.abc import Container
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from common.choices import OneOf, Table, spelled
from common.errors import UserError


@dataclass(frozen=True)
class Range:
    """Bounds of a number; ``above`` and ``below`` exclude the bound itself."""

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None

    def __str__(self) -> str:
        parts = [(self.least, "at least"), (self.above, "above"), (self.most, "at most"), (self.below, "below")]
        return " and ".join(f"{word} {bound:g}" for bound, word in parts if bound is not None)

    def holds(self, value: float) -> bool:
        return (
            (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
        )


Count = Annotated[int, Range(least=1)]
Whole = Annotated[int, Range(least=0)]
Positive = Annotated[float, Range(above=0)]
NonNegative = Annotated[float, Range(least=0)]
Rate = Annotated[float, Range(least=0, most=1)]
Fraction = Annotated[float, Range(above=0, below=1)]
T = TypeVar("T")
MISFIT = object()  # in place of a value that is not what a field asks for
NOT_A_SETTING = "not a setting"
Place = Annotated[T, NOT_A_SETTING]  # Place[str]: where or how a run is computed or read. Changing it makes no new run.


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


def is_setting(cls: type, name: str) -> bool:
    """Whether a field of a config class decides what a run is."""
    return NOT_A_SETTING not in getattr(_hints(cls)[name], "__metadata__", ())


def table_of(config: Any, name: str) -> Table | None:
    """The table of a field that is a choice; None of any other field."""
    waiting = [_hints(type(config))[name]]
    while waiting:
        hint = waiting.pop()
        if isinstance(hint, OneOf):
            return hint.table
        is_nested = get_origin(hint) in (Annotated, Union, types.UnionType)
        waiting += get_args(hint) if is_nested else ()
    return None


def stored_value(config: Any, name: str) -> Any:
    """A field of a config as JSON can hold it: a choice by its text, a tuple as a list."""
    value, table = getattr(config, name), table_of(config, name)
    if table is not None and value is not None:
        return spelled(table, value)
    return list(value) if isinstance(value, tuple) else value


def _describe(hint: Any) -> str:
    origin = get_origin(hint)
    if origin is Annotated:
        base, *extras = get_args(hint)
        if choices := [str(extra) for extra in extras if isinstance(extra, OneOf)]:
            return choices[0]
        ranges = [str(extra) for extra in extras if isinstance(extra, Range)]
        return " ".join([_describe(base), *ranges])
    if origin is Literal:
        return "one of " + ", ".join(map(str, get_args(hint)))
    if origin in (Union, types.UnionType):
        return " or ".join(_describe(option) for option in get_args(hint))
    if origin is tuple:
        parts = ["..." if item is ... else _describe(item) for item in get_args(hint)]
        return "(" + ", ".join(parts) + ")"
    return {int: "a whole number", float: "a finite number", str: "a text", bool: "True or False"}.get(hint, "None")


def _fitted(value: Any, hint: Any) -> Any:
    """The value as its hint asks for it, with a whole number as a float where floats are wanted; MISFIT where it does not fit."""
    origin = get_origin(hint)
    if origin is Annotated:
        base, *extras = get_args(hint)
        value = _fitted(value, base)
        rules = [extra for extra in extras if isinstance(extra, Range | OneOf)]
        return value if value is not MISFIT and all(rule.holds(value) for rule in rules) else MISFIT
    if origin in (Union, types.UnionType):
        fitted = [_fitted(value, option) for option in get_args(hint)]
        return next((one for one in fitted if one is not MISFIT), MISFIT)
    if origin is tuple:
        items = get_args(hint)
        if isinstance(value, tuple) and items[-1:] == (...,):
            items = items[:1] * len(value)
        if not isinstance(value, tuple) or len(value) != len(items):
            return MISFIT
        fitted = tuple(map(_fitted, value, items))
        return MISFIT if any(one is MISFIT for one in fitted) else fitted
    if hint is float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return float(value) if is_number else MISFIT
    if origin is Literal:
        fits = any(value == option and type(value) is type(option) for option in get_args(hint))
    elif hint is int:
        fits = isinstance(value, int) and not isinstance(value, bool)
    else:
        fits = hint is Any or isinstance(value, hint)
    return value if fits else MISFIT


def check_fields(config: Any, without: Container[str] = ()) -> None:
    """Raise UserError for the first field of a config, but those of ``without``, whose value is not what its annotation asks for.

    A float field that was given as 3 becomes 3.0, so that a run has one name however its config spells it.
    """
    hints = _hints(type(config))
    for field in (field for field in fields(config) if field.name not in without):
        value, hint = getattr(config, field.name), hints[field.name]
        fitted = _fitted(value, hint)
        if fitted is MISFIT:
            raise UserError(f"{field.name} must be {_describe(hint)}, not {value!r}")
        object.__setattr__(config, field.name, fitted)  # frozen, and still being made
