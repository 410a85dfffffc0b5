"""From a command line to a config: a Python module gives the defaults, flags override them."""

import argparse
import ast
import importlib.util
import inspect
import io
import os
import re
import sys
from contextlib import redirect_stderr
from dataclasses import dataclass, field, fields, is_dataclass, make_dataclass, replace
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import Annotated, Any, Literal, get_type_hints

import tyro
from tyro.conf import FlagConversionOff, OmitArgPrefixes, arg

from common.choices import spelled
from common.errors import UserError, mend_streams
from common.ranges import is_setting
from configs.base import PARTS, Dense, OwnConfig, with_parts
from configs.sweep import Sweep
from configs.ticket import Ticket

DATASETS = {"modular_addition": "", "mnist": "_mnist"}  # and how the names of their config modules end
REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class ScriptFlags:
    """This script."""

    config: str | None = None
    """Python module that defines `config`; every flag below overrides a field of it."""
    dataset: str | None = None
    """modular_addition or mnist, which pick the config where --config names none; or a file of your own, .npz or .csv, which
    is learned instead of the config's task."""
    rerun: bool = False
    """Move an earlier run with these settings aside and train again."""


def load_object(path: str, name: str, cls: type) -> Any:
    """What the Python module at ``path`` defines as ``name``; the module is run. Raises UserError where it is no ``cls``."""
    file = Path(path)
    if not file.is_file():
        file = REPOSITORY / path  # so that the scripts work from any folder
    if not file.is_file():
        raise UserError(f"config {path} is not there; `ls configs` lists those that come with this repository")
    spec = importlib.util.spec_from_file_location(f"config_{file.stem}", file)
    if spec is None:
        raise UserError(f"config {path} is no Python module; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # so that what it defines can be looked up: its source, the types of its fields
    streams = sys.stdout, sys.stderr
    try:
        spec.loader.exec_module(module)
    except UserError as error:
        raise UserError(f"config {path}: {error}") from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit, and whatever it defines itself
        raise UserError(f"config {path} raises {type(error).__name__}: {error}") from error
    if (sys.stdout, sys.stderr) != streams or any(stream is not None and stream.closed for stream in streams):
        sys.stdout, sys.stderr = streams
        mend_streams()
        raise UserError(f"config {path} closes or replaces sys.stdout or sys.stderr; leave them alone")
    if not hasattr(module, name):
        raise UserError(f'config {path} defines no `{name}`; README shows one under "Change it"')
    value = getattr(module, name)
    if not isinstance(value, cls):
        raise UserError(f"`{name}` in {path} is a {type(value).__name__}, and not made by a class of configs/")
    return value


def load_config(path: str) -> Dense:
    """The config that the module at ``path`` defines."""
    return load_object(path, "config", Dense)


def config_from_json(stored: dict, path: Path) -> Dense:
    """The config in a run's config.json, a dense run's or a ticket's. Raises UserError where it does not fit.

    Choices come from their names, so that a run whose task or model is defined in a config file of one's own has none.
    """
    try:
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in stored["config"].items()}
        cls = Ticket if "pruner" in values else Dense
        for name, table in PARTS.items():
            if values[name] not in table:
                raise UserError(f"{path}: its {name} {values[name]} is not in this repository, so it cannot be built")
            part = table[values[name]]
            values[name] = part(**{one.name: values.pop(one.name) for one in fields(part) if one.name in values})
        return cls(**values)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not the config of a run of this version ({error!r})") from None


def parse(
    script: type, argv: list[str] | None, prog: str, description: str, *, needs_ticket: bool, dataset: str
) -> tuple[Any, Any]:
    """Parse a script's own flags (``script``, ScriptFlags or a class made from it) and every field of its config.

    The module that --config names gives the defaults, else the one that --dataset picks, else that of ``dataset``.
    Gives ``(script flags, config)``. Raises UserError.
    """
    argv = sys.argv[1:] if argv is None else argv
    given = peek(argv, "config", "dataset")
    ending = DATASETS.get(given["dataset"], DATASETS[dataset])
    usual = f"configs/config{'_pruning' if needs_ticket else ''}{ending}.py"
    path = given["config"] or usual
    config = load_config(path)
    if needs_ticket and not isinstance(config, Ticket):
        raise UserError(f"config {path} describes a dense run, and {prog} needs a ticket's, such as {usual}")
    return override(script, with_chosen_parts(config, given), argv, prog, f"{description}\n\nWithout --config: {usual}")


def parse_sweep(script: type, argv: list[str], sweep: Sweep, *, prog: str, description: str) -> tuple[Any, Sweep]:
    """The same for a sweep: flags override its seeds and the fields of its base."""
    given = peek(argv, "seed", *sweep.varying)
    if given["seed"] is not None:
        raise UserError("a sweep has several seeds: use --seeds instead of --seed")
    for name in sweep.varying:
        if given[name] is not None or (name == "prune_at" and given["checkpoint"] is not None):
            raise UserError(f"--{name} is an axis of this sweep; change it in the sweep's config")
    flags, base = override(script, with_chosen_parts(sweep.base, given), argv, prog, description)
    return flags, replace(sweep, base=base, seeds=sweep.seeds if flags.seeds is None else flags.seeds)


