"""Make a ticket from a dense run: take its mask, put the weights that are left back to the init, and train them again.

The dense run is found by its settings, which the plain flags describe; it is not trained here.
"""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while the imports below run ends without a traceback

import sys
from pathlib import Path

from common.errors import UserError, run_script
from configs.base import is_cut
from configs.flags import ScriptFlags, parse
from configs.ticket import Ticket
from experiments.ingredients import gather
from experiments.parents import require
from experiments.tell import mask_lines
from experiments.trainer import hold, train_in
from figures.curves import plot_comparison
from reporting.tables import matrices_table, print_results, read_result, speedup_text


def make_ticket(config: Ticket, rerun: bool = False, only_mask: bool = False) -> tuple[Path, Path]:
    """From a finished dense run to its ticket, trained, or its mask alone; gives the folders of both."""
    if config.mask is None and isinstance(config.mask_from(), Ticket):
        make_ticket(config.mask_from())  # the iteration before this one
    dense = require(config.dense(), config)
    with hold(config, rerun) as folder:  # nobody else makes this ticket meanwhile
        made = gather(config)  # the mask, from the dense run's weights and data; and the start, as a rule its init
        print(*mask_lines(config, made), sep="\n")
        ticket = train_in(folder, made, only_mask)
    return dense.path, ticket.path


def compare(config: Ticket, dense_folder: Path, ticket_folder: Path) -> None:
    """Print what came out of a ticket beside its dense run, and draw the curves of both."""
    dense, ticket = read_result(dense_folder), read_result(ticket_folder)
    label = config.as_dict()["control"] or ("ticket" if config.use_mask else "dense init, no mask")
    runs, threshold = {"dense": dense, label: ticket}, config.gen_threshold
    print()
    print_results(runs, config.mem_threshold, threshold)
    print(f"\n{matrices_table(ticket.summary['kept_per_matrix'])}\n\n{speedup_text(dense, ticket, threshold)}")
    print(f"\nrun folders   {dense.path} (dense)\n              {ticket.path} (ticket)")
    if any(is_cut(run.path.name) for run in (dense, ticket)):
        print("              in a name that long a hash stands for its middle; config.json says every setting")
    picture = ticket.path / "comparison.png"
    try:
        curves = {name: (run.metrics, run.generalized(threshold)) for name, run in runs.items()}
        plot_comparison(curves, picture, threshold)
        print(f"picture       {picture}")
    except UserError as error:  # nothing was recorded: it diverged at once
        print(f"no picture: {error}")


def prune(argv: list[str] | None, prog: str, description: str, dataset: str) -> None:
    flags, config = parse(ScriptFlags, argv, prog, description, needs_ticket=True, dataset=dataset)
    compare(config, *make_ticket(config, flags.rerun))


def main(argv: list[str] | None = None) -> int:
    return run_script(lambda: prune(argv, "prune.py", __doc__, "modular_addition"))


if __name__ == "__main__":
    sys.exit(main())
