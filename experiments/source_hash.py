"""A hash of the code that something executes, and of nothing else.

It reads the source: from functions and classes it follows every name to what it means in this repository (functions, classes,
constants, tables), whichever way it is imported, and hashes what they say, not how it is written down: comments, docstrings,
annotations, imports, error messages and files' places are left out. Left out is also what a run does not execute: a branch on a
setting that is off (``if schedule.lp_alpha:`` with lp_alpha 0), and of a table of choices (operations, activations, pruners ...) the
entries that no setting names. What objects do at run time is not followed: a method is hashed with its class, which is named where an
object of it is made.
"""

import ast
import dataclasses
import functools
import hashlib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from experiments.source_modules import Module, find_module, imports_of, is_text

SCHEME = 2  # of how the hash is computed: hashes of different schemes say nothing about one another
# Modules and functions that say, save, fetch or stop, and decide no number; measures are hashed one by one.
DECIDES_NOTHING = (
    "data.mnist_files._download",
    "data.own_files",  # what it reads is known by a hash, which is a setting
    "common.errors",
    "common.files",
    "experiments.checkpoints",
    "experiments.recording",
    "training.metrics.MEASURES",
    "training.progress",
    "training.signals",
)
NOT_SAID = ("annotation", "returns", "type_comment", "type_params", "ctx", "kind")  # fields of ast nodes
HOLD_SETTINGS = ("config", "schedule", "self")  # names of objects whose attributes are settings
# Facts about how a run is trained, whichever object or function has them.
HOW = ("is_population", "capturable", "learns_numbers")


def source_hash(
    roots: Iterable[Callable | tuple[str, str]],
    settings: Mapping[str, Any],
    entries: Iterable[str] = (),
    config: type | None = None,
) -> str:
    """``scheme:SHA-256`` of the code that ``roots`` execute under ``settings``, ``{name: value}``.

    ``roots``: functions, classes, or whatever a module defines, as (module, name).

    Settings that are None, False or 0 are off; those that are text name entries of tables, and so do ``entries``. ``config`` is
    the class of what the code calls ``config``, whose methods and properties are followed.
    """
    off = frozenset(name for name, value in settings.items() if not value and name != "seed")
    texts = (item for value in settings.values() for item in (value if isinstance(value, list) else [value]))
    chosen = frozenset(text for text in texts if isinstance(text, str)) | frozenset(entries)
    places = (root if isinstance(root, tuple) else (root.__module__, root.__qualname__) for root in roots)
    return _hash(tuple(places), off, chosen, config)


@functools.cache
def _hash(roots: tuple, off: frozenset[str], chosen: frozenset[str], config: type | None) -> str:
    said: dict[tuple[str, str], str] = {}
    waiting = list(roots)
    while waiting:
        place = waiting.pop()
        name, thing = place
        is_left_out = name in DECIDES_NOTHING or f"{name}.{thing}" in DECIDES_NOTHING
        if place in said or (is_left_out and place not in roots):
            continue
        reader = _Reader(find_module(name), off, chosen, config)
        said[place] = reader.define(thing)
        if (name, "") not in said:
            said[name, ""] = " ".join(map(reader.say, reader.module.effects))
        waiting += reader.used
    return f"{SCHEME}:{hashlib.sha256(chr(10).join(sorted(filter(None, said.values()))).encode()).hexdigest()}"


