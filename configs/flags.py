"""From a command line to a config: a Python module gives the defaults, flags override them."""

import argparse
import ast
import dataclasses
import importlib.util
import inspect
import io
import os
import re
import sys
from contextlib import redirect_stderr
from dataclasses import dataclass, field, fields, make_dataclass
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import Annotated, Any, Literal, get_type_hints

import tyro

from common.choices import spelled
from common.errors import UserError, mend_streams
from common.files import load_json
from common.ranges import is_setting
from configs.base import PARTS, Dense, OwnConfig, with_parts
from configs.paper import EXPERIMENTS
from configs.sweep import Sweep
from configs.ticket import RETRAINED, Ticket, ticket_of

DATASETS = {"modular_addition": EXPERIMENTS["mlp"], "mnist": EXPERIMENTS["mnist"]}
DENSE_FIELDS = {entry.name for entry in fields(Dense)}
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


def load_module(path: str, attribute: str = "config") -> Any:
    """``config`` (or another attribute) of the Python module at ``path``; the module is run. Raises UserError."""
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
        raise UserError(
            f"config {path} closes or replaces sys.stdout or sys.stderr, where this script prints; leave them alone"
        )
    if not hasattr(module, attribute):
        raise UserError(f'config {path} defines no `{attribute}`; README shows one under "Change something"')
    return getattr(module, attribute)


def load_config(path: str) -> Dense:
    """The Dense that the module at ``path`` defines as ``config``."""
    config = load_module(path)
    if not isinstance(config, Dense):
        raise UserError(
            f"`config` in {path} is a {type(config).__name__}, not one of the classes of configs/base.py and ticket.py"
        )
    return config


def load_sweep(path: str) -> Sweep:
    """The Sweep that the module at ``path`` defines as ``sweep``."""
    sweep = load_module(path, "sweep")
    if not isinstance(sweep, Sweep):
        raise UserError(f"`sweep` in {path} is a {type(sweep).__name__}, not a Sweep of configs/sweep.py")
    return sweep


def config_from_json(stored: dict, path: Path) -> Dense:
    """The config in a run's config.json, a dense run's or a ticket's. Raises UserError where it does not fit.

    Choices come from their names, so that a run whose task or model is defined in a config file of one's own has none.
    """
    try:
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in stored["config"].items()}
        for name, table in PARTS.items():
            if values[name] not in table:
                raise UserError(
                    f"{path}: its {name} {values[name]} is none of this repository, so it cannot be built here"
                )
            own = [entry.name for entry in fields(table[values[name]]) if entry.name in values]
            values[name] = table[values[name]](**{entry: values.pop(entry) for entry in own})
        return (Ticket if "dense_run" in values else Dense)(**values)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not the config of a run of this version ({error!r})") from None


def parse(script: type, argv: list[str] | None, *, prog: str, description: str, default_config: str) -> tuple[Any, Any]:
    """Parse a script's own flags (the dataclass ``script``, with a field ``config``) and every field of its config.

    The module named by ``--config`` gives the defaults; without it the one that ``--dataset`` picks, else ``default_config``.
    Gives ``(script flags, config)``. Raises UserError.
    """
    argv = sys.argv[1:] if argv is None else argv
    given = peek(argv, "config", "dataset", "dense_run")
    needs_ticket, usual = isinstance(load_config(default_config), Ticket), default_config
    if given["dataset"] in DATASETS:
        experiment = DATASETS[given["dataset"]]
        usual = experiment.ticket_module if needs_ticket else experiment.module
    path = given["config"] or usual
    config = load_config(path)
    if needs_ticket and not isinstance(config, Ticket):
        raise UserError(f"config {path} describes a dense run, and {prog} needs a ticket's, such as {usual}")
    config = with_chosen_parts(config, given)
    dense_run = isinstance(config, Ticket) and (given["dense_run"] or config.dense_run)
    if dense_run:
        config = with_dense_run(config, dense_run)
    flags, parsed = override(script, config, argv, prog, f"{description or ''}\n\nWithout --config: {usual}")
    if dense_run:
        check_dense_run(config, parsed)
    return flags, parsed


def parse_sweep(script: type, argv: list[str], sweep: Sweep, *, prog: str, description: str) -> tuple[Any, Sweep]:
    """The same for a sweep: flags override its seeds and the fields of its base."""
    given = peek(argv, "seed", *sweep.varying)
    if given["seed"] is not None:
        raise UserError("a sweep has several seeds: use --seeds instead of --seed")
    for name in sweep.varying:
        if given[name] is not None or (name == "prune_at" and given["checkpoint"] is not None):
            raise UserError(f"--{name} is an axis of this sweep; change it in the sweep's config")
    flags, base = override(script, with_chosen_parts(sweep.base, given), argv, prog, description)
    return flags, sweep.with_base(base, flags.seeds)


def parse_flags(script: type, argv: list[str] | None, *, prog: str, description: str) -> Any:
    """Parse the flags that are the fields of the dataclass ``script``. Raises UserError; SystemExit after ``--help``."""
    said, config = io.StringIO(), (tyro.conf.OmitArgPrefixes,)
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
    mistake = re.sub(
        r"no type matching (.*) could be instantiated from", r"it must be \1, not", parts[0].split(" Got errors:")[0]
    )
    meant = [part for part in parts[1:] if part.startswith("Perhaps you meant")]
    return "; perhaps you meant ".join(
        [mistake.rstrip("."), *(" or ".join(re.findall(r"--\w+", part)) for part in meant)]
    )


