"""Which experiment a run is: the one place of this room that knows the kinds of runs and their configs."""

import json
from pathlib import Path

from common.errors import UserError
from configs.base import NOT_IDENTITY, Dense, paper
from configs.identity import completed, with_names
from configs.load import config_from_json
from configs.paper import EXPERIMENTS
from configs.ticket import MASK_FIELDS
from experiments.code_state import comparable, standing

STORED = {"kind": str, "config": dict, "identity": dict}  # what tables take from a config.json
# What the published tables call the two models of modular arithmetic, and the test accuracy at which they read them.
NAMES = {"mlp": "MLP", "transformer": "Transformer"}
MODELS = {
    kind: (name, paper(EXPERIMENTS[kind].task, EXPERIMENTS[kind].model).gen_threshold) for kind, name in NAMES.items()
}

Code = tuple[str, object, object]  # a run's standing, what its code can be compared with, its code


def stored_as(config: Dense) -> dict:
    """What a config.json says of a config."""
    return {"kind": config.kind, "config": config.as_dict()}


def settings_columns(settings: dict) -> dict:
    """What a run is, from its config.json: the kind, and every field that does not only say where and how it was computed.

    Settings of the mask are empty for a control without one.
    """
    config, kind = settings["config"], settings["kind"]
    row = {"kind": kind} | with_names({"kind": kind} | config)
    row = {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
    row |= dict.fromkeys((*MASK_FIELDS, "prune_at")) if config.get("use_mask") is False else {}
    return {name: value for name, value in row.items() if name not in (*NOT_IDENTITY, "dense_run")}


def of_model(results, kind: str):
    """The rows of a DataFrame of results that are of a model."""
    return results[results["kind"] == kind]


def standing_of(settings: dict, path: Path) -> Code:
    """What ``same_code`` asks of a run."""
    try:
        return standing_as(settings, config_from_json(settings, path))
    except UserError:  # the config of another version
        return "unknown", "", settings.get("code")


def standing_as(settings: dict, config: Dense) -> Code:
    return standing(settings, config), comparable(settings, config), settings.get("code")


def group_of(settings: dict) -> str:
    """A run's identity without its seed; and without the epoch of its mask, where that is found anew for each seed."""
    identity, config = completed(settings["identity"]), settings["config"]
    dense = {name: value for name, value in identity.get("dense", identity).items() if name != "seed"}
    mask = dict(identity.get("mask") or {})
    options = dict(identity.get("options") or {})
    if mask and (config["prune_at"].startswith("t_gen") or config.get(f"{config['prune_at']}_epoch") == "auto"):
        mask["epoch"] = f"auto {config['prune_at']}"
        options["rewind_to"] = config.get("rewind_to", 0)
    own = [dense, mask, identity.get("retraining"), options]
    return json.dumps(own, sort_keys=True)
