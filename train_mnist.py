"""Train a dense network on 1,000 MNIST images until it groks."""

import sys

from errors import run_script
from train import body


def main(argv: list[str] | None = None) -> int:
    return run_script(lambda: body(argv, "train_mnist.py", __doc__, "configs/config_mnist.py"))


if __name__ == "__main__":
    sys.exit(main())
