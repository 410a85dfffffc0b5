"""MNIST's four IDX files: find them, fetch those that are missing, and read them.

They (LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist) hold 60,000 training and 10,000 test images of 28 x 28
pixels, 0 (background) to 255, each with a label from 0 to 9. IDX is a header of big-endian 4-byte integers, the magic number
0x800 + number of axes and the length of each axis, followed by the bytes in row-major order.
"""

import gzip
import hashlib
import io
import math
import os
import struct
import time
import urllib.request
import zlib
from functools import lru_cache
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from common.errors import UserError
from common.files import save_bytes

# name: (number of items, SHA-256 of the decompressed file). Labels first: a read-only folder shows at once.
OFFICIAL = {
    "train-labels-idx1-ubyte": (60_000, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    "t10k-labels-idx1-ubyte": (10_000, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    "train-images-idx3-ubyte": (60_000, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    "t10k-images-idx3-ubyte": (10_000, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
}
NUM_CLASSES = 10
MAX_ITEMS = 60_000  # what a header may claim: it bounds the memory, 47 MB, that a file can take
MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
DEFAULT_ROOT = Path(__file__).resolve().parent / "raw"
TIMEOUT = 10.0  # seconds, for connecting and for each read
ATTEMPTS, PAUSE = 3, 1.0  # how often each mirror is asked, and the seconds in between
MAX_DOWNLOAD = 48_000_000  # bytes; the largest official file has 47,040,016, uncompressed
MIN_RATE = 10_000  # bytes per second; a server that trickles never runs into the time-out of a single read


def _parse(file: BinaryIO, name: str, must_be_official: bool = False) -> Tensor:
    """The content of an IDX file, plain or gzip by its content; ValueError with the reason when it is damaged."""
    num_official, sha256 = OFFICIAL[name]
    shape = (28, 28) if "images" in name else ()
    magic = 0x801 + len(shape)
    is_gzip = file.read(2) == b"\x1f\x8b"  # some browsers and proxies unpack a .gz file and keep its name
    file.seek(0)
    stream = gzip.GzipFile(fileobj=file) if is_gzip else file
    try:
        header = stream.read(8 + 4 * len(shape))
        num_items = int.from_bytes(header[4:8], "big")
        if not 1 <= num_items <= MAX_ITEMS or header != struct.pack(f">{2 + len(shape)}I", magic, num_items, *shape):
            wanted = f"magic number {magic}, 1 to {MAX_ITEMS} items" + ", 28 x 28 pixels" * bool(shape)
            raise ValueError(f"it begins with {header!r}, which is not the header of this IDX file ({wanted})")
        size = num_items * math.prod(shape)
        # One byte more than promised: shows a file that is too long, reaches the checksum at the end of the gzip data
        # and never unpacks more, whatever the file could expand to.
        body = bytearray(stream.read(size + 1))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"its gzip data are damaged ({error})") from error
    if len(body) != size:
        found = f"only {len(body)}" if len(body) < size else "more"
        raise ValueError(f"its header promises {size} bytes for {num_items} items, and there are {found}")
    if (must_be_official or num_items == num_official) and hashlib.sha256(header + body).hexdigest() != sha256:
        raise ValueError(f"its content is not that of MNIST's {name} (SHA-256 differs)")
    items = torch.frombuffer(body, dtype=torch.uint8).reshape(num_items, *shape)
    if not shape and items.max() >= NUM_CLASSES:
        raise ValueError(f"it has a label {items.max().item()}, above {NUM_CLASSES - 1}")
    return items


def read_idx(path: str | Path, name: str) -> Tensor:
    """The file at ``path``, plain or gzip, as the MNIST file ``name``: uint8 images ``(n, 28, 28)`` or labels ``(n,)``.

    Any n from 1 to 60,000 is accepted, but a file with the official number of items must have the official content.
    """
    try:
        with open(path, "rb") as file:
            return _parse(file, name)
    except ValueError as error:
        mend = "delete it and run again to download it, or put an intact copy in its place"
        raise UserError(f"{path} cannot be read: {error}; {mend}") from error


@lru_cache(maxsize=len(OFFICIAL))
def _read_once(path: Path, name: str, size: int, mtime_ns: int) -> Tensor:
    """``read_idx``, once per process for an unchanged file: a ticket and its dense run decode it once."""
    return read_idx(path, name)


def _find(root: Path, name: str) -> Path | None:
    """The file ``name`` under ``root``, in any of the usual spellings; torchvision keeps its files in MNIST/raw."""
    spellings = (name, f"{name}.gz", name.replace("-idx", ".idx"), name.replace("-idx", ".idx") + ".gz")
    candidates = (folder / spelling for folder in (root, root / "MNIST" / "raw") for spelling in spellings)
    return next((path for path in candidates if path.is_file()), None)


def _fetch(url: str, name: str) -> bytearray:
    """The verified bytes at ``url``. Raises OSError, HTTPException, or ValueError when they are not MNIST's."""
    content, start = bytearray(), time.monotonic()
    with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
        # read1 returns what has arrived; read would wait, without end, for a server that sends a byte now and then.
        while chunk := response.read1(1 << 16):
            content += chunk
            seconds = time.monotonic() - start
            if len(content) > MAX_DOWNLOAD:
                raise ValueError(f"it is longer than {MAX_DOWNLOAD} bytes")
            if seconds > TIMEOUT and len(content) < MIN_RATE * seconds:
                raise TimeoutError(f"slower than {MIN_RATE} bytes per second")
    _parse(io.BytesIO(content), name, must_be_official=True)
    return content


def _download(name: str, root: Path) -> list[str]:
    """Put ``name`` into ``root``; returns why each mirror failed, nothing when the file is there.

    The download, at most 10 MB, stays in memory until it is verified, so even a killed process leaves nothing behind.
    """
    failures = []
    for mirror in MIRRORS:
        url = f"{mirror.rstrip('/')}/{name}.gz"
        print(f"downloading {url}", flush=True)
        for attempt in range(ATTEMPTS):
            time.sleep(PAUSE if attempt else 0)
            try:
                content = _fetch(url, name)
            except (OSError, HTTPException, ValueError) as error:
                reason = " ".join((str(error) or type(error).__name__).split())
                if 400 <= getattr(error, "code", 0) < 500:  # asking again gives the same answer
                    break
            else:
                root.mkdir(parents=True, exist_ok=True)
                save_bytes(content, root / (f"{name}.gz" if content.startswith(b"\x1f\x8b") else name))
                return []
        failures.append(f"{url}: {reason}")
    return failures or ["no mirror given"]


def load_mnist(data_root: str | Path | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Read MNIST from ``data_root``, else from $MNIST_ROOT, else from data/raw; download what is missing there.

    Returns ``train_images (n, 28, 28)``, ``train_labels (n,)``, ``test_images (m, 28, 28)``, ``test_labels (m,)``, all uint8
    and shared within the process: not to be modified in place. Raises UserError for files that are damaged, do not fit
    together, or cannot be downloaded.
    """
    root = Path(data_root or os.environ.get("MNIST_ROOT") or DEFAULT_ROOT).expanduser().absolute()
    if root.exists() and not root.is_dir():
        raise UserError(f"the MNIST folder {root} is a file; give the folder that holds the four files")
    missing = [name for name in OFFICIAL if _find(root, name) is None]
    while missing:
        if failures := _download(missing[0], root):
            raise UserError(
                f"MNIST is not complete in {root}: {', '.join(missing)} missing, and the download failed "
                f"({'; '.join(failures)}); get {' '.join(f'{name}.gz' for name in missing)} from "
                f"{' or '.join(MIRRORS)} and put them into {root}, or set --data_root or MNIST_ROOT to where they are"
            )
        del missing[0]
    loaded = []
    for part in ("train", "t10k"):
        names = f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"
        paths = [_find(root, name) for name in names]
        stats = [path.stat() for path in paths]
        sizes, times = [stat.st_size for stat in stats], [stat.st_mtime_ns for stat in stats]
        images, labels = map(_read_once, paths, names, sizes, times)
        if len(images) != len(labels):
            raise UserError(
                f"{paths[0]} has {len(images)} images and {paths[1]} has {len(labels)} labels: they do not belong "
                "together; delete both and run again to download them"
            )
        loaded += [images, labels]
    return tuple(loaded)
