"""A run is a folder: who it belongs to, whether it is finished, and that only one process trains it."""

import fcntl
import os
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from common.errors import UserError
from common.files import load_json, save_json
from configs.identity import completed, same_run

ASIDE = ".old"  # runs/<name>.old1 and so on: what --rerun moved away


class Busy(UserError):
    """Another process holds the folder."""


@dataclass(frozen=True)
class RunFolder:
    """The folder at ``path`` for the run with ``identity``, the settings that decide what is in it."""

    path: Path
    identity: dict
    needs_lock: ClassVar[bool] = True  # False where no other process takes the runs of this one (sweep.py --no_locks)

    @property
    def is_finished(self) -> bool:
        return (self.path / "summary.json").exists()

    def summary(self) -> dict:
        return load_json(self.path / "summary.json", {"status": str})

    def settings(self) -> dict:
        return load_json(self.path / "config.json")

    def check_owner(self) -> None:
        """Raise UserError unless the config.json that is there is this run's."""
        if not same_run(load_json(self.path / "config.json", {"identity": dict})["identity"], self.identity):
            raise UserError(f"{self.path} holds another run; move it away, or choose another --root")

    def claim(self, settings: dict) -> None:
        """Make the folder this run's: write config.json, or check that the one there is this run's. Hold the lock."""
        config = self.path / "config.json"
        if config.exists():
            self.check_owner()
            if (
                not self.is_finished and not (self.path / "state.pth").exists()
            ):  # nothing is trained yet: from now on by this code
                save_json({**settings, "identity": self.identity}, config)
        elif any(path.name != "lock" and not path.name.startswith(".config.json.") for path in self.path.iterdir()):
            raise UserError(f"{self.path} holds something that is no run; move it away, or choose another --root")
        else:
            save_json({**settings, "identity": self.identity}, config)

    def move_aside(self) -> Path:
        """Rename the folder to the next free ``<name>.old<number>``."""
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}{ASIDE}{number}")).exists():
            number += 1
        self.path.rename(aside)
        return aside

    @contextmanager
    def lock(self):
        """Hold the folder for this process; the kernel frees it when the process ends. Raises UserError if it is held."""
        path = self.path / "lock"
        with ExitStack() as stack:
            for patience in (0.05, 0.05, 0.05, 0):
                self.path.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context(path.open("a+"))
                try:
                    self._flock(file)
                except BlockingIOError:  # perhaps for a moment alone: is_held of another process takes the lock, too
                    file.seek(0)
                    holder = file.read().strip() or "unknown"
                else:
                    if path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                        break
                    holder = "one that moved it aside"  # after this one had opened the lock: what is held is no longer the run's
                time.sleep(patience)
            else:
                raise Busy(f"{self.path} is being trained by another process ({holder}); wait for it")
            file.truncate(0)
            file.write(f"pid {os.getpid()} on {os.uname().nodename}")
            file.flush()
            yield

    def _flock(self, file) -> None:
        """Take the lock, or raise BlockingIOError; UserError where the file system has none and one is needed."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError as error:
            if self.needs_lock:
                raise UserError(
                    f"{self.path}: no lock can be taken on this file system ({error.strerror}); choose another --root, or "
                    "run sweep.py with --no_locks"
                ) from error

    def check_locks(self) -> None:
        """Raise UserError where a lock cannot be taken in this folder at all; makes it."""
        self.path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self.path) as file:
            self._flock(file)

    @property
    def is_held(self) -> bool:
        """Whether another process trains it just now; makes and changes nothing."""
        try:
            with (self.path / "lock").open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # not there, or on a file system without locks
            return False
        return False


def find_run(root: str, name: str, identity: dict) -> RunFolder:
    """The folder of the run with this identity: ``root/name`` if it is there, else any folder below root that has it.

    Where there is none, gives ``root/name``, in which it is to be made.
    """
    expected = Path(root) / name
    if Path(root).exists() and not Path(root).is_dir():
        raise UserError(f"--root {root} is a file; give the folder that holds the run folders")
    candidates = [expected, *sorted(Path(root).glob("*/"))] if Path(root).is_dir() else []
    for folder in candidates:
        config = folder / "config.json"
        if ASIDE in folder.name or not config.exists():
            continue
        try:
            stored = stored_identity(config)
        except (UserError, OSError):
            continue  # a damaged neighbour is no reason not to train; if it is the very folder, claim() says so
        if stored == identity:
            return RunFolder(folder, identity)
    run = RunFolder(expected, identity)
    if run.is_finished:
        run.check_owner()  # else another's results would pass for this run's
    return run


def stored_identity(config: Path) -> dict:
    """The identity in a run's config.json, with the fields that it is too old to have. Raises UserError, OSError."""
    return _read_identity(config, config.stat().st_mtime_ns)


@lru_cache(maxsize=100_000)
def _read_identity(config: Path, mtime_ns: int) -> dict:
    """Read once per process for an unchanged file: a sweep looks for each of its runs among all the others."""
    return completed(load_json(config).get("identity"))
