"""Tables over seeds from the finished runs below a root: every ticket beside its dense run.

    python report.py --root runs
    python report.py --root runs --gen_thresholds 0.5 0.8 0.85 --kind mnist --csv mnist.csv

t_gen is explained in training/generalization.py. A run that has none is censored, and counts in a median as later than it is known
for.
"""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while the imports below run ends without a traceback

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from common.errors import UserError, run_script
from common.ranges import Range, check_fields
from configs.flags import parse_flags
from reporting.columns import accuracy, median_of, pair_columns
from reporting.results import ACCURACIES, Levels, Result, frame, read_rows, write_csv
from reporting.tables import pairs_table, with_legend


@dataclass(frozen=True)
class Flags:
    """This script."""

    root: Path = Path("runs")
    """Folder that holds the run folders."""
    kind: str | None = None
    """Only runs of this kind, the first word of their names: mlp, transformer, mnist, or another model and task."""
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
        if self.seeds == () or not self.gen_thresholds:
            raise UserError(
                f"--{'gen_thresholds' if self.seeds != () else 'seeds'} is empty; leave it out, or give at least one"
            )
        if not self.tickets:
            raise UserError("--tickets is empty; leave it out, or give a pattern")

    def asks_for(self, ticket: Result) -> bool:
        is_of_seed = self.seeds is None or ticket.settings["config"].get("seed") in self.seeds
        is_of_kind = self.kind in (None, ticket.settings["kind"])
        return ticket.is_ticket and is_of_seed and is_of_kind and ticket.path.match(self.tickets)


def run(argv: list[str] | None) -> None:
    flags = parse_flags(Flags, argv, prog="report.py", description=__doc__)
    rows = read_rows(flags.root, Levels(flags.gen_thresholds), flags.asks_for)
    if not rows:
        asked = f"kind {flags.kind or 'any'}, name {flags.tickets}, seed {flags.seeds or 'any'}"
        raise UserError(
            f"below {flags.root} is no finished ticket of {asked} beside its dense run; python main.py makes one"
        )
    results = frame(rows)
    more = accuracy(ACCURACIES[1]) | accuracy(ACCURACIES[2]) | median_of("seconds", 0) | median_of("weights_kept", 0)
    columns = pair_columns(flags.gen_thresholds, more)
    print(with_legend(pairs_table(results, columns, flags.gen_thresholds[-1])))
    if flags.csv:
        write_csv(results, flags.csv)


def main(argv: list[str] | None = None) -> int:
    return run_script(lambda: run(argv))


if __name__ == "__main__":
    sys.exit(main())
