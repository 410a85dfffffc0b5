"""Where numbers come from: the commit and the hardware. experiments/source_hash.py has the code."""

import functools
import os
import platform
import subprocess
from pathlib import Path

import torch

REPOSITORY = Path(__file__).resolve().parents[1]


@functools.cache
def git_commit() -> str | None:
    """The commit that is checked out, with ``+`` when files differ from it; None outside a git checkout."""
    try:
        run = functools.partial(subprocess.run, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=10)
        commit = run(["git", "rev-parse", "HEAD"]).stdout.strip()
        return commit + (
            "+" if run(["git", "--no-optional-locks", "status", "--porcelain", "--untracked-files=no"]).stdout else ""
        )
    except (OSError, subprocess.SubprocessError):
        return None


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
