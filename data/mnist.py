"""MNIST: find its four IDX files, fetch those that are missing, and draw a small training set.

They (LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist) hold 60,000 training and 10,000 test images of 28 x 28
pixels, 0 (background) to 255, each with a label from 0 to 9.
"""

import http.client
import io
import os
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from common.errors import UserError
from common.randomness import generator
from common.ranges import Count
from data.idx import NUM_CLASSES, OFFICIAL, parse_idx, read_idx
from data.split import Split
from data.task import Task

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
DEFAULT_ROOT = Path(__file__).resolve().parent / "raw"
MAX_DOWNLOAD = 48_000_000  # bytes; the largest official file has 47,040,016, uncompressed
MIN_RATE = 10_000  # bytes per second; a server that trickles never runs into the time-out of a single read


@lru_cache(maxsize=len(OFFICIAL))
def _read_once(path: Path, name: str, size: int, mtime_ns: int) -> Tensor:
    """``read_idx``, once per process for an unchanged file: a ticket and its dense run decode it once."""
    return read_idx(path, name)


def _find(root: Path, name: str) -> Path | None:
    """The file ``name`` under ``root``, in any of the usual spellings; torchvision keeps its files in MNIST/raw."""
    spellings = (name, f"{name}.gz", name.replace("-idx", ".idx"), name.replace("-idx", ".idx") + ".gz")
    candidates = (folder / spelling for folder in (root, root / "MNIST" / "raw") for spelling in spellings)
    return next((path for path in candidates if path.is_file()), None)


def _fetch(url: str, name: str, timeout: float) -> bytearray:
    """The verified bytes at ``url``. Raises OSError, HTTPException, or ValueError when they are not MNIST's."""
    blob, start = bytearray(), time.monotonic()
    with (
        urllib.request.urlopen(url, timeout=timeout) as response,
        tqdm(total=response.length, desc=name, unit="B", unit_scale=True, leave=False, disable=None) as bar,
    ):
        # read1 returns what has arrived; read would wait, without end, for a server that sends a byte now and then.
        while chunk := response.read1(1 << 16):
            blob += chunk
            bar.update(len(chunk))
            seconds = time.monotonic() - start
            if len(blob) > MAX_DOWNLOAD:
                raise ValueError(f"it is longer than {MAX_DOWNLOAD} bytes")
            if seconds > timeout and len(blob) < MIN_RATE * seconds:
                raise TimeoutError(f"slower than {MIN_RATE} bytes per second")
    parse_idx(io.BytesIO(blob), name, must_be_official=True)
    return blob


def _save(blob: bytearray, path: Path) -> None:
    """Write ``path`` whole or not at all, also with several processes doing the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(blob)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _download(name: str, root: Path, mirrors: Sequence[str], timeout: float, attempts: int, pause: float) -> list[str]:
    """Put ``name`` into ``root``. Returns why each mirror failed, or an empty list when the file is there.

    The download, at most 10 MB, stays in memory until it is verified, so even a killed process leaves nothing behind.
    """
    failures = []
    for mirror in mirrors:
        url, reason = f"{mirror.rstrip('/')}/{name}.gz", ""
        for attempt in range(attempts):
            time.sleep(pause if attempt else 0)
            try:
                blob = _fetch(url, name, timeout)
            except (OSError, http.client.HTTPException, ValueError) as error:
                reason = " ".join((str(error) or type(error).__name__).split())
                if isinstance(error, urllib.error.HTTPError):
                    error.close()
                    if 400 <= error.code < 500:  # asking again gives the same answer
                        break
            else:
                _save(blob, root / (f"{name}.gz" if blob.startswith(b"\x1f\x8b") else name))
                return []
        failures.append(f"{url}: {reason}")
    return failures or ["no mirror given"]


def load_mnist(
    data_root: str | Path | None = None,
    mirrors: Sequence[str] | None = None,
    timeout: float = 10.0,
    attempts: int = 3,
    pause: float = 1.0,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Read MNIST from ``data_root``, else from $MNIST_ROOT, else from data/raw; download what is missing there.

    Each of ``mirrors`` (folder addresses; default ``MIRRORS``) is asked ``attempts`` times, ``pause`` seconds apart;
    ``timeout`` (seconds) holds for connecting and for every read. Returns ``train_images (n, 28, 28)``, ``train_labels
    (n,)``, ``test_images (m, 28, 28)``, ``test_labels (m,)``, all uint8 and shared within the process: not to be
    modified in place. Raises UserError for files that are damaged, do not fit together, or are missing and cannot be
    downloaded.
    """
    root = Path(data_root or os.environ.get("MNIST_ROOT") or DEFAULT_ROOT).expanduser().absolute()
    mirrors = MIRRORS if mirrors is None else mirrors
    if root.exists() and not root.is_dir():
        raise UserError(f"the MNIST folder {root} is a file; give the folder that holds the four files")
    missing = [name for name in OFFICIAL if _find(root, name) is None]
    while missing:
        if failures := _download(missing[0], root, mirrors, timeout, attempts, pause):
            raise UserError(
                f"MNIST is not complete in {root}: {', '.join(missing)} missing, and the download failed "
                f"({'; '.join(failures)}); get {' '.join(f'{name}.gz' for name in missing)} from "
                f"{' or '.join(MIRRORS)} and put them into {root}, or set --data_root or MNIST_ROOT to where they are"
            )
        del missing[0]
    paths = {name: _find(root, name) for name in OFFICIAL}
    stats = {name: path.stat() for name, path in paths.items()}
    loaded = {name: _read_once(paths[name], name, stats[name].st_size, stats[name].st_mtime_ns) for name in OFFICIAL}
    parts = []
    for part in ("train", "t10k"):
        names = f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"
        images, labels = (loaded[name] for name in names)
        if len(images) != len(labels):
            raise UserError(
                f"{paths[names[0]]} has {len(images)} images and {paths[names[1]]} has {len(labels)} labels: they do "
                "not belong together; delete both and run again to download them"
            )
        parts += [images, labels]
    return tuple(parts)


