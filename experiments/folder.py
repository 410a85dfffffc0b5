"""A run is a folder: how it is found, whether it is finished, and that only one process trains it."""

import fcntl
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from common.errors import UserError
from common.files import save_json
from experiments.reader import read_config, read_summary

ASIDE = ".old"  # runs/<name>.old1 and so on: what --rerun moved away


class Busy(UserError):
    """Another process holds the folder."""


@dataclass(frozen=True)
class RunFolder:
    """The folder at ``path``, where the run with these ``settings`` is, or is to be made."""

    path: Path
    settings: dict
    needs_lock: ClassVar[bool] = True  # False where no other process takes the runs of this one (sweep.py --no_locks)

    @property
    def is_finished(self) -> bool:
        return (self.path / "summary.json").exists()

    @property
    def is_claimed(self) -> bool:
        return (self.path / "config.json").exists()

    def config(self) -> dict:
        return read_config(self.path)

    def summary(self) -> dict:
        return read_summary(self.path)

    def claim(self, about: dict[str, Any]) -> None:
        """Make the folder a run's: write its config.json. Hold the lock."""
        if any(path.name != "lock" and not path.name.startswith(".config.json.") for path in self.path.iterdir()):
            raise UserError(f"{self.path} holds something that is no run; move it away, or choose another --root")
        save_json(about, self.path / "config.json")

    def note(self, **more: Any) -> None:
        """Add to a run's config.json, or change what it says."""
        save_json(self.config() | more, self.path / "config.json")

    def also_asked_for(self) -> None:
        """Let the run be found by these settings from now on."""
        if self.settings not in (known := self.config()["asked_for"]):
            self.note(asked_for=[*known, self.settings])

    def beside(self, content: Any) -> "RunFolder":
        """Where the run goes when its name is taken by another one: the name and a hash of what the run contains."""
        digest = hashlib.sha256(json.dumps([self.settings, content], sort_keys=True).encode()).hexdigest()[:6]
        return RunFolder(self.path.with_name(f"{self.path.name}_{digest}"), self.settings)

    def move_aside(self) -> Path:
        """Rename the folder to the next free ``<name>.old<number>``."""
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}{ASIDE}{number}")).exists():
            number += 1
        self.path.rename(aside)
        return aside

    @contextmanager
    def lock(self):
        """Hold the folder for this process; the kernel frees it when the process ends. Raises UserError if it is held.

        A folder in which nothing was made goes again.
        """
        path, holder = self.path / "lock", "unknown"
        with ExitStack() as stack:
            for patience in (0.05, 0.05, 0.05, 0):
                self.path.mkdir(parents=True, exist_ok=True)
                with suppress(FileNotFoundError):  # whoever held the folder has moved it, or taken it away
                    file = stack.enter_context(path.open("a+"))
                    try:
                        self._flock(file)
                        if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                            break
                    except (
                        BlockingIOError
                    ):  # perhaps for a moment alone: is_held of another process takes the lock, too
                        file.seek(0)
                        holder = file.read().strip() or "unknown"
                time.sleep(patience)
            else:
                raise Busy(f"{self.path} is being trained by another process ({holder}); wait for it")
            file.truncate(0)
            file.write(f"pid {os.getpid()} on {os.uname().nodename}")
            file.flush()
            try:
                yield
            finally:
                with suppress(OSError):
                    if [one.name for one in self.path.iterdir()] == ["lock"]:
                        path.unlink()
                        self.path.rmdir()
                        self.path.parent.rmdir()

    def _flock(self, file) -> None:
        """Take the lock, or raise BlockingIOError; UserError where the file system has none and one is needed."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError as error:
            if self.needs_lock:
                reason = f"no lock can be taken on this file system ({error.strerror})"
                mend = "choose another --root, or run sweep.py with --no_locks"
                raise UserError(f"{self.path}: {reason}; {mend}") from error

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


def runs_below(root: Path) -> Iterator[tuple[Path, dict]]:
    """The runs below a root and their config.json. One that is damaged, or of an earlier format, is no reason not to go on."""
    for folder in sorted(path for path in Path(root).glob("*/") if ASIDE not in path.name and path.name[0] != "."):
        if (folder / "config.json").exists():
            with suppress(UserError, OSError):
                yield folder, read_config(folder)


def find_run(root: str, name: str, settings: dict, data: str | None = None) -> RunFolder:
    """The folder of the run that was asked for by these settings, ``root/name`` first; else ``root/name``, where it is to be made.

    ``data``: of several such runs the one with data of this hash. Reads config.json alone. Raises UserError where ``root/name`` is
    a run of an earlier format, or damaged.
    """
    expected = Path(root) / name
    if Path(root).exists() and not Path(root).is_dir():
        raise UserError(f"--root {root} is a file; give the folder that holds the run folders")
    first = [(expected, read_config(expected))] if (expected / "config.json").exists() else []
    found = [one for one in first if settings in one[1]["asked_for"]]
    if not found or (data is not None and found[0][1]["content"]["data"] != data):
        found += [one for one in runs_below(Path(root)) if settings in one[1]["asked_for"]]
    best = [path for path, stored in found if data in (None, stored["content"]["data"])]
    return RunFolder((best or [path for path, _ in found] or [expected])[0], settings)
