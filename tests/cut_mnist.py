"""Cut the first images of each MNIST file into small .gz files for the tests.

    python tests/cut_mnist.py --source ../shared/mnist --output tests/fixtures/mnist

The cut keeps the file names and the order: image i of a cut is image i of the full file.
"""

import argparse
import gzip
import struct
from pathlib import Path


def cut(content: bytes, num_items: int) -> bytes:
    """The IDX file ``content`` (decompressed), shortened to its first ``num_items`` items."""
    num_axes = content[3]
    shape = struct.unpack_from(f">{num_axes}I", content, 4)
    if not 1 <= num_items <= shape[0]:
        raise SystemExit(f"cannot cut {num_items} items from a file of {shape[0]}")
    header_size = 4 + 4 * num_axes
    item_size = (len(content) - header_size) // shape[0]
    header = content[:4] + struct.pack(f">{num_axes}I", num_items, *shape[1:])
    return header + content[header_size : header_size + num_items * item_size]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True, help="folder with the four full .gz files")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "fixtures" / "mnist")
    parser.add_argument("--num_train", type=int, default=300, help="images kept of the training file")
    parser.add_argument("--num_test", type=int, default=200, help="images kept of the test file")
    args = parser.parse_args(argv)
    args.output.mkdir(parents=True, exist_ok=True)
    for part, num_items in (("train", args.num_train), ("t10k", args.num_test)):
        for kind in ("images-idx3", "labels-idx1"):
            name = f"{part}-{kind}-ubyte.gz"
            content = gzip.decompress((args.source / name).read_bytes())
            # mtime=0: the same bytes whenever it runs, so that git sees no change.
            (args.output / name).write_bytes(gzip.compress(cut(content, num_items), 9, mtime=0))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