class _Reader:
    """Says what a definition of ``module`` does as text that depends on nothing else; ``used`` is what else that needs."""

    def __init__(self, module: Module, off: frozenset[str], chosen: frozenset[str], config: type | None):
        self.module, self.off, self.chosen, self.config = module, off, chosen, config
        self.used: list[tuple[str, str]] = []
        self.imported = module.imported
        self.owner: type | None = None  # the class of the method that is read

    def define(self, name: str) -> str:
        outer, _, inner = name.partition(".")
        node = self.module.defined[outer]
        if inner:  # a method or a constant of a class
            owner = getattr(sys.modules.get(self.module.name), outer, None)
            self.owner = owner if owner is not self.config else None  # what of a config counts is said in code_state.py
            node = [part for part in node.body if inner in _names_of(part)][-1]
            node = node if isinstance(node, ast.FunctionDef) else node.value
        inside = [part for part in ast.walk(node) if isinstance(part, ast.Import | ast.ImportFrom)]
        self.imported = self.module.imported | {k: v for part in inside for k, v in imports_of(part).items()}
        table, more = {}, self.module.entries.get(name, {})
        if isinstance(node, ast.Dict) and all(
            isinstance(k, ast.Constant) and isinstance(k.value, str) for k in node.keys
        ):
            table = {key.value: value for key, value in zip(node.keys, node.values, strict=True)}
        named = {key: value for key, value in (table | more).items() if key in self.chosen}
        if named:  # a table of choices
            return " ".join(f"{name}[{key}]={self.say(named[key])}" for key in sorted(named))
        return f"{name}={self.say(node)}" + "".join(f" [{key}]={self.say(more[key])}" for key in sorted(more))

    def say(self, node: Any) -> str:
        if isinstance(node, list):
            return "[" + " ".join(filter(None, (self.say(item) for item in node if not is_text(item)))) + "]"
        if not isinstance(node, ast.AST):
            return repr(node)
        match node:
            case ast.If(orelse=[]) if all(isinstance(part, ast.Raise) for part in node.body):
                return ""  # no run that counts has come here
            case ast.If() | ast.IfExp() if self._is_off(node.test):
                return self.say(node.orelse)
            case ast.Raise():
                return "Raise"
            case (
                ast.Import()
                | ast.ImportFrom()
                | ast.AnnAssign(value=None)
                | ast.Expr(value=ast.Call(func=ast.Name(id="print")))
            ):
                return ""
            case ast.AnnAssign():
                node = ast.Assign(targets=[node.target], value=node.value)
            case ast.ClassDef() if _has_fields(node):  # settings and data, not code
                body = [part for part in node.body if not isinstance(part, ast.AnnAssign)]
                node = ast.ClassDef(node.name, node.bases, node.keywords, body, node.decorator_list)
        if (reference := self._refer(node)) is not None:
            return reference
        fields = [(name, value) for name, value in ast.iter_fields(node) if name not in NOT_SAID]
        # Python's versions differ in which empty fields a node has.
        parts = [f"{name}={self.say(value)}" for name, value in fields if value is not None and value != []]
        return f"{type(node).__name__}({' '.join(parts)})"

    def _is_off(self, test: ast.expr) -> bool:
        match test:
            case ast.BoolOp(op=ast.And()):
                return any(map(self._is_off, test.values))
            case ast.Name(id=name):
                return name in self.off
            case ast.Attribute(value=ast.Name(id=owner), attr=name):
                return name in self.off and (owner in HOLD_SETTINGS or name in HOW)
            case ast.Call(func=ast.Name(id=name)):
                return name in self.off and name in HOW
        return False

    def _refer(self, node: ast.AST) -> str | None:
        """What a name, or a dotted one, stands for, where it is no local one; notes what is ours."""
        match node:
            case ast.Attribute(value=ast.Name(id="config"), attr=name) if self.config is not None:
                self._follow(self.config, name)
                return None
            case ast.Attribute(value=ast.Name(id="self"), attr=name) if self.owner is not None:
                self._follow(self.owner, name)
                return None
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr=name) if self.owner is not None:
                self._follow(self.owner, name, above=True)
                return None
            case ast.Name() | ast.Attribute():
                names = []
                while isinstance(node, ast.Attribute):
                    names.insert(0, node.attr)
                    node = node.value
                return (
                    self._meaning(self.module, self.imported, [node.id, *names]) if isinstance(node, ast.Name) else None
                )
        return None

    def _follow(self, cls: type, name: str, above: bool = False) -> None:
        """Note the method, property or constant of a class that an object of it calls ``name``; its fields are settings."""
        for owner in cls.__mro__[1:] if above else cls.__mro__:
            fields = {field.name for field in dataclasses.fields(owner)} if dataclasses.is_dataclass(owner) else ()
            if name in vars(owner) and name not in fields:
                if owner.__module__ != "builtins":
                    self.used.append((owner.__module__, f"{owner.__name__}.{name}"))
                return

    def _meaning(self, module: Module, imported: Mapping[str, str], names: list[str]) -> str | None:
        first, *rest = names
        if first in module.defined and first not in imported:
            self.used.append((module.name, first))
            return ".".join(names)
        if first not in imported:
            return None
        names = [*imported[first].split("."), *rest]
        # The longest part that is a module; what follows is a name in it.
        for length in range(len(names), 0, -1):
            if (found := find_module(".".join(names[:length]))) is not None:
                return self._meaning(found, found.imported, names[length:]) if names[length:] else ".".join(names)
        return ".".join(names)  # somebody else's


def _names_of(node: ast.stmt) -> list[str]:
    """What a statement in a class defines."""
    match node:
        case ast.FunctionDef():
            return [node.name]
        case ast.Assign() | ast.AnnAssign(value=ast.expr()):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            return [target.id for target in targets if isinstance(target, ast.Name)]
    return []


def _has_fields(node: ast.ClassDef) -> bool:
    """A dataclass or a named tuple."""
    said = " ".join(ast.dump(part) for part in [*node.decorator_list, *node.bases])
    return "'dataclass'" in said or "'NamedTuple'" in said
