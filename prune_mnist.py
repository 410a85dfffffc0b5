"""Make a ticket from a dense run on MNIST: take the mask, rewind to the init, retrain.

The dense run is found by its settings, which the plain flags describe; it is not trained here.
"""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while the imports below run ends without a traceback

import sys

from common.errors import run_script
from prune import prune


def main(argv: list[str] | None = None) -> int:
    return run_script(lambda: prune(argv, "prune_mnist.py", __doc__, "mnist"))


if __name__ == "__main__":
    sys.exit(main())
