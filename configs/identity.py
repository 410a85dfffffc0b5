"""Which runs are the same: stored identities compared with those of configs, whose fields may have become more since."""

from collections.abc import Container
from dataclasses import fields
from typing import Any

from configs.base import Dense
from configs.paper import EXPERIMENTS
from configs.ticket import RETRAINED, Ticket
from data import TASKS
from models import MODELS

# {field: value}: what was true of every run before a field existed, whatever its default is today. Whoever adds a field to a config
# adds it here, or all runs from before are other runs.
BEFORE: dict[str, Any] = {"save_at": [], "optimizer": "adamw", "batch_size": None, "stop_after_gen": False}
BEFORE |= {"pruning_rounds": None, "pruning_schedule": "exponential", "pruning_iterations": None, "rewind_to": 0}
BEFORE |= {"control": None, "control_per_matrix": False, "learn": None}
BEFORE |= {"score_lr": None, "score_weight_decay": None, "score_optimizer": None, "score_num_epochs": None}
BEFORE |= {"score_by_value": False}


def with_names(stored: dict) -> dict:
    """Stored settings with the names of their task and model, which were one ``kind`` once."""
    if stored.get("kind") not in EXPERIMENTS:
        return stored
    experiment = EXPERIMENTS[stored["kind"]]
    rest = {name: value for name, value in stored.items() if name != "kind"}
    return {"task": experiment.task, "model": experiment.model} | rest


def before(*classes: type, without: Container[str] = ()) -> dict[str, Any]:
    """The values of BEFORE that such a config has fields for."""
    names = [field.name for cls in classes for field in fields(cls)]
    return {name: BEFORE[name] for name in names if name in BEFORE and name not in without}


def completed(identity: Any) -> Any:
    """A stored identity, a dense run's or a ticket's, with the fields that did not exist yet."""
    if not isinstance(identity, dict):
        return identity
    if isinstance(identity.get("dense"), dict):
        dense, retraining = completed(identity["dense"]), identity.get("retraining") or {}
        retraining = {name: BEFORE[name] for name in RETRAINED if name in BEFORE} | retraining
        options = before(Ticket, without=dense) | (identity.get("options") or {})
        return {"dense": dense, "mask": identity.get("mask"), "retraining": retraining, "options": options}
    named = with_names(identity)
    if named.get("task") not in TASKS or named.get("model") not in MODELS:
        return identity
    task, model = TASKS[named["task"]], MODELS[named["model"]]
    return before(Dense, task, model) | {"loss": task.loss} | named


def same_run(stored: Any, wanted: dict) -> bool:
    """Whether a stored identity is that of the run that is wanted."""
    return completed(stored) == wanted
