"""The scripts at a tiny size: called in process, or in a process of their own that can be killed."""

import importlib
import io
import itertools
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest
import torch

import prune
from experiments import trainer
from experiments.recorder import Recorder
from figures.dots import Dots

REPOSITORY = Path(__file__).resolve().parents[1]
# Milliseconds to train, and it learns something; given before the flags of a test, which override them.
TINY = (
    *("--device=cpu", "--threads=1", "--fn_name=multiply", "--p=7", "--frac_train=0.5"),
    *("--d_emb=8", "--d_model=6", "--lr=0.01", "--num_epochs=30", "--save_every=10"),
)
TINY_TRANSFORMER = (*(flag for flag in TINY if "d_emb" not in flag), "--d_mlp=5")


@dataclass(frozen=True)
class Outcome:
    """What a script said and its exit status."""

    status: int
    out: str
    err: str

    def __contains__(self, text: str) -> bool:
        return text in self.out or text in self.err

    @property
    def message(self) -> str:
        """stderr on one line."""
        return " ".join(self.err.split())


def _touch(*given) -> None:
    """Instead of a picture: an empty file at the path that is given among other things."""
    next(path for path in given if isinstance(path, Path)).touch()


def call(script: str, *flags, size: tuple[str, ...] = TINY, draw: bool = False) -> Outcome:
    """Run a script in this process, without its pictures unless ``draw``: they take longer than everything else."""
    out, err = io.StringIO(), io.StringIO()
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(err))
        if not draw:
            stack.enter_context(patch.object(trainer, "plot_curves", _touch))
            stack.enter_context(patch.object(prune, "plot_comparison", _touch))
            stack.enter_context(patch.object(Dots, "draw", _touch))
            if script == "analyze":
                stack.enter_context(patch("analyze.draw", lambda *given: []))
        try:
            status = importlib.import_module(script).main([*size, *map(str, flags)])
        except SystemExit as stop:  # of the command line parser
            status = stop.code or 0
    return Outcome(status, out.getvalue(), err.getvalue())


def succeed(script: str, *flags, **how) -> Outcome:
    """The same, for a command that must end well."""
    outcome = call(script, *flags, **how)
    assert outcome.status == 0, outcome
    return outcome


def assert_refused(outcome: Outcome, *words: str) -> None:
    """Exit status 2 and one short message on stderr that holds ``words``."""
    assert outcome.status == 2, outcome
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in outcome.message, outcome.message
    assert outcome.err.startswith("error: "), outcome.err
    assert len(outcome.err.strip().splitlines()) == 1, outcome.err
    assert len(outcome.err) < 600, outcome.err


def lines(table: str) -> list[str]:
    """The cases that a text lists, a line each; lines with ``#`` are headings."""
    return [line.strip() for line in table.strip().splitlines() if "# " not in line]


def config_file(made_by: str = "MLPTicketConfig", name: str = "mine.py", **values) -> str:
    """The flag that names a config file, written into the working directory, of a ticket, by default of the MLP."""
    Path(name).write_text(f"from configs.ticket import {made_by}\n\nconfig = {made_by}(**{values!r})\n")
    return f"--config={name}"


def run_folders(root: Path) -> tuple[list[Path], list[Path]]:
    """The folders of dense runs and those of tickets, without the ones moved aside."""
    folders = sorted(path for path in Path(root).iterdir() if path.is_dir() and ".old" not in path.name)
    tickets = [path for path in folders if "__" in path.name or is_ticket(path)]  # a long name is cut
    return [path for path in folders if path not in tickets], tickets


def is_ticket(folder: Path) -> bool:
    return (folder / "config.json").exists() and "dense_run" in config_of(folder)


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """All that is in a folder, but for lock files; None for folders."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.name != "lock"
    }


def load(path: Path):
    """A file of tensors; nothing in it may need to be executed."""
    return torch.load(path, weights_only=True)


def bits(value):
    """A nested value of tensors and numbers in which equal means equal bit for bit."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.contiguous().numpy().tobytes()
    if isinstance(value, dict):
        return {key: bits(item) for key, item in value.items()}
    return value


def config_of(folder: Path) -> dict:
    """A run's config.json."""
    return json.loads((Path(folder) / "config.json").read_text())


def summary_of(folder: Path) -> dict:
    """A run's summary.json."""
    return json.loads((Path(folder) / "summary.json").read_text())


def change_json(path: Path, **values) -> None:
    """Change values of a JSON file; its time, too, which tells who reads files only when they change."""
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    os.utime(path, ns=(time.time_ns(), time.time_ns()))


