"""Tables over seeds from the finished runs below a root: every ticket beside its dense run.

    python report.py --root runs
    python report.py --root runs --gen_thresholds 0.5 0.8 0.85 --kind mnist --csv assets/results/mnist.csv

t_gen is the first recorded epoch with test accuracy at or above a threshold. A run that never gets there is censored,
"> last epoch", and counts as later than all others in a median.
"""

import argparse
import csv
import json
import sys
from pathlib import Path

from configs.ticket import TICKET
from errors import UserError, run_script
from tables import Result, epoch_text, median_and_range, median_text, read_result, speedup, table


def find_pairs(root: Path, kind: str | None, tickets: str = "*") -> list[tuple[Result, Result]]:
    """Every finished ticket below ``root`` whose name matches, with its dense run, in order of kind, mask and seed."""
    finished = {
        path.parent.name: read_result(path.parent)
        for path in sorted(root.glob("*/summary.json"))
        if ".old" not in path.parent.name
    }
    pairs = []
    for ticket in finished.values():
        dense = finished.get(Path(ticket.settings.get("dense_run", "")).name)
        if dense is not None and kind in (None, ticket.settings["kind"]) and ticket.path.match(tickets):
            pairs.append((dense, ticket))
    return sorted(pairs, key=lambda pair: (group_of(pair[1]), pair[1].settings["config"]["seed"]))


def group_of(ticket: Result) -> str:
    """A ticket's settings without its seed; and without the epoch of its mask, where prune_at names a stage."""
    identity, config = ticket.settings["identity"], ticket.settings["config"]
    dense = {name: value for name, value in identity["dense"].items() if name != "seed"}
    mask = dict(identity["mask"] or {})
    if not config["prune_at"].isdecimal():
        mask["epoch"] = config["prune_at"]
    return json.dumps([identity["kind"], dense, mask, identity["retraining"]], sort_keys=True)


def label_of(ticket: Result) -> str:
    """A ticket's name without its seed, and how it ended if that was before its end."""
    status = ticket.summary["status"]
    name = ticket.path.name.replace(f"_seed{ticket.settings['config']['seed']}", "", 1)
    return name if status == "completed" else f"{name} ({status})"


def rows_of(pairs: list[tuple[Result, Result]], thresholds: list[float]) -> list[list[str]]:
    """The table's rows: one for each seed, then one with the median over seeds where there are several."""
    rows = []
    for group in dict.fromkeys(group_of(ticket) for _, ticket in pairs):
        members = [pair for pair in pairs if group_of(pair[1]) == group]
        labels = [label_of(ticket) for _, ticket in members]
        reached = {
            threshold: [[run.reached("test_acc", threshold) for run in pair] for pair in members]
            for threshold in thresholds
        }
        for number, (dense, ticket) in enumerate(members):
            row = [labels[number], str(ticket.settings["config"]["seed"])]
            for threshold in thresholds:
                slow, fast = reached[threshold][number]
                row += [
                    epoch_text(slow, dense.last_epoch),
                    epoch_text(fast, ticket.last_epoch),
                    speedup(slow, fast, dense.last_epoch),
                ]
            row += [median_text([run.summary["best_test_acc"]]) for run in (dense, ticket)]
            row += [
                f"{ticket.summary['weights_kept']:,}",
                f"{(dense.summary['seconds'] + ticket.summary['seconds']) / 60:.1f}",
            ]
            rows.append(row)
        if len(members) > 1:
            row = [labels[0] if len(set(labels)) == 1 else f"{labels[0]} and the like", "median (range)"]
            for threshold in thresholds:
                for side in (0, 1):
                    epochs = [times[side] for times in reached[threshold]]
                    row.append("{} ({})".format(*median_and_range(epochs, [pair[side].last_epoch for pair in members])))
                row.append("")
            rows.append([*row, "", "", "", ""])
    return rows


def body(argv: list[str] | None) -> None:
    parser = argparse.ArgumentParser(
        prog="report.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--root", type=Path, default=Path("runs"), help="folder that holds the run folders (default: runs)"
    )
    parser.add_argument("--kind", choices=tuple(TICKET), help="only runs of this kind: mlp, transformer, mnist")
    parser.add_argument(
        "--tickets", default="*", metavar="PATTERN", help="only tickets whose folder's name is like this: '*_at28000'"
    )
    parser.add_argument("--seeds", type=int, nargs="+", help="only these seeds")
    parser.add_argument(
        "--gen_thresholds", type=float, nargs="+", default=[0.90, 0.95], help="test accuracies (default: 0.9 0.95)"
    )
    parser.add_argument("--csv", type=Path, help="also write the table to this file")
    args = parser.parse_args(argv)
    if not all(0 < threshold <= 1 for threshold in args.gen_thresholds):
        raise UserError("--gen_thresholds are test accuracies, above 0 and at most 1")
    if not args.tickets:
        raise UserError("--tickets is empty; leave it out, or give a pattern")
    pairs = find_pairs(args.root, args.kind, args.tickets)
    if args.seeds is not None:
        pairs = [pair for pair in pairs if pair[1].settings["config"]["seed"] in args.seeds]
    if not pairs:
        asked = f"kind {args.kind or 'any'}, name {args.tickets}, seed {args.seeds or 'any'}"
        raise UserError(
            f"below {args.root} is no finished ticket of {asked} beside its dense run; python main.py makes one"
        )
    head = ["ticket", "seed"]
    for threshold in args.gen_thresholds:
        head += [
            f"dense t_gen (test acc >= {threshold:g})",
            f"ticket t_gen (>= {threshold:g})",
            f"speedup (>= {threshold:g})",
        ]
    head += ["dense best test acc", "ticket best test acc", "kept", "minutes"]
    rows = rows_of(pairs, args.gen_thresholds)
    print(table(head, rows))
    if args.csv:
        args.csv.parent.mkdir(parents=True, exist_ok=True)
        with args.csv.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([head, *rows])


def main(argv: list[str] | None = None) -> int:
    return run_script(lambda: body(argv))


if __name__ == "__main__":
    sys.exit(main())
