"""MNIST on disk and over the network: reading, finding, drawing and fetching it, and the ways in which each fails."""

import gzip
import hashlib
import os
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.errors import UserError
from data import mnist_files
from data.mnist import Mnist

REPOSITORY = Path(__file__).resolve().parents[1]
FIXTURES = REPOSITORY / "tests" / "fixtures" / "mnist"
NAMES = tuple(mnist_files.OFFICIAL)
IMAGES, LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
GZIPPED = {name: (FIXTURES / f"{name}.gz").read_bytes() for name in NAMES}
PLAIN = {name: gzip.decompress(content) for name, content in GZIPPED.items()}
FULL = [
    Path(folder)
    for folder in (os.environ.get("MNIST_ROOT"), REPOSITORY.parent / "shared" / "mnist")
    if folder and (Path(folder) / "train-images-idx3-ubyte.gz").is_file()
]


@pytest.fixture(autouse=True)
def sealed(monkeypatch):
    """No test sees the user's own files or asks a real mirror."""
    monkeypatch.delenv("MNIST_ROOT", raising=False)
    monkeypatch.setattr(mnist_files, "DEFAULT_ROOT", Path("/nonexistent/mnist"))
    monkeypatch.setattr(mnist_files, "MIRRORS", ())


@pytest.fixture
def cuts_are_official(monkeypatch):
    """The cut files stand in for the official ones in everything that checks a hash."""
    for name, content in PLAIN.items():
        num_items = int.from_bytes(content[4:8], "big")
        monkeypatch.setitem(mnist_files.OFFICIAL, name, (num_items, hashlib.sha256(content).hexdigest()))


def slow_parse(content: bytes) -> list:
    """An IDX file byte by byte, after the format's description: nested lists."""
    assert content[:3] == b"\0\0\x08"  # two zeros, then "unsigned byte"
    shape = [struct.unpack_from(">i", content, 4 + 4 * axis)[0] for axis in range(content[3])]
    position = 4 + 4 * content[3]

    def block(axes):
        nonlocal position
        if not axes:
            position += 1
            return content[position - 1]
        return [block(axes[1:]) for _ in range(axes[0])]

    items = block(shape)
    assert position == len(content)
    return items


def cut(content: bytes, num_items: int) -> bytes:
    """An IDX file shortened to its first items, as tests/fixtures/mnist has them of the full files, compressed."""
    shape = struct.unpack_from(f">{content[3]}I", content, 4)
    header = 4 + 4 * content[3]
    size = (len(content) - header) // shape[0]
    return content[:4] + struct.pack(f">{content[3]}I", num_items, *shape[1:]) + content[header:][: num_items * size]


def idx(shape, items: bytes, magic=None) -> bytes:
    """An IDX file of unsigned bytes with this header, true or not."""
    return struct.pack(f">{1 + len(shape)}I", 0x800 + len(shape) if magic is None else magic, *shape) + items


def mnist_split(train_size: int = 1000, seed: int = 42, data_root: Path = FIXTURES, **how):
    return Mnist(train_size=train_size, data_root=str(data_root), **how).split(seed)


def assert_clear(message: str, *parts: str):
    """One line, not a page, with all that it should name."""
    assert "\n" not in message
    assert len(message) < 1500
    for part in parts:
        assert part in message, f"{part!r} not in {message!r}"


def read_idx(path: Path, name: str) -> torch.Tensor:
    return mnist_files._read_once(path, name, path.stat().st_size, time.monotonic_ns())


def refused(path: Path, content: bytes, name: str, *parts: str):
    """The reader must refuse ``content``, name the file and say how to mend it."""
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_idx(path, name)
    assert_clear(str(caught.value), str(path), "delete it", *parts)


# Reading


@pytest.mark.parametrize("name", NAMES)
def test_reader_equals_a_slow_parse(name, tmp_path):
    (tmp_path / "plain").write_bytes(PLAIN[name])
    expected = np.array(slow_parse(PLAIN[name]))
    for path in (FIXTURES / f"{name}.gz", tmp_path / "plain"):
        items = read_idx(path, name)
        assert items.dtype == torch.uint8
        assert items.shape == expected.shape
        assert (items.numpy() == expected).all()


