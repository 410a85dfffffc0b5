"""Make a ticket from a dense run on modular arithmetic, or on data of your own: take the mask, rewind to the init, retrain.

The dense run is found by its settings, which the plain flags describe; it is not trained here.
"""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while the imports below run ends without a traceback

import sys
from pathlib import Path

from common.errors import UserError, run_script
from configs.load import ScriptFlags, parse
from experiments.jobs import Job, job_of, move_aside, save_mask
from experiments.parents import require
from experiments.train_jobs import run_job
from figures.curves import plot_comparison
from reporting.tables import matrices_table, print_results, read_result, speedup_text


def make_mask(config, rerun: bool) -> Job:
    """Take a ticket's mask and save it, after the iterations before are trained; gives the retraining that is to be done."""
    for parent in config.parents():
        if parent.parents():
            run_job(make_mask(parent, rerun=False))
    job = job_of(config, renews=rerun)
    if rerun:
        move_aside(job)
    if job.mask is not None:
        save_mask(job)
    return job


def retrain(config, job: Job) -> tuple[Path, Path]:
    """Retrain a ticket unless that is done, compare it with its dense run; gives the folders of both."""
    dense, ticket = read_result(require(config.dense(), config).path), read_result(run_job(job).path)
    label = config.control or ("ticket" if config.use_mask else "dense init, no mask")
    print()
    print_results({"dense": dense, label: ticket}, config.mem_threshold, config.gen_threshold)
    print()
    print(matrices_table(ticket.summary["kept_per_matrix"]))
    print()
    print(speedup_text(dense, ticket, config.gen_threshold))
    print(f"\nrun folders   {dense.path} (dense)\n              {ticket.path} (ticket)")
    picture = ticket.path / "comparison.png"
    try:
        runs = {
            name: (run.metrics, run.generalized(config.gen_threshold))
            for name, run in (("dense", dense), (label, ticket))
        }
        plot_comparison(runs, picture, config.gen_threshold)
        print(f"picture       {picture}")
    except UserError as error:  # nothing was recorded: it diverged at once
        print(f"no picture: {error}")
    return dense.path, ticket.path


def prune(argv: list[str] | None, prog: str, description: str, default_config: str) -> None:
    """Parse, prune, retrain unless that is done, and show what came out beside the dense run."""
    description += f"\n\nWithout --config: {default_config}"
    flags, config = parse(ScriptFlags, argv, prog=prog, description=description, default_config=default_config)
    retrain(config, make_mask(config, flags.rerun))


def main(argv: list[str] | None = None) -> int:
    return run_script(lambda: prune(argv, "prune.py", __doc__, "configs/config_pruning.py"))


if __name__ == "__main__":
    sys.exit(main())
