"""Finished tickets and their dense runs: paired by identity, read whole, and as rows of a table and of a CSV."""

import json
from collections.abc import Callable
from pathlib import Path

from common.errors import UserError
from configs.identity import completed, same_run
from configs.load import config_from_json
from experiments.code_state import comparable, standing, worst
from experiments.folder import ASIDE
from reporting.tables import Result, columns_of, median_and_range, median_text, provenance_of, read_result, speedup

Pair = tuple[Result, Result]  # a dense run and its ticket


def find_pairs(
    root: Path, asks_for: Callable[[Result], bool], thresholds: tuple[float, ...]
) -> tuple[list[Pair], list[str]]:
    """Every finished ticket below ``root`` that is asked for, with its dense run, by mask and seed; and who is left out, and why."""
    results, left_out, pairs = [], [], {}

    def attempt(name: str, action: Callable) -> object:
        try:
            return action()
        except (UserError, OSError) as error:
            left_out.append(f"{name}: {error}")
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            left_out.append(f"{name}: a file of it is damaged ({type(error).__name__}: {error})")
        return None

    for path in sorted(root.glob("*/summary.json")):
        if ASIDE not in path.parent.name:
            results.append(attempt(path.parent.name, lambda folder=path.parent: read_result(folder)))
    results = [result for result in results if result is not None]
    dense_runs = [result for result in results if "dense_run" not in result.settings]
    for ticket in results:
        if "dense_run" not in ticket.settings or not attempt(ticket.path.name, lambda t=ticket: asks_for(t)):
            continue
        pair = attempt(ticket.path.name, lambda t=ticket: (dense_of(t, dense_runs), t))
        key = pair and attempt(ticket.path.name, lambda p=pair: check(p, thresholds))
        if not key:
            continue
        if key in pairs:
            left_out.append(f"{ticket.path.name}: it is the same run as {pairs[key][1].path.name}")
        else:
            pairs[key] = pair
    return [pairs[key] for key in sorted(pairs)], left_out


def check(pair: Pair, thresholds: tuple[float, ...]) -> tuple[str, int, str]:
    """Read all that the tables need of a pair, so that what is damaged shows here; gives its group, its seed and its identity."""
    standing_of(pair)
    numbers_of(pair, thresholds)
    return (
        group_of(pair[1]),
        int(pair[1].settings["config"]["seed"]),
        json.dumps(completed(pair[1].settings["identity"]), sort_keys=True),
    )


def dense_of(ticket: Result, dense_runs: list[Result]) -> Result:
    """The dense run of a ticket, by the identity that it stored: below the same root, else at the path that it stored."""
    stored, wanted = Path(ticket.settings["dense_run"]), completed(ticket.settings["identity"]["dense"])
    found = [run for run in dense_runs if same_run(run.settings.get("identity"), wanted)]
    if not found and (stored / "summary.json").exists():
        found = [run for run in [read_result(stored)] if same_run(run.settings.get("identity"), wanted)]
    if not found:
        is_there = (stored / "config.json").exists()
        reason = "holds another run, or is not finished" if is_there else "is not there"
        raise UserError(f"its dense run {stored} {reason}")
    return next((run for run in found if run.path.name == stored.name), found[0])


def group_of(ticket: Result) -> str:
    """A ticket's settings without its seed; and without the epoch of its mask, where that is found anew for each seed."""
    identity, config = completed(ticket.settings["identity"]), ticket.settings["config"]
    dense = {name: value for name, value in identity["dense"].items() if name != "seed"}
    mask = dict(identity["mask"] or {})
    if mask and config.get(f"{config['prune_at']}_epoch") == "auto":
        mask["epoch"] = f"auto {config['prune_at']}"
    return json.dumps([dense, mask, identity["retraining"], identity["options"]], sort_keys=True)


def label_of(pair: Pair, threshold: float) -> str:
    """A ticket's name without its seed, with what is to be known about how it or its dense run ended."""
    notes = []
    for name, run in zip(("dense ", ""), pair, strict=True):
        notes += [name + run.summary["status"]] * (run.summary["status"] != "completed")
        notes += [name + "unstable"] * run.generalized(threshold).is_unstable
    name = pair[1].path.name.replace(f"_seed{pair[1].settings['config']['seed']}", "", 1)
    return f"{name} ({', '.join(notes)})" if notes else name


def rows_of(pairs: list[Pair], thresholds: tuple[float, ...]) -> list[list[str]]:
    """The table's rows: one for each seed, then one with the median over seeds where there are several."""
    rows = []
    for group in dict.fromkeys(group_of(ticket) for _, ticket in pairs):
        members = [pair for pair in pairs if group_of(pair[1]) == group]
        labels = [label_of(pair, thresholds[-1]) for pair in members]
        found = {
            threshold: [[run.generalized(threshold) for run in pair] for pair in members] for threshold in thresholds
        }
        for number, (dense, ticket) in enumerate(members):
            row = [labels[number], str(ticket.settings["config"]["seed"])]
            for threshold in thresholds:
                slow, fast = found[threshold][number]
                row += [str(slow), str(fast), speedup(slow, fast)]
            row += [median_text([run.summary["best_test_acc"]]) for run in (dense, ticket)]
            row += [
                f"{ticket.summary['weights_kept']:,}",
                f"{(dense.summary['seconds'] + ticket.summary['seconds']) / 60:.1f}",
            ]
            rows.append(row)
        if len(members) > 1:
            row = [labels[0] if len(set(labels)) == 1 else f"{labels[0]} and the like", "median (range)"]
            for threshold in thresholds:
                for side in zip(*found[threshold], strict=True):
                    row.append("{} ({})".format(*median_and_range(list(side))))
                row.append("")
            rows.append([*row, "", "", "", ""])
    return rows


def numbers_of(pair: Pair, thresholds: tuple[float, ...]) -> dict:
    """A pair as a row of the CSV: numbers and statuses, empty where there is none."""
    dense, ticket = pair
    row = {"ticket": ticket.path.name, "dense": dense.path.name, "seed": ticket.settings["config"]["seed"]}
    for threshold in thresholds:
        for name, run in (("dense ", dense), ("ticket ", ticket)):
            row |= columns_of(run.generalized(threshold), threshold, name)
    for name, run in (("dense ", dense), ("ticket ", ticket)):
        row |= {name + key: run.summary[key] for key in ("status", "epochs", "final_test_acc", "best_test_acc")}
        row |= {name + key: run.summary[key] for key in ("weights_kept", "seconds")} | provenance_of(run, name)
    return row


def standing_of(pair: Pair) -> tuple[str, object, object]:
    """What ``same_code`` asks of a pair: the worse standing of the two, what their codes can be compared with, their codes."""
    states, groups = [], []
    for run in pair:
        try:
            config = config_from_json(run.settings, run.path / "config.json")
            states.append(standing(run.settings, config))
            groups.append(comparable(run.settings, config))
        except UserError:  # the config of another version
            states.append("unknown")
            groups.append("")
    return worst(states), tuple(groups), tuple(run.settings.get("code") for run in pair)