def mnist_split(
    train_size: int = 1000,
    seed: int = 42,
    balanced: bool = False,
    original_split: bool = False,
    data_root: str | Path | None = None,
) -> Split:
    """``train_size`` images to learn from, and all images of the other file to test on.

    Default: drawn with ``seed`` from the training file, tested on the test file; ``balanced`` draws equally many of
    each class. ``original_split`` is the published code's: the first ``train_size`` images of the *test* file, tested
    on the *training* file. Shapes: ``train_x (train_size, 784)`` float32 in [0, 1], ``train_y (train_size,)`` int64,
    ``test_x (m, 784)``, ``test_y (m,)``. Raises UserError when the files or the sizes do not allow it.
    """
    if balanced and original_split:
        raise UserError("original_split takes the first images in order and cannot be balanced; drop one of the two")
    train_images, train_labels, test_images, test_labels = load_mnist(data_root)
    if original_split:
        train_images, train_labels, test_images, test_labels = test_images, test_labels, train_images, train_labels
    train_y, test_y = train_labels.long(), test_labels.long()
    if not 1 <= train_size <= len(train_y):
        raise UserError(f"train_size is {train_size}; it must be from 1 to {len(train_y)}, the images in the file")
    if original_split:
        order = torch.arange(len(train_y))
    else:
        order = torch.randperm(len(train_y), generator=generator(seed, "split"))
    if balanced:
        drawn = train_y[order]
        rank = F.one_hot(drawn, NUM_CLASSES).cumsum(0).gather(1, drawn[:, None])[:, 0]  # 1 for the first of its class
        order = order[rank <= train_size // NUM_CLASSES]
        if len(order) < train_size:
            raise UserError(
                f"train_size is {train_size}; balanced classes need a multiple of {NUM_CLASSES}, and at most "
                f"{NUM_CLASSES * train_y.bincount(minlength=NUM_CLASSES).min().item()} with the images in the file"
            )
    chosen = order[:train_size]

    def flat(images: Tensor) -> Tensor:
        return images.flatten(1).float().div_(255)

    train_x, test_x = flat(train_images[chosen]), flat(test_images)
    return Split(train_x, train_y[chosen], test_x, test_y, NUM_CLASSES, train_x.shape[-1])


@dataclass(frozen=True, kw_only=True)
class Mnist(Task):
    """Handwritten digits, few of them to learn from (Liu et al., arXiv 2210.01117)."""

    name: ClassVar[str] = "mnist"
    inputs: ClassVar[str] = "vectors"
    loss: ClassVar[str] = "squared_error"

    train_size: Count = 1_000
    """Training images, drawn with the seed from the training file."""
    balanced: bool = False
    """As many training images of each class."""
    original_split: bool = False
    """The published code's split: the first train_size images of the test file train, the training file tests."""
    data_root: str | None = None
    """Folder with the MNIST files; None: the environment variable MNIST_ROOT, else data/raw, downloaded where missing."""

    @property
    def subject(self) -> str:
        return f"{self.train_size}images"

    def split(self, seed: int) -> Split:
        return mnist_split(self.train_size, seed, self.balanced, self.original_split, data_root=self.data_root)
