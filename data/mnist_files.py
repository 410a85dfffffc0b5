"""MNIST's four IDX files: find them, fetch those that are missing, and read them.

They (LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist) hold 60,000 training and 10,000 test images of 28 x 28
pixels, 0 (background) to 255, each with a label from 0 to 9. IDX is a header of big-endian 4-byte integers, the magic number
0x800 + number of axes and the length of each axis, followed by the bytes in row-major order.
"""

import gzip
import hashlib
import os
import struct
import urllib.request
import zlib
from functools import lru_cache
from http.client import HTTPException
from math import prod
from pathlib import Path

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
# Each is asked twice.
MIRRORS = 2 * ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
TIMEOUT = 10.0  # seconds, for connecting and for each read
DEFAULT_ROOT = Path(__file__).resolve().parent / "raw"


def parse_idx(content: bytes, name: str, must_be_official: bool = False) -> Tensor:
    """The items of an IDX file, plain or gzip: uint8 images ``(n, 28, 28)`` or labels ``(n,)``; ValueError where it is damaged."""
    if content[:2] == b"\x1f\x8b":  # some browsers and proxies unpack a .gz file and keep its name
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"its gzip data are damaged ({error})") from error
    shape = (28, 28) if "images" in name else ()
    start = 8 + 4 * len(shape)
    header, body = content[:start], bytearray(content[start:])
    num_items, rest = divmod(len(body), prod(shape))
    num_official, sha256 = OFFICIAL[name]
    wanted = struct.pack(f">{2 + len(shape)}I", 0x801 + len(shape), num_items, *shape)
    if rest or header != wanted or not 1 <= num_items <= num_official:
        raise ValueError(f"it begins with {header!r}, which is no header of {name} with {len(body)} bytes after it")
    if (must_be_official or num_items == num_official) and hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"its content is not that of MNIST's {name} (SHA-256 differs)")
    items = torch.frombuffer(body, dtype=torch.uint8).reshape(num_items, *shape)
    if not shape and items.max() >= NUM_CLASSES:
        raise ValueError(f"it has a label {items.max().item()}, above {NUM_CLASSES - 1}")
    return items


@lru_cache(maxsize=len(OFFICIAL))
def _read_once(path: Path, name: str, size: int, mtime_ns: int) -> Tensor:
    """``parse_idx`` of a file, once per process for an unchanged one: a ticket and its dense run decode it once."""
    try:
        return parse_idx(path.read_bytes(), name)
    except ValueError as error:
        mend = "delete it and run again to download it, or put an intact copy in its place"
        raise UserError(f"{path} cannot be read: {error}; {mend}") from error


def _find(root: Path, name: str) -> Path | None:
    """The file ``name`` under ``root``, in any of the usual spellings; torchvision keeps its files in MNIST/raw."""
    spellings = [spelling + end for spelling in (name, name.replace("-idx", ".idx")) for end in ("", ".gz")]
    candidates = [folder / spelling for folder in (root, root / "MNIST" / "raw") for spelling in spellings]
    return next((path for path in candidates if path.is_file()), None)


def _download(name: str, root: Path) -> None:
    """Put ``name`` into ``root``, once its content is verified. Raises UserError with what each mirror said where none has it."""
    failures = {}
    for url in (f"{mirror}{name}.gz" for mirror in MIRRORS):
        print(f"downloading {url}", flush=True)
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
                content = response.read()
            parse_idx(content, name, must_be_official=True)
        except (OSError, HTTPException, ValueError) as error:
            failures[url] = f"{url}: {' '.join((str(error) or type(error).__name__).split())}"
        else:
            root.mkdir(parents=True, exist_ok=True)
            return save_bytes(content, root / (f"{name}.gz" if content.startswith(b"\x1f\x8b") else name))
    missing = [f"{name}.gz" for name in OFFICIAL if _find(root, name) is None]
    raise UserError(
        f"MNIST is not complete in {root}, and the download failed ({'; '.join(failures.values())}); get {' '.join(missing)} and put "
        f"them into {root}, or set --data_root or MNIST_ROOT to where they are; to try it on a few of the images: "
        "--data_root tests/fixtures/mnist --train_size 100"
    )


def load_mnist(data_root: str | Path | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Read MNIST from ``data_root``, else from $MNIST_ROOT, else from data/raw; download what is missing there.

    Returns ``train_images (n, 28, 28)``, ``train_labels (n,)``, ``test_images (m, 28, 28)``, ``test_labels (m,)``, all uint8
    and shared within the process: not to be modified in place. Fewer images than MNIST has are taken. Raises UserError for files
    that are damaged, do not fit together, or cannot be downloaded.
    """
    root = Path(os.path.expanduser(data_root or os.environ.get("MNIST_ROOT") or DEFAULT_ROOT)).absolute()
    if root.exists() and not root.is_dir():
        raise UserError(f"the MNIST folder {root} is a file; give the folder that holds the four files")
    for name in OFFICIAL:
        if _find(root, name) is None:
            _download(name, root)
    loaded = []
    for names in [(f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte") for part in ("train", "t10k")]:
        paths = [_find(root, name) for name in names]
        images, labels = (
            _read_once(path, name, path.stat().st_size, path.stat().st_mtime_ns)
            for path, name in zip(paths, names, strict=True)
        )
        if len(images) != len(labels):
            raise UserError(
                f"in {root} are {len(images)} images and {len(labels)} labels, which do not belong together; delete "
                f"{' and '.join(names)} and run again to download them"
            )
        loaded += [images, labels]
    return tuple(loaded)