def test_the_content_decides_whether_it_is_gzip(tmp_path):
    """A browser that unpacks leaves a plain file called .gz; the other way round happens when renaming."""
    (tmp_path / f"{LABELS}.gz").write_bytes(PLAIN[LABELS])
    (tmp_path / LABELS).write_bytes(GZIPPED[LABELS])
    assert read_idx(tmp_path / LABELS, LABELS).equal(read_idx(tmp_path / f"{LABELS}.gz", LABELS))


BLACK = bytes(784)
HTML = b"<!DOCTYPE html>\n<html><body>Log in to the guest network</body></html>\n" * 20
HEADER = "which is no header"  # the message shows what is there instead
DAMAGED = {
    "empty": (IMAGES, b"", HEADER),
    "only a header": (IMAGES, PLAIN[IMAGES][:16], HEADER),
    "html": (IMAGES, HTML, HEADER),
    "labels for images": (IMAGES, PLAIN[LABELS], HEADER),
    "signed bytes": (IMAGES, idx((1, 28, 28), BLACK, magic=0x903), HEADER),
    "little endian": (LABELS, struct.pack("<2I", 0x801, 3) + bytes(3), HEADER),
    "not 28 x 28": (IMAGES, idx((1, 14, 56), BLACK), HEADER),
    "no items": (IMAGES, idx((0, 28, 28), b""), HEADER),
    "too many items": (IMAGES, idx((2**32 - 1, 28, 28), BLACK), HEADER),
    "count too large by one": (IMAGES, idx((2, 28, 28), BLACK), HEADER),
    "one byte too many": (LABELS, PLAIN[LABELS] + b"\0", HEADER),
    "more than MNIST has": (LABELS, idx((10_001,), bytes(10_001)), HEADER),
    "label 10": (LABELS, idx((3,), b"\0\x0a\x03"), "label 10"),
    "gzip cut": (IMAGES, GZIPPED[IMAGES][:-3000], "gzip"),
    "gzip with a wrong checksum": (LABELS, GZIPPED[LABELS][:-8] + bytes(8), "gzip"),
    "garbage after gzip": (LABELS, GZIPPED[LABELS] + b"garbage", "gzip"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_gives_one_clear_message(case, tmp_path):
    name, content, reason = DAMAGED[case]
    refused(tmp_path / name, content, name, reason)


def test_a_bit_flip_in_a_plain_file_of_official_size_is_found(tmp_path, cuts_are_official):
    (tmp_path / IMAGES).write_bytes(PLAIN[IMAGES])
    read_idx(tmp_path / IMAGES, IMAGES)
    flipped = bytearray(PLAIN[IMAGES])
    flipped[5000] ^= 4
    refused(tmp_path / IMAGES, bytes(flipped), IMAGES, "SHA-256")


FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def valid_or_refused(path: Path, content: bytes, name: str):
    path.write_bytes(content)
    try:
        items = read_idx(path, name)
    except UserError as error:
        assert_clear(str(error), str(path), "delete it")
    else:
        plain = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        assert items.tolist() == slow_parse(plain)
        assert name != LABELS or items.max() < 10


@FUZZ
@given(zipped=st.booleans(), name=st.sampled_from((IMAGES, LABELS)), data=st.data())
def test_fuzz_truncation_and_bit_flips(tmp_path, zipped, name, data):
    small = cut(PLAIN[name], 3)
    content = bytearray(gzip.compress(small, 9) if zipped else small)
    flips = data.draw(st.lists(st.integers(0, 8 * len(content) - 1), max_size=4, unique=True))
    for bit in flips:
        content[bit // 8] ^= 1 << bit % 8
    end = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    valid_or_refused(tmp_path / "file", bytes(content[:end]), name)


# Finding


def lay_out(folder: Path, layout: str):
    """Put the four files into ``folder`` in one of the spellings met in the wild."""
    kind, _, place = layout.partition(" in ")
    target = folder / place if place else folder
    target.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        spelling = name.replace("-idx", ".idx") if kind.startswith("dotted") else name
        if kind.endswith("gz"):
            (target / f"{spelling}.gz").write_bytes(GZIPPED[name])
        else:
            (target / spelling).write_bytes(PLAIN[name])


@pytest.mark.parametrize("layout", ["plain", "gz", "dotted plain", "dotted gz in MNIST/raw"])
def test_every_layout_is_found(layout, tmp_path):
    lay_out(tmp_path, layout)
    for found, expected in zip(mnist_files.load_mnist(tmp_path), mnist_files.load_mnist(FIXTURES), strict=True):
        assert found.equal(expected)


def test_argument_then_environment_then_default(tmp_path, monkeypatch):
    folders = {}
    for position, size in enumerate((20, 30, 40)):
        folders[size] = tmp_path / str(size)
        folders[size].mkdir()
        for name in NAMES:
            (folders[size] / name).write_bytes(cut(PLAIN[name], size + position))
    monkeypatch.setattr(mnist_files, "DEFAULT_ROOT", folders[40])
    assert len(mnist_files.load_mnist()[0]) == 42
    monkeypatch.setenv("MNIST_ROOT", str(folders[30]))
    assert len(mnist_files.load_mnist()[0]) == 31
    assert len(mnist_files.load_mnist(folders[20])[0]) == 20
    assert len(mnist_files.load_mnist(str(folders[20]))[0]) == 20
    monkeypatch.setenv("MNIST_ROOT", "")
    assert len(mnist_files.load_mnist("")[0]) == 42
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(mnist_files.load_mnist("~/20")[0]) == 20
    monkeypatch.chdir(tmp_path)
    assert len(mnist_files.load_mnist("30")[0]) == 31


def test_a_file_is_decoded_once_and_again_when_it_changes(tmp_path):
    lay_out(tmp_path, "gz")
    first, second = mnist_files.load_mnist(tmp_path), mnist_files.load_mnist(tmp_path)
    assert all(a is b for a, b in zip(first, second, strict=True))
    for name in (IMAGES, LABELS):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(cut(PLAIN[name], 50)))
    assert len(mnist_files.load_mnist(tmp_path)[2]) == 50


def test_images_and_labels_must_belong_together(tmp_path):
    lay_out(tmp_path, "plain")
    (tmp_path / LABELS).write_bytes(cut(PLAIN[LABELS], 199))
    with pytest.raises(UserError) as caught:
        mnist_files.load_mnist(tmp_path)
    assert_clear(str(caught.value), str(tmp_path), "200 images", "199 labels", f"delete {IMAGES} and {LABELS}")


# Drawing


def rows(x: torch.Tensor) -> set:
    return {row.numpy().tobytes() for row in x}


def test_default_split():
    train_images, train_labels, test_images, test_labels = mnist_files.load_mnist(FIXTURES)
    split = mnist_split(train_size=100, seed=0)
    assert (split.train_x.shape, split.train_y.shape, split.test_x.shape) == ((100, 784), (100,), (200, 784))
    assert split.train_x.dtype == split.test_x.dtype == torch.float32
    assert split.train_y.dtype == split.test_y.dtype == torch.int64
    assert (split.num_classes, split.train_x.min(), split.train_x.max()) == (10, 0, 1)
    assert (split.test_x.numpy() == test_images.numpy().reshape(200, 784).astype(np.float32) / np.float32(255)).all()
    assert split.test_y.equal(test_labels.long())
    # Every training image is one of the training file, with its own label, and none is drawn twice.
    labels = {bytes(image.numpy().tobytes()): label for image, label in zip(train_images, train_labels, strict=True)}
    pixels = (split.train_x * 255).round().to(torch.uint8)
    assert [labels[image.numpy().tobytes()] for image in pixels] == split.train_y.tolist()
    assert len(rows(split.train_x)) == 100


def test_the_draw_of_a_seed_is_fixed():
    """The images that a run was trained on follow from its config: a changed draw must not pass unnoticed."""
    split = mnist_split(train_size=10, seed=42)
    assert split.train_y.tolist() == [3, 1, 3, 1, 7, 2, 2, 9, 5, 0]
    split = mnist_split(train_size=10, seed=42, balanced=True)
    assert split.train_y.tolist() == [3, 1, 7, 2, 9, 5, 0, 6, 4, 8]


@pytest.mark.parametrize("balanced", [False, True])
def test_the_seed_decides_the_draw(balanced):
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first, again, other = (mnist_split(train_size=100, seed=seed, balanced=balanced) for seed in (3, 3, 4))
    assert state.equal(torch.get_rng_state()), "the global generator was used"
    assert first.train_x.equal(again.train_x)
    assert first.train_y.equal(again.train_y)
    assert not first.train_x.equal(other.train_x)
    assert first.test_x.equal(other.test_x)
    if balanced:
        assert first.train_y.bincount(minlength=10).tolist() == [10] * 10
        assert len(rows(first.train_x)) == 100


def test_original_split_is_the_published_one():
    train_images, train_labels, test_images, test_labels = mnist_files.load_mnist(FIXTURES)
    split = mnist_split(train_size=100, seed=9, original_split=True)
    assert split.train_y.equal(test_labels[:100].long())
    assert split.train_x.equal(test_images[:100].reshape(100, 784) / 255)
    assert split.test_y.equal(train_labels.long())
    assert split.test_x.equal(train_images.reshape(300, 784) / 255)


@pytest.mark.parametrize(
    ("train_size", "how", "part"),
    [
        (0, {}, "at least 1"),
        (301, {}, "from 1 to 300"),
        (201, {"original_split": True}, "from 1 to 200"),
        (105, {"balanced": True}, "a multiple of 10"),
        (220, {"balanced": True}, "at most 210"),
        (100, {"balanced": True, "original_split": True}, "drop one"),
    ],
)
def test_impossible_splits(train_size, how, part):
    with pytest.raises(UserError, match=part):
        mnist_split(train_size, **how)


# Fetching


class Mirror(BaseHTTPRequestHandler):
    """A mirror for each way to behave: the first part of the path says which."""

    protocol_version = "HTTP/1.1"
    timeout = 10

    def log_message(self, *args):
        pass

    def do_GET(self):
        _, behaviour, file = self.path.split("/")
        name = file.removesuffix(".gz")
        self.server.asked.append((behaviour, name))
        self.close_connection = True
        BEHAVIOURS[behaviour](self, GZIPPED[name])

    def answer(self, content, status=200, **headers):
        self.send_response(status)
        for header, value in ({"Content_Length": len(content)} | headers).items():
            if value is not None:
                self.send_header(header.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def wait(self):
        self.server.released.wait(5)

    def cut_off(self, content):
        self.answer(content[: len(content) // 2], Content_Length=len(content))

    def stalled(self, content):
        self.answer(content[:50], Content_Length=len(content))
        self.wait()

    def wrong(self, content):
        plain = bytearray(gzip.decompress(content))
        plain[-1] ^= 1
        self.answer(gzip.compress(plain))


BEHAVIOURS = {
    "right": Mirror.answer,
    "right_at_the_third_time": lambda self, content: (
        self.answer(content) if self.server.asked.count(self.server.asked[-1]) == 3 else self.cut_off(content)
    ),
    "right_but_no_test_labels": lambda self, content: self.answer(content, 404 if LABELS in self.path else 200),
    "unpacked": lambda self, content: self.answer(gzip.decompress(content)),
    "cut_off": Mirror.cut_off,
    "stalled": Mirror.stalled,
    "not_found": lambda self, _: self.answer(b"<html>404</html>", 404),
    "html": lambda self, _: self.answer(HTML),
    "wrong": Mirror.wrong,
    "smaller": lambda self, content: self.answer(gzip.compress(cut(gzip.decompress(content), 100))),
    "not_http": lambda self, _: self.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "sent_to_a_file": lambda self, _: self.answer(b"", 302, Location="file:///etc/hostname"),
}


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that gives up on the server is what some tests are about."""


@pytest.fixture
def server(monkeypatch, cuts_are_official):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = QuietServer(("127.0.0.1", 0), Mirror)
    server.asked, server.released = [], threading.Event()
    server.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


def load(root, server, *behaviours, timeout=5.0, attempts=2):
    mirrors = [f"{server.address}/{behaviour}/" for behaviour in behaviours]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mnist_files, "MIRRORS", attempts * mirrors)
        patch.setattr(mnist_files, "TIMEOUT", timeout)
        return mnist_files.load_mnist(root)


def contents(root: Path) -> dict:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("behaviour", ["right", "right_at_the_third_time"])
def test_download(behaviour, server, tmp_path):
    root = tmp_path / "a" / "b"
    loaded = load(root, server, behaviour, attempts=3)
    assert all(a.equal(b) for a, b in zip(loaded, mnist_files.load_mnist(FIXTURES), strict=True))
    assert contents(root) == {f"{name}.gz": GZIPPED[name] for name in NAMES}
    assert {path.stat().st_mode & 0o777 for path in root.iterdir()} == {0o644}, "others on a cluster can read them"
    server.asked.clear()
    load(root, server, behaviour)
    assert server.asked == []


def test_what_is_missing_is_fetched_from_the_mirror_that_has_it(server, tmp_path):
    """From the second one, which unpacks what it sends; what is there in another spelling stays."""
    lay_out(tmp_path, "dotted gz in MNIST/raw")
    (tmp_path / "MNIST/raw" / f"{LABELS.replace('-idx', '.idx')}.gz").unlink()
    load(tmp_path, server, "not_found", "unpacked", attempts=1)
    assert (tmp_path / LABELS).read_bytes() == PLAIN[LABELS]
    assert server.asked == [("not_found", LABELS), ("unpacked", LABELS)]


BAD = {
    "cut_off": "IncompleteRead",
    "stalled": "timed out",
    "not_found": "404",
    "html": "no header",
    "wrong": "SHA-256",
    "smaller": "SHA-256",
    "not_http": "SSH",
    "sent_to_a_file": "302",
}


@pytest.mark.parametrize("behaviour", BAD)
def test_a_bad_mirror_gives_one_message_and_leaves_nothing(behaviour, server, tmp_path):
    root = tmp_path / "root"
    timeout = 0.25 if behaviour == "stalled" else 5.0
    with pytest.raises(UserError) as caught:
        load(root, server, behaviour, timeout=timeout)
    first = f"{server.address}/{behaviour}/{NAMES[0]}.gz"
    assert_clear(str(caught.value), *NAMES, first, BAD[behaviour], f"into {root}", "MNIST_ROOT", "tests/fixtures/mnist")
    assert not root.exists()
    assert {name for _, name in server.asked} == {NAMES[0]}  # the others are not tried in vain
    assert len(server.asked) == 2, "asked as often as was said"


def test_what_was_fetched_before_a_failure_is_kept(server, tmp_path):
    lay_out(tmp_path, "gz")
    for name in (NAMES[0], NAMES[1]):
        (tmp_path / f"{name}.gz").unlink()
    with pytest.raises(UserError) as caught:
        load(tmp_path, server, "right_but_no_test_labels")
    assert NAMES[0] not in str(caught.value)
    assert NAMES[1] in str(caught.value)
    assert set(contents(tmp_path)) == {f"{name}.gz" for name in NAMES if name != NAMES[1]}


def test_nothing_is_left_behind_when_saving_is_interrupted(server, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        load(tmp_path, server, "right")
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ("mirror", "root", "part"),
    [
        ("http://127.0.0.1:9/mnist/", "here", "http://127.0.0.1:9/mnist/"),  # the discard port: nobody listens
        ("nonsense", "here", "nonsense"),
        ("nonsense", "~nosuchuser/mnist", "~nosuchuser"),
        ("nonsense", FIXTURES / f"{IMAGES}.gz", "is a file"),
    ],
)
def test_an_address_or_a_folder_where_nothing_is_gives_a_user_error(mirror, root, part, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(mnist_files, "MIRRORS", [mirror])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        mnist_files.load_mnist(root)
    assert_clear(str(caught.value), part)


def test_several_may_download_at_once(server, tmp_path, monkeypatch):
    results = []
    monkeypatch.setattr(mnist_files, "MIRRORS", [f"{server.address}/right/"])
    threads = [threading.Thread(target=lambda: results.append(mnist_files.load_mnist(tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert contents(tmp_path) == {f"{name}.gz": GZIPPED[name] for name in NAMES}


# The files


@pytest.mark.skipif(not FULL, reason="the full MNIST files are not here")
def test_the_full_files():
    """Counts; the hashes are checked in reading, since the counts are the official ones."""
    train_images, train_labels, test_images, test_labels = mnist_files.load_mnist(FULL[0])
    assert train_images.shape == (60_000, 28, 28)
    assert test_images.shape == (10_000, 28, 28)
    assert train_labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert test_labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    for name, items in zip(
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", IMAGES, LABELS),
        (train_images, train_labels, test_images, test_labels),
        strict=True,
    ):
        content = idx(tuple(items.shape), items.numpy().tobytes())
        assert hashlib.sha256(content).hexdigest() == mnist_files.OFFICIAL[name][1]
        assert cut(content, int.from_bytes(PLAIN[name][4:8], "big")) == PLAIN[name]
    split = mnist_split(data_root=FULL[0])
    assert split.train_x.shape == (1000, 784)
    assert split.test_x.shape == (10_000, 784)
    assert split.test_x.double().mean() == pytest.approx(0.1325, abs=1e-4)
    assert mnist_split(train_size=1000, balanced=True, data_root=FULL[0]).train_y.bincount().tolist() == [100] * 10
