"""Train a dense network on modular arithmetic, or on data of your own (--dataset), until it groks."""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while the imports below run ends without a traceback

import sys

from common.errors import run_script
from configs.base import Dense
from configs.flags import ScriptFlags, parse
from experiments.trainer import train_one
from reporting.results import Result, read_result
from reporting.tables import print_results


def train_dense(config: Dense, rerun: bool) -> Result:
    """Train the dense run of a config unless that is done, and print what came out."""
    result = read_result(train_one(config.dense(), rerun).path)
    print_results({"dense": result}, config.mem_threshold, config.gen_threshold)
    print(f"run folder: {result.path}")
    return result


def train(argv: list[str] | None, prog: str, description: str, dataset: str) -> None:
    flags, config = parse(ScriptFlags, argv, prog, description, needs_ticket=False, dataset=dataset)
    train_dense(config, flags.rerun)


def main(argv: list[str] | None = None) -> int:
    return run_script(lambda: train(argv, "train.py", __doc__, "modular_addition"))


if __name__ == "__main__":
    sys.exit(main())
