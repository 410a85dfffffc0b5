"""Make a ticket from a dense run on modular arithmetic: take the mask, rewind to the init, retrain.

The dense run is found by its settings, which the plain flags describe; it is not trained here.
"""

import sys

from configs.load import ScriptFlags, parse
from errors import run_script
from experiment import move_aside, require_dense, save_mask, ticket_job
from runner import run_job
from tables import matrices_table, read_result, results_table, speedup_text


def body(argv: list[str] | None, prog: str, description: str, default_config: str) -> None:
    """Parse, prune, retrain unless that is done, and print what came out beside the dense run."""
    description += f"\n\nWithout --config: {default_config}"
    flags, config = parse(
        ScriptFlags, argv, prog=prog, description=description, default_config=lambda given: default_config
    )
    job = ticket_job(config)
    if flags.rerun:
        move_aside(job)
    if job.mask is not None:
        save_mask(job)
    folder = run_job(job)
    dense, ticket = read_result(require_dense(config).path), read_result(folder.path)
    print(matrices_table(ticket.summary["kept_per_matrix"]))
    label = "ticket" if config.use_mask else "dense init, no mask"
    print(results_table({"dense": dense, label: ticket}, config.mem_threshold, config.gen_threshold))
    print(speedup_text(dense, ticket, config.gen_threshold))
    print(f"run folders: {dense.path} (dense), {ticket.path} (ticket)")


def main(argv: list[str] | None = None) -> int:
    return run_script(lambda: body(argv, "prune.py", __doc__, "configs/config_pruning.py"))


if __name__ == "__main__":
    sys.exit(main())
