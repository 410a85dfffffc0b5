"""Which folder holds the run that is made of something: a run is what it contains, and the settings of its training.

Three things are compared less strictly, each said in one line: what is drawn or computed on a CPU of another kind, whose last bits
differ; and a mask that comes by the same settings from the same weights on another machine.
"""

import secrets
from contextlib import ExitStack
from typing import Any

import torch

from common.files import save_tensors
from experiments.build import choose_device
from experiments.folder import RunFolder, runs_below
from experiments.identity import difference, drawn_alike, machine
from experiments.ingredients import Ingredients
from experiments.origin import changed_files, code_files, git_commit, say_changed, versions
from experiments.reader import FORMAT, load_checkpoint
from pruning.masks import count_kept


def settle(folder: RunFolder, made: Ingredients, locks: ExitStack) -> RunFolder:
    """The folder of the run that is made of this, held as long as ``locks``; ``folder``, held already, is where settings led to.

    Where that is another run, one line says what differs. A run that is there under other settings is found by these from now on.
    """
    unlike = differences(folder, made) if folder.is_claimed else []
    if folder.is_claimed and not unlike:
        folder.also_asked_for()
        return folder
    for path, _ in runs_below(folder.path.parent):
        if path != folder.path and not differences(RunFolder(path, folder.settings), made):
            found = RunFolder(path, folder.settings)
            locks.enter_context(found.lock())
            print(f"{folder.path.name} is the same run as {path}, by what it contains")
            found.also_asked_for()
            return found
    if not folder.is_claimed:
        return folder
    other = folder.beside([made.content, made.training])
    print(f"{folder.path} holds another run: {', '.join(unlike)} differ; this one goes to {other.path.name}")
    locks.enter_context(other.lock())
    return other


def differences(folder: RunFolder, made: Ingredients) -> list[str]:
    """In what the run in a folder differs from what is made, in words; empty where they are the same run."""
    stored = folder.config()
    unlike = difference(stored["training"], made.training)
    hashes, now = stored["content"], made.content
    of_content = [name for name in difference(hashes, now) if not _is_lenient(name, folder, stored, made)]
    if not unlike and not of_content and difference(hashes, now):
        print(f"{folder.path}: made on another machine ({stored['machine']}), and the same up to rounding")
    return unlike + [name.replace("_", " ") for name in of_content]


def _is_lenient(name: str, folder: RunFolder, stored: dict[str, Any], made: Ingredients) -> bool:
    """Whether a difference in content is one of rounding, on another machine."""
    if stored["machine"] == machine():
        return False
    if name == "mask":
        by_same_settings = folder.settings in stored["asked_for"] and None not in (made.mask, made.weights_hash)
        return by_same_settings and stored["mask_weights"] == made.weights_hash
    if name == "start" and made.is_drawn and stored["is_drawn"] and (folder.path / "init.pth").exists():
        mask = made.mask or {}
        start = {name: weight * mask[name] if name in mask else weight for name, weight in made.start.items()}
        return drawn_alike(load_checkpoint(folder.path / "init.pth")["model"], start)
    if name == "logit_multiplier":
        one, other = stored["content"][name], made.logit_multiplier
        return None not in (one, other) and abs(one - other) <= 1e-5 * abs(other)
    return False


def claim(folder: RunFolder, made: Ingredients, population: bool = False) -> None:
    """Make a held folder the run's, if it is not yet: config.json, and a ticket's mask.pth. A run that goes on keeps its own."""
    if folder.is_claimed:
        stored = folder.config()
        if changed := changed_files(stored, made.config):
            print(f"{folder.path}{say_changed(stored, changed)}")
            folder.note(code=stored["code"] | dict.fromkeys(changed, "changed while the run was trained"))
        if population and not stored["population"]:
            folder.note(population=True)
    else:
        config, device = made.config, str(choose_device(made.config))
        about = {"format": FORMAT, "id": secrets.token_hex(8), "kind": config.kind, "shows": config.task.shows}
        about |= {"asked_for": [folder.settings], "training": made.training, "content": made.content}
        about |= {"mask_weights": made.weights_hash, "is_drawn": made.is_drawn, "config": config.as_dict()}
        about |= {"git_commit": git_commit(), "code": code_files(config), "machine": machine()}
        about |= {"population": population, "precision": str(torch.get_default_dtype())}
        folder.claim(about | made.about | versions(device, config.threads))
    if made.mask is not None:
        kept, total = (sum(counts) for counts in zip(*count_kept(made.mask).values(), strict=True))
        content = {"mask": made.mask, "source": made.about.get("mask_source"), "pruning_rate": 1 - kept / total}
        save_tensors(content | {"run": folder.config()["id"]}, folder.path / "mask.pth")


def say_reused(folder: RunFolder, made: Ingredients) -> None:
    """One line about a finished run: how it ended, and whether the code that trains is still the same."""
    stored, status = folder.config(), folder.summary()["status"]
    ended = "" if status == "completed" else f" ({status})"
    now = versions(str(choose_device(made.config)), made.config.threads)
    others = [f"{name} {stored.get(name)}" for name in ("torch", "python", "threads") if stored.get(name) != now[name]]
    trained = f", trained with {', '.join(others)}" if others else ""
    changed = say_changed(stored, changed_files(stored, made.config))
    print(f"{folder.path} is finished{ended} and is reused{trained}{changed}")
