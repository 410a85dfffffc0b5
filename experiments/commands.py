"""A config as the command that trains it, for whoever is told what to do next."""

import shlex
from dataclasses import fields

from configs.base import PARTS, Dense
from configs.paper import EXPERIMENTS


def flags_of(config: Dense, root: str) -> str:
    """The flags that describe a dense run to a script that is given ``module_of(config)``, as a shell reads them.

    With those that say where and how it is computed, so that the command works as this one does.
    """
    usual, values = {field.name: field.default for field in fields(config.dense())}, config.as_dict()
    places = {name: values[name] for name in ("threads", "device") if values[name] != usual[name]}
    changed = {} if config.kind in EXPERIMENTS else {name: values[name] for name in PARTS}
    changed |= {name: value for name, value in config.differences().items() if name != "stop_after_gen"} | places
    changed |= {name: values[name] for name in ("data_root",) if values.get(name) is not None}
    if values.get("data_file") is not None:  # which says what the task is, and its hash
        changed = {"dataset": values["data_file"]} | changed
        changed = {name: value for name, value in changed.items() if name not in ("task", "data_hash")}
    if config.stop_after_gen:
        changed |= {name: values[name] for name in ("stop_after_gen", "gen_threshold")}
    changed |= {"root": root} if root != "runs" else {}
    texts = {name: value if isinstance(value, list) else (value,) for name, value in changed.items()}
    return "".join(f" --{name} {shlex.join(map(str, value))}" for name, value in texts.items())


def module_of(config: Dense) -> str:
    """The config module whose config is nearest to this one."""
    experiment = EXPERIMENTS.get(config.kind, EXPERIMENTS["mlp"])
    return experiment.ticket_module if config.parents() else experiment.module


def script_of(config: Dense) -> str:
    """The script that trains such a dense run."""
    return "train_mnist.py" if config.kind == "mnist" else "train.py"
