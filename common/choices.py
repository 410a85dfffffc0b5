"""A setting that is one of a table's functions or classes: its name in the table, or an object of your own in its place."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from tyro.constructors import PrimitiveConstructorSpec

from common.errors import UserError

Table = Mapping[str, Callable]
_shipped: dict[int, dict[str, Callable]] = {}  # {id of a table: its entries before a config file could change them}


class OneOf:
    """What a field of a config may be: a name in ``table``, or a function or class of one's own."""

    def __init__(self, table: Table):
        self.table = table

    def __str__(self) -> str:
        return f"one of {', '.join(self.table)} (a config file may give a function or class of its own, by `def` or `class`)"

    def holds(self, value: Any) -> bool:
        if isinstance(value, str):
            return value in self.table
        # A lambda, and what a function has made, share their name with others.
        return callable(value) and "<" not in getattr(value, "__qualname__", "<")


def choice(table: Table) -> Any:
    """The annotation of a field that is one of ``table``: ``loss: choice(LOSSES) = "cross_entropy"``, a flag with these names."""
    _shipped.setdefault(id(table), dict(table))
    flag = PrimitiveConstructorSpec(
        nargs=1,
        metavar="{" + ",".join(table) + "}",
        instance_from_str=lambda words: words[0],  # check_fields says in one line what is wrong with it
        is_instance=OneOf(table).holds,
        str_from_instance=lambda value: [spelled(table, value)],
    )
    return Annotated[Any, OneOf(table), flag]


def chosen(table: Table, value: str | Callable) -> Any:
    """The function or class that a field means. Raises UserError for an unknown name."""
    if not isinstance(value, str):
        return value
    if value not in table:
        raise UserError(f"{value} is unknown; choose one of {', '.join(table)}")
    return table[value]


def spelled(table: Table, value: str | Callable) -> str:
    """The text by which a setting is stored and named: its name in the table, or, of your own code, ``file.name``.

    What a config file has put in the place of an entry is your own code, too, and is told from that entry.
    """
    meant = chosen(table, value)
    own = _shipped.get(id(table), table)
    if isinstance(value, str) and own.get(value) is meant:
        return value
    names = [name for name, entry in own.items() if entry is meant]
    return names[0] if names else f"{source_file(meant).stem}.{meant.__qualname__}"


def source_file(value: Any) -> Path:
    """The file that defines a function or class; of one that is not written in Python, its module's name as a path."""
    try:
        return Path(inspect.getfile(inspect.unwrap(value)))
    except (TypeError, OSError):
        return Path(str(getattr(value, "__module__", None) or type(value).__module__).replace(".", "/"))
