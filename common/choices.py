"""Tables of choices that are files: a module more in a room is a choice more."""

import importlib
import pkgutil
from collections.abc import Iterable

from common.errors import UserError


def classes_below(package: str, path: Iterable[str], base: type) -> dict[str, type]:
    """``{name: class}`` of what the modules of a package make of ``base``, by the ``name`` of each class.

    Raises UserError for a class without a name, or with one that is taken.
    """
    for module in pkgutil.iter_modules(path):
        importlib.import_module(f"{package}.{module.name}")
    found: dict[str, type] = {}
    waiting = base.__subclasses__()
    while waiting:
        cls = waiting.pop(0)
        waiting += cls.__subclasses__()
        if not cls.__module__.startswith(f"{package}."):
            continue  # a test's own
        name = vars(cls).get("name")
        if not isinstance(name, str):
            raise UserError(f'{cls.__name__} in {cls.__module__} has no name; give it one: name: ClassVar[str] = "..."')
        if name in found:
            raise UserError(
                f"{cls.__name__} in {cls.__module__} has the name {name!r}, which {found[name].__name__} has"
            )
        found[name] = cls
    return found
