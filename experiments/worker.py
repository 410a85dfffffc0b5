"""One worker of a sweep: its list of runs, and which of them it takes next.

Workers share no plan. Each walks the same ordered list and takes the first run that is not done, that no other process holds,
and whose dense run is finished; it waits if there is none.
"""

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from common.errors import Interrupted, UserError
from configs.base import RunConfig
from configs.sweep import Sweep
from experiments.code_state import standing
from experiments.folder import Busy, RunFolder
from experiments.jobs import Job, dense_folder, dense_job, move_aside, save_mask, ticket_folder, ticket_job
from experiments.runner import run_job, run_population

POLL_SECONDS = 2.0
POPULATION_AT_MOST = 256  # runs that a worker takes at once; memory may make it fewer


@dataclass
class Unit:
    """One run of a sweep: a config, where it goes, and how to make its job, which for a ticket needs the dense run."""

    config: RunConfig
    is_dense: bool
    label: str = ""
    folder: RunFolder | None = None
    renews: bool = False  # a finished run of other code is to be trained again

    @property
    def is_ready(self) -> bool:
        """Whether its dense run is finished; or can never be used, of which find then says why."""
        try:
            return self.is_dense or dense_folder(self.config).is_finished
        except UserError:
            return True

    def find(self) -> RunFolder:
        """The run's folder, from settings alone: no data, no mask. Raises UserError where it can have none."""
        if self.folder is None:
            self.folder = dense_folder(self.config) if self.is_dense else ticket_folder(self.config)
        return self.folder

    def make_job(self, population: bool = False) -> Job:
        """What training needs, its mask saved. Raises UserError where data or mask cannot be had."""
        job = (dense_job if self.is_dense else ticket_job)(self.config, population)
        self.folder = job.folder  # meanwhile another command may have made it under another name
        if self.renews and job.folder.is_finished:
            move_aside(job, lambda: job.folder.is_finished and self.standing == "other")
        if job.mask is not None:
            save_mask(job)
        return job

    @property
    def standing(self) -> str:
        """Of a finished run: whether the code of now has trained it."""
        return standing(self.find().settings(), self.config.dense() if self.is_dense else self.config)

    @property
    def is_held(self) -> bool:
        """Whether another process trains it just now."""
        with contextlib.suppress(UserError):
            return self.find().is_held
        return False

    @property
    def is_done(self) -> bool:
        with contextlib.suppress(UserError):  # a run that has no place is not done; work() says why
            is_finished = (self.folder is not None or self.is_ready) and self.find().is_finished
            return is_finished and not (self.renews and self.standing == "other")
        return False

    def __str__(self) -> str:
        if self.folder is not None:
            return self.folder.path.name
        return ", ".join(filter(None, [self.config.run_name(), self.label]))


def plan(sweep: Sweep, renews: bool = False) -> list[Unit]:
    """The dense runs that are needed, each once, then the sweep's runs in order."""
    configs = sweep.configs()
    if not sweep.has_tickets:
        return [Unit(config, True, renews=renews) for config in configs]
    dense = {str(config.identity()): config for config in configs}
    tickets = [Unit(config, False, sweep.label(config, names=True), renews=renews) for config in configs]
    return [Unit(config, True, renews=renews) for config in dense.values()] + tickets


def work(units: list[Unit], start: int, population: bool, num_tasks: int = 1) -> list[str]:
    """Take runs until none is left, as one of ``num_tasks``; gives ``run: message`` for each that failed."""
    order = units[start % len(units) :] + units[: start % len(units)]
    failed: dict[int, str] = {}

    def attempt(unit: Unit, action: Callable[[], object]) -> object:
        try:
            return action()
        except (Busy, Interrupted):
            raise
        except (UserError, OSError, RuntimeError) as error:
            failed[id(unit)] = str(error)
            print(f"could not train {unit}: {error}", flush=True)
            return None

    while True:
        left = [unit for unit in order if id(unit) not in failed and not unit.is_done]
        ready = [unit for unit in left if unit.is_ready]
        failed_before = len(failed)
        taken = take_population(ready, attempt, num_tasks) if population else take_one(ready, attempt)
        if taken or len(failed) > failed_before:
            continue
        stuck = [unit for unit in left if not unit.is_ready and dense_failed(unit, units, failed)]
        for unit in stuck:
            failed[id(unit)] = "its dense run failed"
        if not left:
            return [f"{unit}: {failed[id(unit)]}" for unit in units if id(unit) in failed]
        if not stuck:
            time.sleep(POLL_SECONDS)


def state_of(unit: Unit) -> str:
    """One word for --list, and the reason where a run cannot be made."""
    if unit.is_done:
        return {"current": "done   ", "other": "done by other code ", "unknown": "done by unknown code "}[unit.standing]
    try:
        if unit.is_ready:
            unit.find()
    except UserError as error:
        return f"cannot  ({error})"
    return "ready  " if unit.is_ready else "waits  "


def dense_failed(unit: Unit, units: list[Unit], failed: dict[int, str]) -> bool:
    return any(
        other.is_dense and id(other) in failed and other.config.identity() == unit.config.identity() for other in units
    )


def take_one(ready: list[Unit], attempt: Callable) -> bool:
    """Train the first of these runs that no other process holds; False where all are held."""

    for unit in ready:
        with contextlib.suppress(Busy):
            if not unit.is_held:
                attempt(unit, lambda u=unit: run_job(u.make_job()))
                return True
    return False


def take_population(ready: list[Unit], attempt: Callable, num_tasks: int) -> bool:
    """Train these runs together, but for those that another process holds; False where all are held.

    Of several array tasks each takes its part of what is to be done, those included that others train just now.
    """
    at_most = min(POPULATION_AT_MOST, math.ceil(len(ready) / num_tasks))
    units, jobs = {}, []

    def prepare(unit: Unit) -> None:
        job = unit.make_job(population=True)
        units[job.folder.path] = unit
        jobs.append(job)

    def fail(job: Job, error: Exception) -> None:
        def again():
            raise error

        attempt(units[job.folder.path], again)

    for unit in [unit for unit in ready if not unit.is_held][:at_most]:
        with contextlib.suppress(Busy):
            attempt(unit, lambda u=unit: prepare(u))
    return bool(run_population(jobs, fail))


def share(units: list[Unit], index: int, num_tasks: int) -> list[Unit]:
    """The units of one task where locks do not work: those of every num_tasks-th dense run."""
    dense = list(dict.fromkeys(str(unit.config.identity()) for unit in units))
    return [unit for unit in units if dense.index(str(unit.config.identity())) % num_tasks == index % num_tasks]
