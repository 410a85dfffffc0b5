"""The whole story in one command: dense run -> ticket -> retrained ticket -> comparison.

Stages are idempotent: what is finished is reused, so a loop over pruning rates trains the dense network once.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from configs.load import ScriptFlags, parse
from errors import run_script
from experiment import dense_job, flags_of, move_aside, require_dense, save_mask, ticket_job
from figures import plot_comparison
from runner import run_job
from tables import matrices_table, read_result, results_table, speedup_text

DATASETS = {"modular_addition": "configs/config_pruning.py", "mnist": "configs/config_pruning_mnist.py"}


@dataclass(frozen=True)
class Flags(ScriptFlags):
    """This script."""

    dataset: Literal["modular_addition", "mnist"] = "modular_addition"
    """Picks the default config module; --config overrides it."""
    stage: Literal["all", "train_full", "prune", "retrain"] = "all"
    """train_full: the dense run. prune: the mask. retrain: the ticket. all: these, then the comparison."""


def compare(config, dense_path: Path, ticket_path: Path) -> None:
    """Print the tables and draw the picture of a dense run and its ticket."""
    dense, ticket = read_result(dense_path), read_result(ticket_path)
    picture = ticket_path / "comparison.png"
    label = "ticket" if config.use_mask else "dense init, no mask"
    plot_comparison({"dense": dense_path, label: ticket_path}, picture, config.gen_threshold)
    print()
    print(results_table({"dense": dense, label: ticket}, config.mem_threshold, config.gen_threshold))
    print()
    print(matrices_table(ticket.summary["kept_per_matrix"]))
    print()
    print(speedup_text(dense, ticket, config.gen_threshold))
    print(f"""
run folders   {dense_path} (dense)
              {ticket_path} (ticket)
picture       {picture}
wandb         {dense_path / "wandb"}, {ticket_path / "wandb"}

Next: watch the neurons
    python visualize.py --grok_weight_path {dense_path / "final.pth"} --weight_folder {dense_path} \\
        --ticket_folder {ticket_path} --output_folder {ticket_path / "visualize"}
or another mask
    python main.py --config {config.module}{flags_of(config, config.root)} --prune_at=init --pruning_rate={config.pruning_rate:g}""")


def body(argv: list[str] | None) -> None:
    flags, config = parse(
        Flags,
        argv,
        prog="main.py",
        description=__doc__,
        default_config=lambda given: DATASETS.get(given["dataset"], DATASETS["modular_addition"]),
    )
    if flags.stage in ("all", "train_full"):
        job = dense_job(config)
        if flags.rerun:
            move_aside(job)
        dense = run_job(job)
        if flags.stage == "train_full":
            print(results_table({"dense": read_result(dense.path)}, config.mem_threshold, config.gen_threshold))
            print(f"run folder: {dense.path}\nNext: python main.py --stage=prune, with the same flags")
            return
    job = ticket_job(config)
    if flags.rerun:
        move_aside(job)
    if job.mask is not None:
        save_mask(job)
    elif flags.stage == "prune":
        print("nothing to prune: --use_mask=False retrains the dense init without a mask")
    if flags.stage == "prune":
        return
    ticket = run_job(job)
    compare(config, require_dense(config).path, ticket.path)


def main(argv: list[str] | None = None) -> int:
    return run_script(lambda: body(argv))


if __name__ == "__main__":
    sys.exit(main())
