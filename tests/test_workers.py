"""Worker processes of a sweep: started by it, watched, and ended with it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from scripts import REPOSITORY, load
from sweeps import done, write

from experiments.origin import usable_cores

pytestmark = pytest.mark.slow
LONG = "--num_epochs=2000000"


@pytest.fixture(autouse=True)
def module(place):
    return write()


def command(*flags: str) -> list[str]:
    return [sys.executable, str(REPOSITORY / "sweep.py"), "--config=my_sweep.py", *flags]


def started(*flags: str) -> subprocess.Popen:
    return subprocess.Popen(command("--workers=2", *flags), stdout=subprocess.PIPE, text=True)


def workers_of(pid: int) -> list[str]:
    """The worker processes of a sweep; it starts others too, such as git."""

    def is_worker(child: str) -> bool:
        with contextlib.suppress(OSError):
            return b"--workers=1" in Path(f"/proc/{child}/cmdline").read_bytes()
        return False

    return [child for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split() if is_worker(child)]


def wait_for(condition, seconds: float = 120):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def test_workers_share_the_runs_and_report_and_are_no_more_than_cores():
    finished = subprocess.run(command("--workers=9999"), capture_output=True, text=True, timeout=200)
    assert finished.returncode == 0, finished
    assert "--workers 9999 is more than" in finished.stdout
    assert len(list(Path("runs").glob("worker*.log"))) == usable_cores()
    assert "no run failed" in finished.stdout
    assert "10 of 10 runs are done, 0 are left" in finished.stdout
    assert len(done()) == 10


def test_workers_stop_with_the_sweep_that_started_them():
    with started(LONG) as parent:
        children = wait_for(lambda: workers_of(parent.pid))  # the very moment at which the first is there
        parent.send_signal(signal.SIGTERM)
        parent.communicate(timeout=60)
    assert parent.returncode == 143
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


def test_workers_end_and_save_when_the_sweep_that_started_them_is_killed():
    with started(LONG) as parent:
        wait_for(lambda: len(list(Path("runs").glob("*/100.pth"))) >= usable_cores())
        children = workers_of(parent.pid)
        parent.kill()
    wait_for(lambda: not any(Path(f"/proc/{child}/cmdline").exists() for child in children))
    for folder in Path("runs").glob("*/metrics.csv"):
        recorded = int(folder.read_text().splitlines()[-1].split(",")[0])
        assert load(folder.with_name("state.pth"))["epoch"] >= recorded > 100, "it was saved where it stood"


def test_a_worker_that_is_killed_is_told():
    with started(LONG) as parent:
        for child in wait_for(lambda: len(found := workers_of(parent.pid)) >= usable_cores() and found):
            os.kill(int(child), signal.SIGKILL)
        said = parent.communicate(timeout=60)[0]
    assert parent.returncode == 1
    assert "a worker ended with status -9" in said
    assert "no run failed" not in said
