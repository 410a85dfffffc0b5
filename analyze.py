"""Why does a ticket work? Measures of a dense run beside its ticket at every saved epoch, as one table and pictures.

    python analyze.py --dense_run runs/<dense> --ticket_run runs/<ticket>
    python analyze.py --root runs --tickets '*_at28000'                    # every pair there is, for curves over seeds

Families of measures: fourier (which frequencies, how they are combined), structure (masks over time), graph (masks as graphs, beside
random ones), norms, gradients. Definitions are in measures/. Writes analysis.csv, a row a number, and pictures.
"""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while the imports below run ends without a traceback

import sys
from dataclasses import dataclass
from pathlib import Path

from common.errors import UserError, run_script
from common.ranges import check_fields
from configs.flags import parse_flags
from figures.measured import draw
from measures import FAMILIES
from measures.pairs import find_pairs, open_pair
from measures.table import analyze, comparisons, learned_table
from reporting.results import write_csv


@dataclass(frozen=True)
class Flags:
    """This script."""

    dense_run: Path | None = None
    """The dense run's folder."""
    ticket_run: Path | None = None
    """The ticket's folder."""
    root: Path | None = None
    """Instead of the two: a folder that holds run folders, of which every pair is taken."""
    tickets: str = "*"
    """Below root, only tickets whose folder's name is like this pattern."""
    measures: tuple[str, ...] = tuple(FAMILIES)
    """Families of measures."""
    output_folder: Path | None = None
    """Where table and pictures are written; None: analysis, in the ticket's folder or below root."""

    def __post_init__(self):
        check_fields(self, without=("dense_run", "ticket_run", "root", "output_folder"))
        unknown = [name for name in self.measures if name not in FAMILIES]
        if unknown or not self.measures:
            raise UserError(
                f"--measures: {', '.join(unknown) or 'none'} is no family; choose among {', '.join(FAMILIES)}"
            )
        if not self.tickets or (self.root is not None and not self.root.is_dir()):
            raise UserError(f"--root {self.root} is no folder, or --tickets is empty")
        if (self.root is None) == (self.dense_run is None) or (self.dense_run is None) != (self.ticket_run is None):
            raise UserError("give --dense_run and --ticket_run, or --root alone")


def run(argv: list[str] | None) -> None:
    flags = parse_flags(Flags, argv, prog="analyze.py", description=__doc__)
    if flags.root is None:
        pairs = [open_pair(flags.dense_run, flags.ticket_run)]
    else:
        pairs = find_pairs(flags.root, flags.tickets)
    output = flags.output_folder or (flags.root or flags.ticket_run) / "analysis"
    rows, pairs = analyze(pairs, list(dict.fromkeys(flags.measures)))
    write_csv(rows, output / "analysis.csv")
    print(f"wrote {output / 'analysis.csv'}: {len(rows):,} numbers")
    learned = comparisons(rows, pairs)
    if len(learned):
        write_csv(learned, output / "comparisons.csv")
        print(f"{learned_table(learned)}\nwrote {output / 'comparisons.csv'}: what two runs have learned, compared")
    for path in draw(rows, pairs, output):
        print(f"wrote {path}")


def main(argv: list[str] | None = None) -> int:
    return run_script(lambda: run(argv))


if __name__ == "__main__":
    sys.exit(main())
