"""From a command line to a config: a Python module gives the defaults, flags override them."""

import argparse
import importlib.util
import os
import sys
from dataclasses import dataclass, field, fields, make_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from common.errors import UserError
from common.files import load_json
from configs.base import NOT_IDENTITY, PARTS, Dense, OwnConfig, with_parts
from configs.identity import before, with_names
from configs.paper import EXPERIMENTS
from configs.sweep import Sweep
from configs.ticket import MASK_FIELDS, RETRAINED, Ticket, ticket_of
from data import TASKS
from models import MODELS

CHOICES = dict(zip(PARTS, (TASKS, MODELS), strict=True))
DENSE_FIELDS = {entry.name for entry in fields(Dense)}
DATASETS = {"modular_addition": EXPERIMENTS["mlp"], "mnist": EXPERIMENTS["mnist"]}
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
    try:
        spec.loader.exec_module(module)
    except UserError as error:
        raise UserError(f"config {path}: {error}") from error
    except (Exception, SystemExit) as error:
        raise UserError(f"config {path} raises {type(error).__name__}: {error}") from error
    if not hasattr(module, attribute):
        example = {"config": "configs/config.py", "sweep": "configs/sweep_pruning_rate.py"}[attribute]
        raise UserError(f"config {path} defines no `{attribute}`; see {example} for an example")
    return getattr(module, attribute)


def load_config(path: str) -> Dense:
    """The Dense that the module at ``path`` defines as ``config``."""
    config = load_module(path)
    if not isinstance(config, Dense):
        raise UserError(
            f"`config` in {path} is a {type(config).__name__}, not one of the classes of configs/base.py and ticket.py"
        )
    return config


def config_from_json(stored: dict, path: Path) -> Dense:
    """The config in a run's config.json, a dense run's or a ticket's. Raises UserError where it does not fit."""
    try:
        cls = Ticket if "dense_run" in stored else Dense
        named = with_names({"kind": stored.get("kind")} | stored["config"])
        task, model = TASKS[named["task"]], MODELS[named["model"]]
        values = before(cls, task, model) | named
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        parts = {}
        for name, part in zip(PARTS, (task, model), strict=True):
            own = [entry.name for entry in fields(part) if entry.name in values]
            parts[name] = part(**{entry: values.pop(entry) for entry in own})
        values.pop("kind", None)
        return cls(**values | parts)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not the config of a run of this version ({error!r})") from None


def stored_config(folder: str) -> Dense:
    """The config of the run in a folder, wherever it lies now. Raises UserError where there is none."""
    path = Path(folder) / "config.json"
    if not path.exists():
        raise UserError(f"{folder} is no folder of a run: it has no config.json")
    return config_from_json(load_json(path, {"kind": str, "config": dict}), path).but(root=str(Path(folder).parent))


def parse(script: type, argv: list[str] | None, *, prog: str, description: str, default_config: str) -> tuple[Any, Any]:
    """Parse a script's own flags (the dataclass ``script``, with a field ``config``) and every field of its config.

    The module named by ``--config`` gives the defaults; without it the one that ``--dataset`` picks, else ``default_config``.
    Gives ``(script flags, config)``.
    Raises UserError, or SystemExit with status 2 and a message for what the flags themselves get wrong.
    """
    argv = sys.argv[1:] if argv is None else argv
    given = _peek(argv, ("config", "dataset", "dense_run", *PARTS))
    needs_ticket, usual = isinstance(load_config(default_config), Ticket), default_config
    if given["dataset"] in DATASETS:
        experiment = DATASETS[given["dataset"]]
        usual = experiment.ticket_module if needs_ticket else experiment.module
    path = given["config"] or usual
    config = load_config(path)
    if needs_ticket and not isinstance(config, Ticket):
        raise UserError(f"config {path} describes a dense run, and {prog} needs a ticket's, such as {usual}")
    config = _with_parts(config, given)
    dense_run = isinstance(config, Ticket) and (given["dense_run"] or config.dense_run)
    if dense_run:
        config = _with_dense_run(config, dense_run)
    flags, parsed = override(script, config, argv, prog, description)
    if dense_run:
        _check_dense_run(config, parsed)
    return flags, _with_mask_of(parsed, argv)


def parse_sweep(script: type, argv: list[str] | None, *, prog: str, description: str) -> tuple[Any, Sweep]:
    """The same for a sweep, whose module defines ``sweep``: flags override its seeds and the fields of its base."""
    argv = sys.argv[1:] if argv is None else argv
    default = next(field.default for field in fields(script) if field.name == "config")
    path = _peek(argv, ("config",))["config"] or default
    sweep = load_module(path, "sweep")
    if not isinstance(sweep, Sweep):
        raise UserError(f"`sweep` in {path} is a {type(sweep).__name__}, not a Sweep of configs/sweep.py")
    given = _peek(argv, ("seed", "checkpoint", *PARTS, *sweep.varying))
    if given["seed"] is not None:
        raise UserError("a sweep has several seeds: use --seeds instead of --seed")
    for name in sweep.varying:
        if given[name] is not None or (name == "prune_at" and given["checkpoint"] is not None):
            raise UserError(f"--{name} is an axis of this sweep; change it in the sweep's config")
    flags, base = override(script, _with_parts(sweep.base, given), argv, prog, description)
    return flags, sweep.with_base(base, flags.seeds)


def parse_flags(script: type, argv: list[str] | None, *, prog: str, description: str) -> Any:
    """Parse the flags that are the fields of the dataclass ``script``. Raises as ``parse`` does."""
    config = (tyro.conf.OmitArgPrefixes,)
    return tyro.cli(script, args=argv, prog=prog, description=description, use_underscores=True, config=config)


