"""The IDX files of MNIST -> tensors, or one clear reason why not.

IDX is a header of big-endian 4-byte integers, the magic number 0x800 + number of axes and the length of each axis, followed by
the bytes in row-major order (LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist).
"""

import gzip
import hashlib
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from common.errors import UserError

# name: (number of items, SHA-256 of the decompressed file). Labels first: a read-only folder shows at once.
OFFICIAL = {
    "train-labels-idx1-ubyte": (60_000, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    "t10k-labels-idx1-ubyte": (10_000, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    "train-images-idx3-ubyte": (60_000, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    "t10k-images-idx3-ubyte": (10_000, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
}
NUM_CLASSES = 10
IMAGE_SHAPE = (28, 28)
MAX_ITEMS = 60_000  # what a header may claim: it bounds the memory, 47 MB, that a file can take


def parse_idx(raw: BinaryIO, name: str, must_be_official: bool = False) -> Tensor:
    """The content of the file ``name``, plain or gzip-compressed; ValueError with the reason when it is damaged."""
    num_official, sha256 = OFFICIAL[name]
    item_shape = IMAGE_SHAPE if "images" in name else ()
    header_size = 8 + 4 * len(item_shape)
    # The content decides, not the name: some browsers and proxies unpack a .gz file and keep its name.
    is_gzip = raw.read(2) == b"\x1f\x8b"
    raw.seek(0)
    stream = gzip.GzipFile(fileobj=raw) if is_gzip else raw
    try:
        header = stream.read(header_size)
        if header.lstrip().startswith(b"<"):
            raise ValueError("it is a web page, not an IDX file")
        if len(header) < header_size:
            raise ValueError(f"it ends inside its header, after {len(header)} bytes")
        magic, num_items, *shape = struct.unpack(f">{header_size // 4}I", header)
        if magic != 0x801 + len(item_shape):
            raise ValueError(f"it is not such an IDX file: magic number {magic}, not {0x801 + len(item_shape)}")
        if tuple(shape) != item_shape:
            raise ValueError(f"its header says {' x '.join(map(str, shape))} pixels, not 28 x 28")
        if not 1 <= num_items <= MAX_ITEMS:
            raise ValueError(f"its header says {num_items} items, not 1 to {MAX_ITEMS}")
        size = num_items * math.prod(item_shape)
        # One byte more than promised: shows a file that is too long, reaches the checksum at the end of the gzip data
        # and never unpacks more, whatever the file could expand to.
        body = bytearray(stream.read(size + 1))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"its gzip data are damaged ({error})") from error
    if len(body) != size:
        found = f"only {len(body)}" if len(body) < size else "more"
        raise ValueError(f"its header promises {size} bytes for {num_items} items, and there are {found}")
    if must_be_official or num_items == num_official:
        digest = hashlib.sha256(header)
        digest.update(body)
        if digest.hexdigest() != sha256:
            raise ValueError(f"its content is not that of MNIST's {name} (SHA-256 differs)")
    items = torch.frombuffer(body, dtype=torch.uint8).reshape(num_items, *item_shape)
    if not item_shape and items.max() >= NUM_CLASSES:
        raise ValueError(f"it has a label {items.max().item()}, above {NUM_CLASSES - 1}")
    return items


def read_idx(path: str | Path, name: str) -> Tensor:
    """Read the file at ``path``, plain or gzip-compressed, as the MNIST file ``name`` (a key of ``OFFICIAL``).

    Returns uint8 images ``(n, 28, 28)``, 0 to 255, or labels ``(n,)``, 0 to 9. Any n from 1 to 60,000 is accepted, but
    a file with the official number of items must have the official content. Raises UserError when the file is damaged.
    """
    try:
        with open(path, "rb") as raw:
            return parse_idx(raw, name)
    except ValueError as error:
        mend = "delete it and run again to download it, or put an intact copy in its place"
        raise UserError(f"{path} cannot be read: {error}; {mend}") from error
