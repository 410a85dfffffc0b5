"""The modules of this repository as source: what each defines and imports at its top level."""

import ast
import functools
import importlib.util
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass
class Module:
    """What a module defines and imports at its top level; of what is defined twice, the last."""

    name: str
    defined: dict[str, ast.AST] = field(default_factory=dict)  # functions, classes, and the values of assignments
    entries: dict[str, dict[str, ast.AST]] = field(default_factory=dict)  # TABLE["key"] = value, outside its braces
    imported: dict[str, str] = field(default_factory=dict)  # {name here: dotted name}
    effects: list[ast.AST] = field(default_factory=list)  # statements that are neither: calls, TABLE |= ...

    def read(self, statements: list[ast.stmt]) -> None:
        for node in statements:
            match node:
                case ast.FunctionDef() | ast.ClassDef():
                    self.defined[node.name] = node
                case ast.Import() | ast.ImportFrom():
                    self.imported |= imports_of(node)
                case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=table), slice=ast.Constant(value=str(key)))]):
                    self.entries.setdefault(table, {})[key] = node.value
                case ast.Assign() | ast.AnnAssign(value=ast.expr()):
                    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                        self.defined |= {part.id: node.value for part in ast.walk(target) if isinstance(part, ast.Name)}
                case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
                    pass  # what a script does when it is called
                case ast.If() | ast.Try() | ast.With():
                    self.read([part for part in ast.iter_child_nodes(node) if isinstance(part, ast.stmt)])
                case ast.Expr() | ast.AugAssign() | ast.For() | ast.While():
                    self.effects += [] if is_text(node) else [node]


def imports_of(node: ast.Import | ast.ImportFrom) -> dict[str, str]:
    if isinstance(node, ast.ImportFrom):
        return {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return {
        alias.asname or alias.name.split(".")[0]: alias.name if alias.asname else alias.name.split(".")[0]
        for alias in node.names
    }


def is_text(node: Any) -> bool:
    """A docstring, of whatever."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


@functools.cache
def find_module(name: str) -> Module | None:
    """The module of this repository with that name; None for those of others, and for what is no module."""
    top = REPOSITORY / name.split(".")[0]
    if not (top.is_dir() or top.with_suffix(".py").is_file()):
        return None
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    file = spec.origin if spec is not None else None
    if file is None or not Path(file).is_relative_to(REPOSITORY) or "site-packages" in Path(file).parts:
        return None
    module = Module(name)
    module.read(ast.parse(sources().get(file) or Path(file).read_text()).body)
    return module


@functools.cache
def sources() -> dict[str, str]:
    """The text of our modules as this process runs them: somebody may edit the files while it trains."""
    files = {getattr(module, "__file__", None) or "" for module in list(sys.modules.values())}
    ours = [
        file
        for file in files
        if file.startswith(f"{REPOSITORY}/") and file.endswith(".py") and "site-packages" not in file
    ]
    return {file: Path(file).read_text() for file in ours}
