"""The whole story in one command: dense run -> ticket -> retrained ticket -> comparison.

Stages are idempotent: what is finished is reused, so a loop over pruning rates trains the dense network once.
"""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while the imports below run ends without a traceback

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from common.errors import run_script
from configs.load import ScriptFlags, parse
from experiments.checkpoints import list_checkpoints
from experiments.commands import flags_of, module_of
from experiments.jobs import job_of, move_aside
from experiments.train_jobs import run_job
from figures.views import VIEWS
from prune import make_mask, retrain
from reporting.tables import print_results, read_result


@dataclass(frozen=True)
class Flags(ScriptFlags):
    """This script."""

    stage: Literal["all", "train_full", "prune", "retrain"] = "all"
    """train_full: the dense run. prune: the mask. retrain: the ticket. all: these, then the comparison."""


def say_next(config, dense: Path, ticket: Path) -> None:
    """Print commands to go on with."""
    if logged := [str(run / "wandb") for run in (dense, ticket) if (run / "wandb").exists()]:
        print(f"wandb         {', '.join(logged)}")
    can_be_shown = bool(list_checkpoints(ticket)) and config.kind in VIEWS
    if can_be_shown:
        print(f"""
Next: watch the neurons
    python visualize.py --grok_weight_path {dense / "final.pth"} --weight_folder {dense} \\
        --ticket_folder {ticket} --output_folder {ticket / "visualize"}""")
    if config.use_mask:
        described = f" --dense_run {dense}" if config.dense_run else flags_of(config.dense(), config.root)
        other = "generalization" if config.prune_at == "init" else "init"
        print(f"""{"or" if can_be_shown else "Next:"} another mask
    python main.py --config {module_of(config)}{described} --prune_at={other} --pruning_rate={config.pruning_rate:g}""")


def run(argv: list[str] | None) -> None:
    flags, config = parse(Flags, argv, prog="main.py", description=__doc__, default_config="configs/config_pruning.py")
    if flags.stage in ("all", "train_full"):
        job = job_of(config.dense())
        if flags.rerun:
            move_aside(job)
        dense = run_job(job)
        if flags.stage == "train_full":
            result = read_result(dense.path)
            print_results({"dense": result}, config.mem_threshold, config.gen_threshold)
            print(f"run folder: {dense.path}")
            if result.summary["status"] != "diverged":
                print("Next: python main.py --stage=prune, with the same flags")
            return
    job = make_mask(config, flags.rerun)
    if flags.stage == "prune":
        if job.mask is None:
            learned = (
                "scores are learned by --stage=retrain"
                if config.learn
                else "the dense init is retrained without a mask"
            )
            print(f"nothing to prune: {learned}")
        return
    say_next(config, *retrain(config, job))


def main(argv: list[str] | None = None) -> int:
    return run_script(lambda: run(argv))


if __name__ == "__main__":
    sys.exit(main())
