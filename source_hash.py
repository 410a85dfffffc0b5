"""A hash of the code that something executes, and of nothing else.

It follows functions and classes of this repository to all that they use, and hashes what they say, not how it is written down:
comments, docstrings, annotations, imports, error messages and files' places are left out. Left out is also what a run does not
execute: a branch on a setting that is off (``if schedule.lp_alpha:`` with lp_alpha 0), and of a table of choices (operations,
activations, pruners ...) the entries that no setting names.
"""

import ast
import copy
import functools
import hashlib
import inspect
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

SCHEME = 2  # of how the hash is computed: hashes of different schemes say nothing about one another
REPOSITORY = Path(__file__).resolve().parent
# Modules and functions that say, save or stop, and decide no number; what is read of MNIST is compared with its own checksums.
DECIDES_NOTHING = (
    "data.mnist.load_mnist",
    "errors",
    "data.idx",
    "training.checkpoints",
    "training.progress",
    "training.recording",
    "training.signals",
)
NOT_SAID = ("annotation", "returns", "type_comment", "type_params", "ctx", "kind")  # fields of ast nodes


def source_hash(roots: Iterable[Callable], settings: Mapping[str, Any], entries: Iterable[str] = ()) -> str:
    """``scheme:SHA-256`` of the code that ``roots`` (functions, classes) execute under ``settings``, ``{name: value}``.

    Settings that are None, False or 0 are off; those that are text name entries of tables, and so do ``entries``.
    """
    off = frozenset(name for name, value in settings.items() if not value and name != "seed")
    chosen = frozenset(value for value in settings.values() if isinstance(value, str)) | frozenset(entries)
    return _hash(tuple(roots), off, chosen)


@functools.cache
def _hash(roots: tuple, off: frozenset[str], chosen: frozenset[str]) -> str:
    said, waiting = {}, [("", root) for root in roots]
    while waiting:
        entry, thing = waiting.pop()  # what a table calls it, if it comes from one
        thing = inspect.unwrap(thing)
        if isinstance(thing, functools.partial):
            waiting.append((f"{entry} with {thing.args!r} {thing.keywords!r}", thing.func))
            continue
        name = _name(thing)
        if not _is_ours(thing):
            said[entry, name] = f"{entry} {name}"
        elif thing.__module__ not in DECIDES_NOTHING and name not in DECIDES_NOTHING:
            node = _definition(thing)
            place = (entry, name, node.lineno, node.col_offset)  # lambdas share their name
            if place not in said:
                reader = _Reader(vars(sys.modules[thing.__module__]), off, chosen)
                said[place] = f"{entry} {reader.say(node)}"
                waiting += reader.used
    return f"{SCHEME}:{hashlib.sha256(chr(10).join(sorted(said.values())).encode()).hexdigest()}"


