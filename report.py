"""A table over seeds from the finished runs below a root: every ticket beside its dense run.

    python report.py --root runs
    python report.py --root runs --gen_thresholds 0.5 0.8 0.85 --kind mnist --csv mnist.csv

t_gen is explained in training/generalization.py. A run that has none is censored, and counts in a median as later than it is known
for. The table shows the last of the thresholds; --csv holds all that is known.
"""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while the imports below run ends without a traceback

import sys
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated

from common.errors import UserError, run_script
from common.ranges import Range, check_fields
from configs.flags import parse_flags
from reporting.columns import median_of, pair_columns
from reporting.results import read_results, write_csv
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
        for name in ("seeds", "gen_thresholds", "tickets"):
            if getattr(self, name) in ((), ""):
                raise UserError(f"--{name} is empty; leave it out, or give at least one")


def run(argv: list[str] | None) -> None:
    flags = parse_flags(Flags, argv, prog="report.py", description=__doc__)
    results = read_results(flags.root, flags.gen_thresholds)
    is_asked = results.filter(["dense run"]).notna().any(axis="columns")  # which tickets have
    is_asked &= results["run"].map(lambda name: fnmatch(name, flags.tickets))
    if flags.seeds:
        is_asked &= results["seed"].isin(flags.seeds)
    if flags.kind:
        is_asked &= results["kind"] == flags.kind
    results = results[is_asked]
    if results.empty:
        asked = f"kind {flags.kind or 'any'}, name {flags.tickets}, seed {flags.seeds or 'any'}"
        raise UserError(f"below {flags.root} is no finished ticket of {asked}; python main.py makes one")
    threshold = flags.gen_thresholds[-1]
    heads = "dense t_gen", "ticket t_gen", f"speedup (>= {threshold:g})"
    columns = dict(zip(heads, pair_columns(threshold).values(), strict=True))
    columns |= median_of("final_test_acc", 3, "final acc") | median_of("weights_kept", 0, "kept")
    print(with_legend(pairs_table(results, columns | median_of("seconds", 0), threshold)))
    if flags.csv:
        write_csv(results, flags.csv)


def main(argv: list[str] | None = None) -> int:
    return run_script(lambda: run(argv))


if __name__ == "__main__":
    sys.exit(main())