def rows_of(folder: Path) -> list[list[float]]:
    """The rows of metrics.csv."""
    _, *rows = (folder / "metrics.csv").read_text().splitlines()
    return [[float(cell) for cell in row.split(",")] for row in rows]


def assert_same_run(one: Path, other: Path) -> None:
    """The same metrics and the same weights in every checkpoint, bit for bit."""
    assert (one / "metrics.csv").read_bytes() == (other / "metrics.csv").read_bytes()
    names = sorted(path.name for path in one.glob("*.pth"))
    assert names == sorted(path.name for path in other.glob("*.pth"))
    assert "final.pth" in names
    for name in names:
        values = [load(folder / name) for folder in (one, other)]
        for value in values:
            for differs in ("seconds", "run"):  # in state.pth; the id of the run in each
                value.pop(differs, None)
        assert bits(values[0]) == bits(values[1]), name


def assert_readable(root: Path) -> None:
    """Every file below ``root`` can be read; the temporary ones that a killed process left are not looked at."""
    for path in Path(root).rglob("*"):
        if path.name.startswith(".") or path.is_dir():
            continue
        if path.suffix == ".pth":
            load(path)
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.name == "metrics.csv":
            columns = path.read_text().splitlines()[0].count(",") + 1
            assert all(len(row) == columns for row in rows_of(path.parent))


@contextmanager
def signalled(number: int, rows: int) -> Iterator[None]:
    """A signal comes to this process when so many rows have been recorded."""
    observe, seen = Recorder.observe, itertools.count(1)

    def signalling(*given):
        observe(*given)
        if next(seen) == rows:
            signal.raise_signal(number)

    with patch.object(Recorder, "observe", signalling):
        yield


class Died(BaseException):
    """As if the process had been killed: nothing is saved any more."""


@contextmanager
def dying(epoch: int) -> Iterator[None]:
    """What is trained in the block dies when it has recorded this epoch."""
    observe = Recorder.observe

    def dies(recorder, at, *more):
        observe(recorder, at, *more)
        if at == epoch:
            raise Died

    with patch.object(Recorder, "observe", dies), pytest.raises(Died):
        yield


class Spawned:
    """A script in a process of its own, below ``place``.

    ``pace``: seconds to wait after each record, so that it can be caught. ``last_save``: kill -9 in the middle of this save.
    """

    numbers = itertools.count()

    def __init__(self, place: Path, script: str, *flags, pace: float = 0.0, last_save: int = 0):
        self.log = place / f"log_{next(self.numbers)}.txt"
        self.process = context().Process(target=_child, args=(place, self.log, script, flags, pace, last_save))
        self.process.start()
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.join()

    def wait(self, condition=lambda: False, seconds: float = 120.0) -> bool:
        """Wait until the condition holds, or the process ends; gives whether it holds."""
        deadline = time.monotonic() + seconds
        while self.process.is_alive() and time.monotonic() < deadline:
            if condition():
                return True
            time.sleep(0.001)
        assert time.monotonic() < deadline, "the process takes too long"
        return condition()

    def status(self, seconds: float = 120.0) -> int:
        """Wait for the end; the exit status, negative for a signal."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, "the process takes too long"
        return self.process.exitcode

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.join()

    @property
    def output(self) -> str:
        return self.log.read_text()


def context():
    """Processes that fork from one that has imported the scripts, which takes longer than a tiny run.

    torch's optimizers import torch._dynamo when the first is made.
    """
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["scripts", "torch._dynamo"])
    return forks


def _child(place: Path, log: Path, script: str, flags: tuple[str, ...], pace: float, last_save: int) -> None:
    os.chdir(place)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(target, 1)
    os.dup2(target, 2)
    trainer.plot_curves = prune.plot_comparison = _touch
    observe = Recorder.observe

    def paced(*args):
        observe(*args)
        time.sleep(pace)

    save, saves = torch.save, itertools.count(1)

    def save_or_die(value, file):
        if next(saves) != last_save:
            return save(value, file)
        content = io.BytesIO()
        save(value, content)
        file.write(content.getvalue()[: content.tell() // 2])
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    Recorder.observe, torch.save = paced, save_or_die
    raise SystemExit(importlib.import_module(script).main(list(map(str, flags))))


def progress(root: Path) -> int:
    """How many rows the runs below ``root`` have recorded."""
    return sum(path.read_bytes().count(b"\n") - 1 for path in Path(root).glob("*/metrics.csv"))


def readings(text: str) -> Iterator[str]:
    """The lines of a Markdown table in ``text``, each with its cells stripped."""
    for line in text.splitlines():
        if line.startswith("|"):
            yield "|".join(cell.strip() for cell in line.strip("|").split("|"))