class _Reader:
    """Says what a definition does as text that depends on nothing else, and notes which functions and classes it uses."""

    def __init__(self, names: Mapping[str, Any], off: frozenset[str], chosen: frozenset[str]):
        self.names, self.off, self.chosen = names, off, chosen
        self.used: list[tuple[str, Any]] = []

    def say(self, node: Any) -> str:
        if isinstance(node, list):
            return "[" + " ".join(self.say(item) for item in node if not _is_text(item)) + "]"
        if isinstance(node, ast.ClassDef):  # a dataclass's fields are settings and data, not code
            node = copy.copy(node)
            node.body = [item for item in node.body if not isinstance(item, ast.AnnAssign)]
        if not isinstance(node, ast.AST):
            return repr(node)
        if isinstance(node, ast.If | ast.IfExp) and self._is_off(node.test):
            return self.say(node.orelse)
        if isinstance(node, ast.Raise):
            return "Raise"  # no run that counts has come here
        if (reference := self._refer(node)) is not None:
            return reference
        fields = [(name, value) for name, value in ast.iter_fields(node) if name not in NOT_SAID]
        # Python's versions differ in which empty fields a node has.
        parts = [f"{name}={self.say(value)}" for name, value in fields if value is not None and value != []]
        return f"{type(node).__name__}({' '.join(parts)})"

    def _is_off(self, test: ast.expr) -> bool:
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            return any(map(self._is_off, test.values))
        name = test.attr if isinstance(test, ast.Attribute) else test.id if isinstance(test, ast.Name) else None
        return name in self.off

    def _refer(self, node: ast.AST) -> str | None:
        """What a name of the module stands for, however it was imported; None for all else. Notes what is ours."""
        value = self._value(node)
        if isinstance(node, ast.Attribute) and value is not None:
            module = self._value(node.value)
            if not _is_ours(module):
                return f"{module.__name__}.{node.attr}"
        if isinstance(value, dict):  # a table of choices
            self.used += [(key, thing) for key in value.keys() & self.chosen for thing in _callables(value[key])]
            return None
        if isinstance(value, int | float | str | tuple):
            return repr(value)
        if _callables(value):
            self.used += [("", value)] if _is_ours(value) else []
            return getattr(value, "__qualname__", None) if _is_ours(value) else _name(value)
        return None

    def _value(self, node: ast.AST) -> Any:
        """What a name or a dotted name is; None where it is no name of the module, or none that is reached through modules."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id)
        if isinstance(node, ast.Attribute) and isinstance(module := self._value(node.value), ModuleType):
            return getattr(module, node.attr, None)
        return None


def _name(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"


def _callables(value: Any) -> list:
    """A function or class, or those in a tuple such as an Operation."""
    if isinstance(value, tuple):
        return [thing for item in value for thing in _callables(item)]
    is_one = isinstance(value, functools.partial) or inspect.isclass(value) or inspect.isroutine(inspect.unwrap(value))
    return [value] if is_one else []


def _is_text(node: Any) -> bool:
    """A docstring, of whatever."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_ours(thing: Any) -> bool:
    thing = thing.func if isinstance(thing, functools.partial) else thing
    name = thing.__name__ if isinstance(thing, ModuleType) else getattr(inspect.unwrap(thing), "__module__", None)
    file = getattr(sys.modules.get(name or ""), "__file__", None)
    return file is not None and Path(file).is_relative_to(REPOSITORY) and "site-packages" not in Path(file).parts


def _definition(thing: Any) -> ast.AST:
    """The node that defines a function, lambda or class."""
    nodes = ast.walk(_tree(sys.modules[thing.__module__].__file__))
    if inspect.isclass(thing):
        return next(node for node in nodes if isinstance(node, ast.ClassDef) and node.name == thing.__name__)
    code = thing.__code__
    if code.co_name == "<lambda>":  # the last one that begins before its body does
        places = [(line, column) for line, end, column, last in code.co_positions() if (line, column) != (end, last)]
        body = min(places, default=(code.co_firstlineno, math.inf))  # Python 3.12 does not say where a mere constant is
        before = (n for n in nodes if isinstance(n, ast.Lambda) and (n.lineno, n.col_offset) < body)
        return max(before, key=lambda node: (node.lineno, node.col_offset))
    line = code.co_firstlineno
    return next(
        node
        for node in nodes
        if isinstance(node, ast.FunctionDef) and line in (node.lineno, *(d.lineno for d in node.decorator_list))
    )


@functools.cache
def _sources() -> dict[str, str]:
    """The text of all our modules as this process runs them: somebody may edit the files while it trains."""
    modules = [
        module
        for module in sys.modules.values()
        if isinstance(module, ModuleType) and getattr(module, "__file__", None)
    ]
    return {module.__file__: Path(module.__file__).read_text() for module in modules if _is_ours(module)}


@functools.cache
def _tree(file: str) -> ast.Module:
    return ast.parse(_sources().get(file) or Path(file).read_text())
