"""Train a dense network on 1,000 MNIST images until it groks."""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while the imports below run ends without a traceback

import sys

from common.errors import run_script
from train import train


def main(argv: list[str] | None = None) -> int:
    return run_script(lambda: train(argv, "train_mnist.py", __doc__, "mnist"))


if __name__ == "__main__":
    sys.exit(main())
