"""The job array on a real Slurm, where one is up (`make slurm`): requeued, cancelled and killed tasks change nothing."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from experiments.reader import list_checkpoints, load_checkpoint, read_metrics

REPOSITORY = Path(__file__).resolve().parent.parent
SWEEP = """
from configs.ticket import MLPTicketConfig
from configs.sweep import Sweep

base = MLPTicketConfig(p=23, d_emb=64, d_model=32, num_epochs=1500, save_every=500, root={root!r}, device="cpu")
sweep = Sweep(base=base, axes={{"pruning_rate": [0.4, 0.7]}}, seeds=(0, 1))
"""


def slurm(*command: str) -> str:
    return subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=60, cwd=REPOSITORY
    ).stdout.strip()


def is_up() -> bool:
    if shutil.which("sinfo") is None:
        return False
    try:
        return any(state in slurm("sinfo", "-h", "-o", "%T") for state in ("idle", "mixed", "allocated"))
    except (subprocess.SubprocessError, OSError):
        return False


pytestmark = pytest.mark.skipif(not is_up(), reason="no Slurm here; `make slurm` starts one")


def states(job: str) -> dict[str, str]:
    """``{array index: state}`` of the tasks that are still queued."""
    lines = slurm("squeue", "-h", "-r", "-j", job, "-o", "%K %T").splitlines()
    return dict(line.split() for line in lines)


def wait_for(condition, seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.5)


def is_training(root: Path) -> bool:
    """A run is under way and has saved something that it can go on from."""
    return any(not (path.parent / "summary.json").exists() for path in root.glob("*/state.pth"))


def python_of_task(index: int) -> list[int]:
    """The Python processes that sweep.py runs in as this array task."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"sweep.py" in arguments and f"--index={index}".encode() in arguments:
            found.append(int(entry.name))
    return found


def submit(sweep: Path, log: Path) -> str:
    environment = {**os.environ, "SWEEP": str(sweep), "PYTHON": sys.executable, "WANDB_MODE": "disabled"}
    command = ["sbatch", "--parsable", "--array=0-1", "--mem=1G", f"--output={log}/%a.out", "run_lottery_ticket.sh"]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=60, cwd=REPOSITORY, env=environment
    ).stdout.strip()


def test_a_disturbed_array_equals_an_undisturbed_sweep(tmp_path):
    sweeps = {}
    for name in ("array", "local"):
        sweeps[name] = tmp_path / f"{name}.py"
        sweeps[name].write_text(SWEEP.format(root=str(tmp_path / name)))
    job = submit(sweeps["array"], tmp_path)
    try:
        wait_for(lambda: is_training(tmp_path / "array"), 90, "a task trains")
        slurm("scontrol", "requeue", f"{job}_0")  # SIGTERM: saves, and starts again
        wait_for(lambda: python_of_task(1), 60, "task 1 runs")
        time.sleep(2)
        for pid in python_of_task(1):
            os.kill(pid, 9)  # no chance to save
        wait_for(lambda: "1" not in states(job), 60, "task 1 is gone")
        slurm("scancel", f"{job}_0")
        wait_for(lambda: not states(job), 60, "task 0 is cancelled")
        done = len(list((tmp_path / "array").glob("*/summary.json")))
        assert done < 6, "nothing was left to go on with"
        job = submit(sweeps["array"], tmp_path)  # the same again: goes on
        wait_for(lambda: not states(job), 200, "the array ends")
    finally:
        subprocess.run(["scancel", job], check=False)
    environment = {**os.environ, "WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "sweep.py", "--config", str(sweeps["local"]), "--workers=1", "--threads=1"]
    subprocess.run(command, check=True, cwd=REPOSITORY, env=environment, capture_output=True, timeout=200)
    local = sorted(path.parent for path in (tmp_path / "local").glob("*/summary.json"))
    assert len(local) == 6
    for folder in local:
        other = tmp_path / "array" / folder.name
        assert (other / "summary.json").exists(), (tmp_path / "0.out").read_text()
        for column, values in read_metrics(folder).items():
            np.testing.assert_array_equal(values, read_metrics(other)[column], err_msg=f"{folder.name} {column}")
        mine, theirs = list_checkpoints(folder), list_checkpoints(other)
        assert list(mine) == list(theirs)
        for epoch, path in mine.items():
            weights = load_checkpoint(theirs[epoch])["model"]
            assert all(weight.equal(weights[name]) for name, weight in load_checkpoint(path)["model"].items())
