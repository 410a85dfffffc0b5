"""One worker of a sweep: its list of runs, and which of them it takes next.

Workers share no plan. Each walks the same ordered list and takes the first run that is not done, that no other process holds,
and whose parents are finished; it waits if there is none.
"""

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from common.errors import Interrupted, NothingToDo, UserError
from common.files import save_text
from configs.base import Dense
from configs.sweep import Sweep
from experiments.code_state import standing
from experiments.folder import Busy, RunFolder
from experiments.jobs import Job, job_of, move_aside, save_mask
from experiments.parents import folder_of
from experiments.train_jobs import run_job, run_population

POLL_SECONDS = 2.0
NEEDLESS = "not_applicable.txt"  # in the folder of a run that means nothing, with the reason
POPULATION_AT_MOST = 256  # runs that a worker takes at once; memory may make it fewer


@dataclass(eq=False)
class PlannedRun:
    """A run of a sweep: its config, the runs that must be finished first, and where it goes."""

    config: Dense
    parents: list["PlannedRun"]
    label: str = ""
    folder: RunFolder | None = None
    renews: bool = False  # a finished run of other code is to be trained again

    @property
    def is_ready(self) -> bool:
        """Whether its parents are finished; or can never be used, of which find then says why."""
        try:
            return all(parent.is_ready and parent.find().is_finished for parent in self.parents)
        except UserError:
            return True

    def find(self) -> RunFolder:
        """The run's folder, from settings alone: no data, no mask. Raises UserError where it can have none."""
        if self.folder is None:
            self.folder = folder_of(self.config)
        return self.folder

    def make_job(self, population: bool = False) -> Job:
        """What training needs, its mask saved. Raises UserError where data or mask cannot be had."""
        job = job_of(self.config, population)
        self.folder = job.folder  # meanwhile another command may have made it under another name
        if self.renews and job.folder.is_finished:
            move_aside(job, lambda: job.folder.is_finished and self.standing == "other")
        if job.mask is not None:
            save_mask(job)
        return job

    @property
    def standing(self) -> str:
        """Of a finished run: whether the code of now has trained it."""
        return standing(self.find().settings(), self.config)

    @property
    def is_held(self) -> bool:
        """Whether another process trains it just now."""
        with contextlib.suppress(UserError):
            return self.find().is_held
        return False

    @property
    def is_done(self) -> bool:
        with contextlib.suppress(UserError):  # a run that has no place is not done; work() says why
            if self.is_needless:
                return True
            is_finished = (self.folder is not None or self.is_ready) and self.find().is_finished
            return is_finished and not (self.renews and self.standing == "other")
        return False

    @property
    def is_needless(self) -> bool:
        """Whether it was found to mean nothing, as a control may, so that there is nothing to train."""
        return self.is_ready and (self.find().path / NEEDLESS).exists()

    @property
    def state(self) -> str:
        """One word for --list, and the reason where a run cannot be made."""
        if self.is_done and self.is_needless:
            return "not applicable "
        if self.is_done:
            of = {"current": "done   ", "other": "done by other code ", "unknown": "done by unknown code "}
            return of[self.standing]
        try:
            if self.is_ready:
                self.find()
        except UserError as error:
            return f"cannot  ({error})"
        return "ready  " if self.is_ready else "waits  "

    @property
    def first(self) -> "PlannedRun":
        """The run that it begins from in the end."""
        return self.parents[0].first if self.parents else self

    def __str__(self) -> str:
        if self.folder is not None:
            return self.folder.path.name
        return ", ".join(filter(None, [self.first.config.run_name(), self.label]))


def plan(sweep: Sweep, renews: bool = False) -> list[PlannedRun]:
    """The sweep's runs in order, after all those that they need, each once."""
    needed: dict[Dense, PlannedRun] = {}

    def add(config: Dense) -> PlannedRun:
        if config not in needed:
            parents = [add(parent) for parent in config.parents()]
            needed[config] = PlannedRun(config, parents, renews=renews)
        return needed[config]

    asked = [add(config) for config in sweep.configs()]
    for run in asked:
        run.label = sweep.label(run.config, names=True)
    return [run for run in needed.values() if run not in asked] + asked


def work(runs: list[PlannedRun], start: int, population: bool, num_tasks: int = 1) -> list[str]:
    """Take runs until none is left, as one of ``num_tasks``; gives ``run: message`` for each that failed."""
    order = runs[start % len(runs) :] + runs[: start % len(runs)]
    failed: dict[PlannedRun, str] = {}

    def attempt(run: PlannedRun, action: Callable[[], object]) -> object:
        try:
            return action()
        except (Busy, Interrupted):
            raise
        except NothingToDo as reason:
            print(f"{run}: {reason}", flush=True)
            run.find().path.mkdir(parents=True, exist_ok=True)
            save_text(f"{reason}\n", run.find().path / NEEDLESS)
            return None
        except (UserError, OSError, RuntimeError) as error:
            failed[run] = str(error)
            print(f"could not train {run}: {error}", flush=True)
            return None

    while True:
        waiting = [run for run in order if run not in failed and not run.is_done]
        ready = [run for run in waiting if run.is_ready]
        failed_before = len(failed)
        taken = take_population(ready, attempt, num_tasks) if population else take_one(ready, attempt)
        if taken or len(failed) > failed_before:
            continue
        stuck = [run for run in waiting if not run.is_ready and any(parent in failed for parent in run.parents)]
        failed |= dict.fromkeys(stuck, "a run that it needs failed")
        if not waiting:
            return [f"{run}: {failed[run]}" for run in runs if run in failed]
        if not stuck:
            time.sleep(POLL_SECONDS)


def take_one(ready: list[PlannedRun], attempt: Callable) -> bool:
    """Train the first of these runs that no other process holds; False where all are held."""

    for run in ready:
        with contextlib.suppress(Busy):
            if not run.is_held:
                attempt(run, lambda u=run: run_job(u.make_job()))
                return True
    return False


def take_population(ready: list[PlannedRun], attempt: Callable, num_tasks: int) -> bool:
    """Train these runs together, but for those that another process holds; False where all are held.

    Of several array tasks each takes its part of what is to be done, those included that others train just now.
    """
    at_most = min(POPULATION_AT_MOST, math.ceil(len(ready) / num_tasks))
    runs, jobs = {}, []

    def prepare(run: PlannedRun) -> None:
        job = run.make_job(population=True)
        runs[job.folder.path] = run
        jobs.append(job)

    def fail(job: Job, error: Exception) -> None:
        def raise_it():
            raise error

        attempt(runs[job.folder.path], raise_it)

    for run in [run for run in ready if not run.is_held][:at_most]:
        with contextlib.suppress(Busy):
            attempt(run, lambda u=run: prepare(u))
    return bool(run_population(jobs, fail))


def share(runs: list[PlannedRun], index: int, num_tasks: int) -> list[PlannedRun]:
    """The runs of one task where locks do not work: all that begin from every num_tasks-th of those without parents."""
    first = list(dict.fromkeys(run.first for run in runs))
    return [run for run in runs if first.index(run.first) % num_tasks == index % num_tasks]
