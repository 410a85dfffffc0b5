"""Where numbers come from: the commit, the files of code that train, the versions and the hardware."""

import ast
import functools
import hashlib
import os
import platform
import subprocess
import sys
from pathlib import Path

import torch

from common.choices import source_file
from configs.base import Dense

REPOSITORY = Path(__file__).resolve().parents[1]
ROOMS = ("data", "models", "pruning", "training")  # whose code decides what a run contains


@functools.cache
def git_commit() -> str | None:
    """The commit that is checked out, with ``+`` when files differ from it; None outside a git checkout."""
    try:
        run = functools.partial(subprocess.run, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=10)
        commit = run(["git", "rev-parse", "HEAD"]).stdout.strip()
        changes = run(["git", "--no-optional-locks", "status", "--porcelain", "--untracked-files=no"]).stdout
        return commit + ("+" if changes else "")
    except (OSError, subprocess.SubprocessError):
        return None


def code_files(config: Dense) -> dict[str, str]:
    """``{path: hash}`` of the files of ROOMS that are loaded, and of those outside that a config's own choices are defined in."""
    loaded = [Path(module.__file__) for module in list(sys.modules.values()) if getattr(module, "__file__", None)]
    paths = [path for path in loaded if any(path.is_relative_to(REPOSITORY / room) for room in ROOMS)]
    files = {str(path.relative_to(REPOSITORY)): path for path in paths}
    files |= {path.name: path for path in own_files(config) if path not in paths}
    return {name: hash_of_code(path, path.stat().st_mtime_ns) for name, path in sorted(files.items())}


def own_files(config: Dense) -> list[Path]:
    """The files that a config's choices are defined in; torch's are known by its version."""
    paths = [source_file(choice) for choice in config.choices()]
    return [path for path in paths if path.is_file() and not path.is_relative_to(Path(torch.__file__).parent)]


@functools.lru_cache(maxsize=1_000)
def hash_of_code(path: Path, mtime_ns: int) -> str:
    """Of what a file of code does: comments, layout and docstrings do not count."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            is_text = [isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) for one in body]
            node.body = [one for one, text in zip(body, is_text, strict=True) if not text]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16]


def changed_files(stored: dict, config: Dense | None = None) -> list[str]:
    """The files of code that have changed since a run was trained; ``stored``: its config.json.

    ``config``: for files outside the repository; without it these are not looked at.
    """
    paths = {name: REPOSITORY / name for name in stored["code"]}
    if config is not None:
        paths |= {path.name: path for path in own_files(config) if path.name in paths}
    now = {name: hash_of_code(path, path.stat().st_mtime_ns) for name, path in paths.items() if path.exists()}
    return [name for name, hashed in now.items() if stored["code"][name] != hashed]


def say_changed(stored: dict, files: list[str]) -> str:
    """What to add to a line about a run that older code has trained, and how to see the difference."""
    commit = (stored.get("git_commit") or "").rstrip("+")
    if not files:
        return ""
    own = [name for name in files if (REPOSITORY / name).exists()]
    see = f" (git diff {commit[:12]} -- {' '.join(own)})" if commit and own else ""
    return f"; since then {', '.join(files)} changed{see}: --rerun trains again"


def usable_cores() -> int:
    """Cores that this process may use: fewer than the machine has under taskset, in a container or in a Slurm task."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def hardware(device: str) -> str:
    """The GPU's name, or the CPU's with its number of cores."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"


def versions(device: str, threads: int) -> dict:
    """Versions, device and hardware as config.json has them."""
    found = {"torch": torch.__version__, "python": platform.python_version(), "device": device}
    return found | {"hardware": hardware(device), "threads": threads}