def override(script: type, config: Dense, argv: list[str], prog: str, description: str) -> tuple[Any, Any]:
    """``(script flags, config)`` after the flags in ``argv``; every field of ``config``, of its task and of its model is one."""
    _check_names(argv)
    parts = {name: getattr(config, name) for name in PARTS}
    choices = [
        (
            name,
            Annotated[Literal[tuple(CHOICES[name])], tyro.conf.arg(help=f"Another {name}, at its defaults.")],
            part.name,
        )
        for name, part in parts.items()
    ]
    groups = {"choices": make_dataclass("Choices", choices, frozen=True)(), "config": config} | parts
    flags = [(name, tyro.conf.FlagConversionOff[type(group)], field(default=group)) for name, group in groups.items()]
    args = make_dataclass("Args", [("script", script, field(default_factory=script)), *flags])
    parsed = parse_flags(args, argv, prog=prog, description=description)
    for name, part in parts.items():
        if getattr(parsed.choices, name) != part.name:
            raise UserError(f"--{name} {getattr(parsed.choices, name)} describes another dense run; leave the flag out")
    return parsed.script, replace(parsed.config, task=parsed.task, model=parsed.model)


def _with_parts(config: Dense, given: dict[str, str | None]) -> Dense:
    """A config with another task or model, where ``given`` names one, or a data file."""
    wanted = {name: given[name] for name in PARTS if given[name] in CHOICES[name]}
    others = {name: CHOICES[name][value]() for name, value in wanted.items() if value != getattr(config, name).name}
    if (dataset := given.get("dataset")) not in (None, *DATASETS):
        file = Path(os.path.expanduser(dataset))
        if not file.is_file():
            raise UserError(f"--dataset {dataset} is neither {' nor '.join(DATASETS)}, nor a file that is there")
        own = OwnConfig(str(file))
        others["task"] = own.task
        if "model" not in wanted and config.model.inputs != own.task.inputs:
            others["model"] = own.model
    return with_parts(config, **others) if others else config


def _with_mask_of(config: Dense, argv: list[str]) -> Dense:
    """A ticket whose mask is from the one in a folder, with what is true of that mask."""
    if not isinstance(config, Ticket) or config.mask_from is None or not Path(config.mask_from).is_dir():
        return config
    other, names = config.other_ticket(), (*MASK_FIELDS, "prune_at", "memorization_epoch", "generalization_epoch")
    for name, value in _peek(argv, (*names, "checkpoint", "global_pruning")).items():
        if value is not None:
            raise UserError(f"--mask_from {config.mask_from} is a ticket, whose mask is as it is: leave --{name} out")
    return config.but(**{name: getattr(other, name) for name in names})


def _peek(argv: list[str], names: tuple[str, ...]) -> dict[str, str | None]:
    """The values of some flags, before it is known which others there are. Either spelling, ``--dense_run`` and ``--dense-run``."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in names:
        early.add_argument(*dict.fromkeys([f"--{name}", f"--{name.replace('_', '-')}"]), nargs="?")
    given = vars(early.parse_known_args(argv)[0])
    for name, value in given.items():
        if value == "":
            raise UserError(f"--{name} is empty; leave it out, or name one")
    return given


def _check_names(argv: list[str]) -> None:
    """Raise UserError where two names of one setting are given different values: the later would win without a word."""
    given = _peek(argv, ("prune_at", "checkpoint", "scope", "global_pruning"))
    given["global_pruning"] = {"True": "global", "False": "local"}.get(given["global_pruning"])
    for name, other in (("prune_at", "checkpoint"), ("scope", "global_pruning")):
        if None not in (given[name], given[other]) and given[name] != given[other]:
            raise UserError(
                f"--{name} and --{other} are two names of one setting and say different things; leave one out"
            )


def _with_dense_run(config: Ticket, folder: str) -> Ticket:
    """A ticket's config with the dense run in ``folder`` in place of its own."""
    dense = config_from_json(load_json(Path(folder) / "config.json"), Path(folder) / "config.json")
    if isinstance(dense, Ticket):
        raise UserError(f"--dense_run {folder} holds another run, a ticket; give the folder of a dense run")
    if (data_file := config.as_dict().get("data_file")) is not None:  # it may lie elsewhere now
        if "data_file" not in dense.as_dict():
            raise UserError(f"--dense_run {folder} has learned the task {dense.task.name}; leave --dataset out")
        dense = dense.but(data_file=data_file)
    usual = ticket_of(config.dense())
    own = {entry.name: getattr(config, entry.name) for entry in fields(Ticket) if entry.name not in DENSE_FIELDS}
    if config.kind != dense.kind:  # has stages of its own: take over only what was chosen
        own = {name: value for name, value in own.items() if value != getattr(usual, name)}
        return ticket_of(dense, **own, root=config.root)
    places = {name: getattr(config, name) for name in NOT_IDENTITY if name in config.as_dict()}
    return ticket_of(dense, **places | own)


def _check_dense_run(found: Ticket, asked: Ticket) -> None:
    stored, wanted = found.dense().identity(), asked.dense().identity()
    for name, value in stored.items():
        if wanted[name] != value:
            own = f", or use --retrain_{name} if it is about retraining" if name in RETRAINED else ""
            raise UserError(
                f"--{name} {wanted[name]} describes another dense run: {name} is {value} in {asked.dense_run}; leave the flag out{own}"
            )
