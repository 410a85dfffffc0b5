"""The whole story in one command: dense run -> ticket -> retrained ticket -> comparison.

Stages are idempotent: what is finished is reused, so a loop over pruning rates trains the dense network once.
"""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while the imports below run ends without a traceback

import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from common.errors import UserError, run_script
from configs.flags import ScriptFlags, parse
from configs.ticket import Ticket
from experiments.parents import folder_of
from experiments.reader import list_checkpoints, read_config
from experiments.trainer import train_one
from prune import compare, make_ticket
from train import train_dense


@dataclass(frozen=True)
class Flags(ScriptFlags):
    """This script."""

    stage: Literal["all", "train_full", "prune", "retrain"] = "all"
    """train_full: the dense run. prune: the mask. retrain: the ticket. all: these, then the comparison."""


def say_which_mask(config: Ticket) -> None:
    """Say so where --stage=prune made another mask last than the one that is retrained."""
    waiting = [path for path in Path(config.root).glob("*/mask.pth") if not (path.parent / "summary.json").exists()]
    last = max(waiting, key=lambda path: path.stat().st_mtime, default=None)
    with suppress(UserError):  # make_ticket says it
        own = folder_of(config).path
        if last is not None and last.parent != own:
            print(f"note: the mask made last is that of {last.parent.name}, and {own.name} is retrained")
            print("      to retrain the other one, give the flags that it was made with")


def say_next(config: Ticket, dense: Path, ticket: Path) -> None:
    """Print what to go on with."""
    if (logged := ticket.parent / "wandb").exists():
        print(f"wandb         {logged}")
    if list_checkpoints(ticket) and read_config(ticket)["shows"]:
        print(f"""
Next: watch the neurons
    python visualize.py --grok_weight_path {dense / "final.pth"} --weight_folder {dense} \\
        --ticket_folder {ticket} --output_folder {ticket / "visualize"}""")
    if config.use_mask and config.mask is None:
        other = "generalization" if config.prune_at == "init" else "init"
        print(f"Next: another mask, with the same command and --prune_at={other}, or another --pruning_rate")


def run(argv: list[str] | None) -> None:
    flags, config = parse(Flags, argv, "main.py", __doc__, needs_ticket=True, dataset="modular_addition")
    if flags.stage == "train_full":
        if train_dense(config, flags.rerun).summary["status"] != "diverged":
            print("Next: python main.py --stage=prune, with the same flags")
        return
    if flags.stage == "all":
        train_one(config.dense(), flags.rerun)
    if flags.stage == "retrain":
        say_which_mask(config)
    dense, ticket = make_ticket(config, flags.rerun, only_mask=flags.stage == "prune")
    if flags.stage != "prune":
        compare(config, dense, ticket)
        say_next(config, dense, ticket)
    elif (ticket / "mask.pth").exists():  # a control may train without one
        print(f"mask: {ticket / 'mask.pth'}")


def main(argv: list[str] | None = None) -> int:
    return run_script(lambda: run(argv))


if __name__ == "__main__":
    sys.exit(main())