def parse_flags(script: type, argv: list[str] | None, *, prog: str, description: str) -> Any:
    """Parse the flags that are the fields of the dataclass ``script``. Raises UserError; SystemExit after ``--help``."""
    said, config = io.StringIO(), (OmitArgPrefixes,)
    try:
        with redirect_stderr(said):
            return tyro.cli(script, args=argv, prog=prog, description=description, use_underscores=True, config=config)
    except SystemExit as stop:
        if not stop.code:
            raise
        raise UserError(f"{in_one_line(said.getvalue())}; see {prog} --help") from None


def in_one_line(box: str) -> str:
    """What tyro says in a box of several parts: the mistake, and the flags that may have been meant."""
    _, *lines = (line.strip(" │╭╮╰╯") for line in box.strip().splitlines())  # the first is a title
    parts = [" ".join(part.split()) for part in re.split("[─-]{3,}", "\n".join(lines)) if part.strip()]
    mistake = parts[0].split(" Got errors:")[0].rstrip(".")
    mistake = re.sub(r"no type matching (.*) could be instantiated from", r"it must be \1, not", mistake)
    meant = [" or ".join(re.findall(r"--\w+", part)) for part in parts[1:] if part.startswith("Perhaps you meant")]
    return "; perhaps you meant ".join([mistake, *meant])


def override(script: type, config: Dense, argv: list[str], prog: str, description: str) -> tuple[Any, Any]:
    """``(script flags, config)`` after the flags in ``argv``; every field of ``config``, of its task and of its model is one."""
    entries = [("script", script, field(default_factory=script))]
    groups: dict[str, list] = {"run": [], "ticket": [], "training": [], "where": []}
    for name, table in PARTS.items():  # peek has read them: here they are for --help, and for what no table has
        own = spelled(table, type(getattr(config, name)))
        known = Literal[tuple(dict.fromkeys([*table, own]))]
        told = arg(name=name, help=f"Another {name}, at its defaults.")
        groups["run"].append((f"{name}_name", Annotated[known, told], field(default=own)))
    for part in (config, config.task, config.model):
        helps, hints = docs_of(type(part)), get_type_hints(type(part), include_extras=True)
        for one in (one for one in fields(part) if one.name not in PARTS):
            hint = FlagConversionOff[Annotated[hints[one.name], arg(help=helps.get(one.name, ""))]]
            groups[group_of(part, one.name)].append((one.name, hint, field(default=getattr(part, one.name))))
    for name, own in groups.items():
        if own:
            made = make_dataclass(name.capitalize(), own, frozen=True)
            entries.append((name, made, field(default_factory=made)))
    args = parse_flags(make_dataclass("Args", entries, frozen=True), argv, prog=prog, description=description)
    shown = [vars(getattr(args, name)) for name, own in groups.items() if own]
    values = {name: value for group in shown for name, value in group.items()}
    for name in PARTS:
        del values[f"{name}_name"]
    return args.script, config.but(**values)


def group_of(part: Any, name: str) -> str:
    """In which group of --help a field of a config, its task or its model stands."""
    if not is_setting(type(part), name):
        return "where"
    if not isinstance(part, Dense) or name == "seed":
        return "run"
    return "training" if name in (one.name for one in fields(Dense)) else "ticket"


def docs_of(cls: type) -> dict[str, str]:
    """``{field: the text below it}`` of a dataclass and of those that it is made from."""
    found: dict[str, str] = {}
    for one in (one for one in reversed(cls.__mro__) if is_dataclass(one)):
        try:
            body = ast.parse(dedent(inspect.getsource(one))).body[0].body
        except (OSError, TypeError, SyntaxError):  # made by a program: it has no text
            continue
        for entry, text in pairwise(body):
            if isinstance(entry, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                found[entry.target.id] = " ".join(str(text.value.value).split())
    return found


def with_chosen_parts(config: Dense, given: dict[str, str | None]) -> Dense:
    """A config with another task or model, where ``given`` names one, or a data file."""
    wanted = {name: given[name] for name, table in PARTS.items() if given[name] in table}
    others = {name: PARTS[name][value]() for name, value in wanted.items() if value != getattr(config, name).name}
    if (dataset := given.get("dataset")) not in (None, *DATASETS):
        file = Path(os.path.expanduser(dataset))
        if not file.is_file():
            raise UserError(f"--dataset {dataset} is neither {' nor '.join(DATASETS)}, nor a file that is there")
        own = OwnConfig(str(file))
        if wanted.get("task", own.task.name) != own.task.name:
            raise UserError(f"--task {wanted['task']} describes another dense run than --dataset; leave it out")
        others["task"] = own.task
        if "model" not in wanted and config.model.inputs != own.task.inputs:
            others["model"] = own.model
    return with_parts(config, **others) if others else config


def peek(argv: list[str], *names: str) -> dict[str, str | None]:
    """The values of some flags, before it is known which others there are. Either spelling, ``--prune_at`` and ``--prune-at``.

    Raises UserError where one is empty, or where two names of one setting say different things: the later would win without a word.
    """
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in {*names, *PARTS, "prune_at", "checkpoint"}:
        early.add_argument(f"--{name}", f"--{name.replace('_', '-')}", nargs="?")
    given = vars(early.parse_known_args(argv)[0])
    for name, value in given.items():
        if value == "":
            raise UserError(f"--{name} is empty; leave it out, or name one")
    if len({given["prune_at"], given["checkpoint"]} - {None}) > 1:
        raise UserError("--prune_at and --checkpoint are two names of one setting and differ; leave one out")
    return given