def override(script: type, config: Dense, argv: list[str], prog: str, description: str) -> tuple[Any, Any]:
    """``(script flags, config)`` after the flags in ``argv``; every field of ``config``, of its task and of its model is one.

    ``--help`` sorts them into four groups: this script's and the network's, the ticket's, the training's, and where it is computed.
    """
    groups: dict[str, list[tuple]] = {"run": [], "ticket": [], "training": [], "where": []}
    for name, table in PARTS.items():
        own = spelled(table, type(getattr(config, name)))
        hint = Annotated[Literal[tuple({*table, own})], tyro.conf.arg(help=f"Another {name}, at its defaults.")]
        groups["run"].append((name, hint, field(default=own)))
    for part in (config, config.task, config.model):
        helps, hints = docs_of(type(part)), get_type_hints(type(part), include_extras=True)
        for entry in (entry for entry in fields(part) if entry.name not in PARTS):
            hint = Annotated[
                hints[entry.name], tyro.conf.arg(help=helps.get(entry.name, "")), tyro.conf.FlagConversionOff
            ]
            group = group_of(part, entry)
            groups[group].append((entry.name, hint, field(default=getattr(part, entry.name))))
    made = {name: make_dataclass(name.capitalize(), own, frozen=True) for name, own in groups.items() if own}
    args = make_dataclass(
        "Args",
        [("script", script, field(default_factory=script))]
        + [(name, cls, field(default_factory=cls)) for name, cls in made.items()],
    )
    parsed = parse_flags(args, argv, prog=prog, description=description)
    values = {name: value for group in made for name, value in vars(getattr(parsed, group)).items()}
    for name in PARTS:
        if (value := values.pop(name)) != spelled(PARTS[name], type(getattr(config, name))):
            raise UserError(
                f"--{name} {value} describes another dense run than --dense_run or --dataset; leave the flag out"
            )
    return parsed.script, config.but(**values)


def group_of(part: Any, entry: dataclasses.Field) -> str:
    """In which group of ``--help`` a field stands."""
    if not is_setting(type(part), entry.name):
        return "where"
    if isinstance(part, Ticket) and entry.name not in DENSE_FIELDS:
        return "ticket"
    return "training" if isinstance(part, Dense) and entry.name != "seed" else "run"


def docs_of(cls: type) -> dict[str, str]:
    """``{field: the text below it}`` of a dataclass and of those that it is made from."""
    found: dict[str, str] = {}
    for one in (one for one in reversed(cls.__mro__) if dataclasses.is_dataclass(one)):
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
        others["task"] = own.task
        if "model" not in wanted and config.model.inputs != own.task.inputs:
            others["model"] = own.model
    return with_parts(config, **others) if others else config


def peek(argv: list[str], *names: str) -> dict[str, str | None]:
    """The values of some flags, before it is known which others there are. Either spelling, ``--dense_run`` and ``--dense-run``.

    Raises UserError where one is empty, or where two names of one setting say different things: the later would win without a word.
    """
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    pairs = {"prune_at": "checkpoint", "scope": "global_pruning"}
    for name in dict.fromkeys((*names, *PARTS, *pairs, *pairs.values())):
        early.add_argument(*dict.fromkeys([f"--{name}", f"--{name.replace('_', '-')}"]), nargs="?")
    given = vars(early.parse_known_args(argv)[0])
    for name, value in given.items():
        if value == "":
            raise UserError(f"--{name} is empty; leave it out, or name one")
    for name, other in pairs.items():
        meaning = {"True": "global", "False": "local"}.get(given[other], given[other])
        if None not in (given[name], meaning) and given[name] != meaning:
            raise UserError(
                f"--{name} and --{other} are two names of one setting and say different things; leave one out"
            )
    return given


def with_dense_run(config: Ticket, folder: str) -> Ticket:
    """A ticket's config with the dense run in ``folder`` in place of its own."""
    dense = config_from_json(load_json(Path(folder) / "config.json", {"config": dict}), Path(folder) / "config.json")
    if isinstance(dense, Ticket):
        raise UserError(f"--dense_run {folder} holds another run, a ticket; give the folder of a dense run")
    if (data_file := config.as_dict().get("data_file")) is not None:  # it may lie elsewhere now
        if "data_file" not in dense.as_dict():
            raise UserError(f"--dense_run {folder} has learned the task {dense.task.name}; leave --dataset out")
        dense = dense.but(data_file=data_file)
    own = {entry.name: getattr(config, entry.name) for entry in fields(Ticket) if entry.name not in DENSE_FIELDS}
    if config.kind != dense.kind:  # has stages of its own: take over only what was chosen
        usual = ticket_of(config.dense())
        own = {name: value for name, value in own.items() if value != getattr(usual, name)}
        return ticket_of(dense, **own, root=config.root)
    parts = (config, config.task, config.model)
    places = {
        entry.name: getattr(part, entry.name)
        for part in parts
        for entry in fields(part)
        if entry.name not in own and not is_setting(type(part), entry.name)
    }
    return ticket_of(dense, **places | own)


def check_dense_run(found: Ticket, asked: Ticket) -> None:
    """Raise UserError where a flag describes another dense run than the one in --dense_run."""
    stored, wanted = found.dense().settings(), asked.dense().settings()
    for name in dict.fromkeys((*stored, *wanted)):
        if wanted.get(name) != stored.get(name):
            own = f", or use --retrain_{name} if it is about retraining" if name in RETRAINED else ""
            own_value, value = (one.as_dict().get(name) for one in (found, asked))
            raise UserError(
                f"--{name} {value} describes another dense run: {name} is {own_value} in {asked.dense_run}; leave the flag out{own}"
            )
