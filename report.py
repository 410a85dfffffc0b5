"""Tables over seeds from the finished runs below a root: every ticket beside its dense run.

    python report.py --root runs
    python report.py --root runs --gen_thresholds 0.5 0.8 0.85 --kind mnist --csv assets/results/mnist.csv

t_gen is explained in training/generalization.py. A run that has none is censored, and counts in a median as later than it is known
for.
"""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while the imports below run ends without a traceback

import csv
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from common.errors import UserError, run_script
from common.ranges import Range, check_fields
from configs.load import parse_flags
from configs.paper import EXPERIMENTS
from experiments.code_state import same_code
from reporting.pairs import find_pairs, numbers_of, rows_of, standing_of
from reporting.tables import (
    Result,
    table,
    with_legend,
)


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
        if self.kind not in (None, *EXPERIMENTS):
            raise UserError(f"kind must be one of {', '.join(EXPERIMENTS)}, not {self.kind!r}")
        if self.seeds == () or not self.gen_thresholds:
            raise UserError(
                f"--{'gen_thresholds' if self.seeds != () else 'seeds'} is empty; leave it out, or give at least one"
            )
        if not self.tickets:
            raise UserError("--tickets is empty; leave it out, or give a pattern")

    def asks_for(self, ticket: Result) -> bool:
        is_of_seed = self.seeds is None or ticket.settings["config"].get("seed") in self.seeds
        return is_of_seed and self.kind in (None, ticket.settings["kind"]) and ticket.path.match(self.tickets)


def body(argv: list[str] | None) -> None:
    flags = parse_flags(Flags, argv, prog="report.py", description=__doc__)
    pairs, left_out = find_pairs(flags.root, flags.asks_for, flags.gen_thresholds)
    for reason in left_out:
        print(f"left out: {reason}", file=sys.stderr)
    if not pairs:
        asked = f"kind {flags.kind or 'any'}, name {flags.tickets}, seed {flags.seeds or 'any'}"
        raise UserError(
            f"below {flags.root} is no finished ticket of {asked} beside its dense run; python main.py makes one"
        )
    kept = same_code({pair[1].path: standing_of(pair) for pair in pairs})
    pairs = [pair for pair in pairs if pair[1].path in kept]
    head = ["ticket", "seed"]
    for threshold in flags.gen_thresholds:
        head += [
            f"dense t_gen (test acc >= {threshold:g})",
            f"ticket t_gen (>= {threshold:g})",
            f"speedup (>= {threshold:g})",
        ]
    head += ["dense best test acc", "ticket best test acc", "kept", "minutes"]
    print(with_legend(table(head, rows_of(pairs, flags.gen_thresholds))))
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
