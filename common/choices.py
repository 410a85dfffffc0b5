"""Tables of choices that are files: a module more in a room is a choice more."""

import importlib
import pkgutil
from collections.abc import Iterable


def classes_below(package: str, path: Iterable[str], base: type) -> dict[str, type]:
    """``{name: class}`` of what the modules of a package make of ``base``, by the ``name`` of each class."""
    for module in pkgutil.iter_modules(path):
        importlib.import_module(f"{package}.{module.name}")
    return {cls.name: cls for cls in base.__subclasses__() if cls.__module__.startswith(f"{package}.")}
