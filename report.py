"""Tables over seeds from the finished runs below a root: every ticket beside its dense run.

    python report.py --root runs
    python report.py --root runs --gen_thresholds 0.5 0.8 0.85 --kind mnist --csv assets/results/mnist.csv

t_gen is explained in training/generalization.py; a run that has none is censored, and counts as later than all others in a median.
"""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while the imports below run ends without a traceback

import csv
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from code_state import same_code, standing, worst
from configs.checks import Range, check_fields
from configs.load import config_from_json, parse_flags
from configs.ticket import TICKET
from errors import UserError, run_script
from tables import (
    UNSTABLE,
    Result,
    columns_of,
    median_and_range,
    median_text,
    provenance_of,
    read_result,
    speedup,
    table,
)
from training.folder import ASIDE

Pair = tuple[Result, Result]  # a dense run and its ticket


@dataclass(frozen=True)
class Flags:
    """This script."""

    root: Path = Path("runs")
    """Folder that holds the run folders."""
    kind: str | None = None
    """Only runs of this kind: mlp, transformer, mnist."""
    tickets: str = "*"
    """Only tickets whose folder's name is like this pattern: '*_at28000'."""
    seeds: tuple[int, ...] | None = None
    """Only these seeds."""
    gen_thresholds: tuple[Annotated[float, Range(above=0, most=1)], ...] = (0.90, 0.95)
    """Test accuracies at which t_gen is read."""
    csv: Path | None = None
    """Also write the numbers to this file, a row a pair."""

    def __post_init__(self):
        check_fields(self)
        if self.kind not in (None, *TICKET):
            raise UserError(f"kind must be one of {', '.join(TICKET)}, not {self.kind!r}")
        if self.seeds == () or not self.gen_thresholds:
            raise UserError(
                f"--{'gen_thresholds' if self.seeds != () else 'seeds'} is empty; leave it out, or give at least one"
            )
        if not self.tickets:
            raise UserError("--tickets is empty; leave it out, or give a pattern")

    def asks_for(self, ticket: Result) -> bool:
        is_of_seed = self.seeds is None or ticket.settings["config"].get("seed") in self.seeds
        return is_of_seed and self.kind in (None, ticket.settings["kind"]) and ticket.path.match(self.tickets)


def find_pairs(flags: Flags) -> tuple[list[Pair], list[str]]:
    """Every finished ticket that is asked for with its dense run, by mask and seed; and which are left out, each with its reason."""
    results, left_out, pairs = [], [], {}

    def attempt(name: str, action: Callable) -> object:
        try:
            return action()
        except (UserError, OSError) as error:
            left_out.append(f"{name}: {error}")
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            left_out.append(f"{name}: a file of it is damaged ({type(error).__name__}: {error})")
        return None

    for path in sorted(flags.root.glob("*/summary.json")):
        if ASIDE not in path.parent.name:
            results.append(attempt(path.parent.name, lambda folder=path.parent: read_result(folder)))
    results = [result for result in results if result is not None]
    dense_runs = [result for result in results if "dense_run" not in result.settings]
    for ticket in results:
        if "dense_run" not in ticket.settings or not attempt(ticket.path.name, lambda t=ticket: flags.asks_for(t)):
            continue
        pair = attempt(ticket.path.name, lambda t=ticket: (dense_of(t, dense_runs), t))
        key = pair and attempt(ticket.path.name, lambda p=pair: check(p, flags.gen_thresholds))
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
    return group_of(pair[1]), int(pair[1].settings["config"]["seed"]), json.dumps(pair[1].settings["identity"])


def dense_of(ticket: Result, dense_runs: list[Result]) -> Result:
    """The dense run of a ticket, by the identity that it stored: below the same root, else at the path that it stored."""
    stored, wanted = Path(ticket.settings["dense_run"]), ticket.settings["identity"]["dense"]
    found = [run for run in dense_runs if run.settings.get("identity") == wanted]
    if not found and (stored / "summary.json").exists():
        found = [run for run in [read_result(stored)] if run.settings.get("identity") == wanted]
    if not found:
        is_there = (stored / "config.json").exists()
        reason = "holds another run, or is not finished" if is_there else "is not there"
        raise UserError(f"its dense run {stored} {reason}")
    return next((run for run in found if run.path.name == stored.name), found[0])


def group_of(ticket: Result) -> str:
    """A ticket's settings without its seed; and without the epoch of its mask, where that is found anew for each seed."""
    identity, config = ticket.settings["identity"], ticket.settings["config"]
    dense = {name: value for name, value in identity["dense"].items() if name != "seed"}
    mask = dict(identity["mask"] or {})
    if mask and config.get(f"{config['prune_at']}_epoch") == "auto":
        mask["epoch"] = f"auto {config['prune_at']}"
    return json.dumps([identity["kind"], dense, mask, identity["retraining"]], sort_keys=True)


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


def standing_of(pair: Pair) -> str:
    """The worse of what the code of now is to a ticket and to its dense run."""
    states = set()
    for run in pair:
        try:
            states.add(standing(run.settings, config_from_json(run.settings, run.path / "config.json")))
        except UserError:  # the config of another version
            states.add("unknown")
    return worst(states)


def body(argv: list[str] | None) -> None:
    flags = parse_flags(Flags, argv, prog="report.py", description=__doc__)
    pairs, left_out = find_pairs(flags)
    for reason in left_out:
        print(f"left out: {reason}", file=sys.stderr)
    if not pairs:
        asked = f"kind {flags.kind or 'any'}, name {flags.tickets}, seed {flags.seeds or 'any'}"
        raise UserError(
            f"below {flags.root} is no finished ticket of {asked} beside its dense run; python main.py makes one"
        )
    codes = {pair[1].path: tuple(run.settings.get("code") for run in pair) for pair in pairs}
    kept = same_code({pair[1].path: (standing_of(pair), codes[pair[1].path]) for pair in pairs})
    pairs = [pair for pair in pairs if pair[1].path in kept]
    head = ["ticket", "seed"]
    for threshold in flags.gen_thresholds:
        head += [
            f"dense t_gen (test acc >= {threshold:g})",
            f"ticket t_gen (>= {threshold:g})",
            f"speedup (>= {threshold:g})",
        ]
    head += ["dense best test acc", "ticket best test acc", "kept", "minutes"]
    text = table(head, rows_of(pairs, flags.gen_thresholds))
    print(text + (f"\n{UNSTABLE}" if "unstable" in text else ""))
    if flags.csv:
        rows = [numbers_of(pair, flags.gen_thresholds) for pair in pairs]
        flags.csv.parent.mkdir(parents=True, exist_ok=True)
        with flags.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def main(argv: list[str] | None = None) -> int:
    return run_script(lambda: body(argv))


if __name__ == "__main__":
    sys.exit(main())
