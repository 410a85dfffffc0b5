"""One worker of a sweep: its list of runs, and which of them it takes next.

Workers share no plan. Each walks the same ordered list and takes the first run that is not done, that no other process holds,
and that needs nothing unfinished; it waits if there is none.
"""

import math
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from common.errors import Interrupted, NothingToDo, UserError
from common.files import save_text
from configs.base import Dense
from configs.sweep import Sweep
from experiments.folder import Busy, RunFolder
from experiments.parents import folder_of
from experiments.populations import is_older, train_population
from experiments.saved_more import lacks
from experiments.trainer import train_one

POLL_SECONDS = 2.0
NOT_APPLICABLE = "not_applicable.txt"  # in the folder of a control that means nothing, with the reason
POPULATION_AT_MOST = 256  # runs that a worker takes at once; memory may make it fewer


@dataclass(eq=False)
class Planned:
    """A run of a sweep: its config, the runs that must be finished first, and where it goes.

    ``rerun``: where older code has trained it, it is to be trained again.
    """

    config: Dense
    needs: list["Planned"]
    label: str = ""
    rerun: bool = False
    folder: RunFolder | None = None

    @property
    def is_ready(self) -> bool:
        """Whether all that it needs is finished; or can never be used, of which ``find`` then says why."""
        try:
            return all(run.is_ready and run.find().is_finished for run in self.needs)
        except UserError:
            return True

    def find(self) -> RunFolder:
        """The run's folder, by settings alone: no data, no mask. Raises UserError if it can have none."""
        if self.folder is None or not self.folder.is_claimed:
            self.folder = folder_of(self.config)
        return self.folder

    @property
    def is_older(self) -> bool:
        """Of a finished run: whether older code has trained it."""
        return is_older(self.find(), self.config)

    @property
    def is_held(self) -> bool:
        """Whether another process trains it just now."""
        with suppress(UserError):
            return self.find().is_held
        return False

    @property
    def is_done(self) -> bool:
        with suppress(UserError):  # a run that has no place is not done; work() says why
            if self.is_not_applicable:
                return True
            is_finished = self.is_ready and self.find().is_finished
            return is_finished and not lacks(self.find(), self.config) and not (self.rerun and self.is_older)
        return False

    @property
    def is_not_applicable(self) -> bool:
        """Whether it was found to mean nothing, as a control may, so that there is nothing to train."""
        return self.is_ready and (self.find().path / NOT_APPLICABLE).exists()

    @property
    def state(self) -> str:
        """For --list, with the reason where a run cannot be made."""
        if self.is_done and self.is_not_applicable:
            return "not applicable "
        if self.is_done:
            return "done (older code) " if self.is_older else "done   "
        try:
            if self.is_ready:
                self.find()
        except UserError as error:
            return f"cannot  ({error})"
        return "ready  " if self.is_ready else "waits  "

    @property
    def dense_run(self) -> "Planned":
        """The run that it begins from in the end."""
        return self.needs[0].dense_run if self.needs else self

    def train(self) -> RunFolder:
        """Train it in this process. Raises Busy where another process has it."""
        self.folder = train_one(self.config, self.rerun, still=lambda folder: is_older(folder, self.config))
        return self.folder

    def __str__(self) -> str:
        if self.folder is not None:
            return self.folder.path.name
        return ", ".join(filter(None, [self.dense_run.config.run_name(), self.label]))


def plan(sweeps: Iterable[Sweep], rerun: bool = False) -> list[Planned]:
    """The runs of sweeps in order, after all those that they need, each once."""
    needed: dict[Dense, Planned] = {}

    def add(config: Dense) -> Planned:
        if config not in needed:
            needs = [add(run) for run in config.needs()]
            needed[config] = Planned(config, needs, rerun=rerun)
        return needed[config]

    asked = []
    for sweep in sweeps:
        for config in sweep.configs():
            asked.append(add(config))
            asked[-1].label = sweep.label(config)
    return [run for run in needed.values() if run not in asked] + list(dict.fromkeys(asked))


def work(runs: list[Planned], start: int, population: bool, num_tasks: int = 1) -> list[str]:
    """Take runs until none is left, as one of ``num_tasks``; gives ``run: message`` for each that failed."""
    order = runs[start % len(runs) :] + runs[: start % len(runs)]
    failed: dict[Planned, str] = {}

    def note(run: Planned, error: Exception) -> None:
        """Remember what went wrong with a run, or that there is nothing to train."""
        if isinstance(error, NothingToDo):
            print(f"{run}: {error}", flush=True)
            run.find().path.mkdir(parents=True, exist_ok=True)
            save_text(f"{error}\n", run.find().path / NOT_APPLICABLE)
        elif isinstance(error, UserError | OSError | RuntimeError):
            failed[run] = str(error)
            print(f"could not train {run}: {error}", flush=True)
        else:
            raise error

    while True:
        waiting = [run for run in order if run not in failed and not run.is_done]
        ready = [run for run in waiting if run.is_ready]
        failed_before = len(failed)
        taken = take_population(ready, note, num_tasks) if population else take_one(ready, note)
        if taken or len(failed) > failed_before:
            continue
        stuck = [run for run in waiting if not run.is_ready and any(other in failed for other in run.needs)]
        failed |= dict.fromkeys(stuck, "a run that it needs failed")
        if not waiting:
            return [f"{run}: {failed[run]}" for run in runs if run in failed]
        if not stuck:
            time.sleep(POLL_SECONDS)


def take_one(ready: list[Planned], note: Callable[[Planned, Exception], None]) -> bool:
    """Train the first of these runs that no other process holds; False where all are held."""
    for run in (run for run in ready if not run.is_held):
        try:
            run.train()
        except Busy:
            continue
        except Interrupted:
            raise
        except Exception as error:
            note(run, error)
        return True
    return False


def take_population(ready: list[Planned], note: Callable[[Planned, Exception], None], num_tasks: int) -> bool:
    """Train these runs together, but for those that another process holds; False where all are held.

    Of several array tasks each takes its part of what is to be done, those included that others train just now.
    """
    at_most = min(POPULATION_AT_MOST, math.ceil(len(ready) / num_tasks))
    runs = {run.config: run for run in [run for run in ready if not run.is_held][:at_most]}
    rerun = any(run.rerun for run in ready)
    return bool(train_population(list(runs), lambda config, error: note(runs[config], error), rerun))


def runs_of_task(runs: list[Planned], index: int, num_tasks: int) -> list[Planned]:
    """The runs of one task where locks do not work: all that begin from every num_tasks-th dense run."""
    dense_runs = list(dict.fromkeys(run.dense_run for run in runs))
    return [run for run in runs if dense_runs.index(run.dense_run) % num_tasks == index % num_tasks]
