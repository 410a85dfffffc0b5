"""One worker of a sweep: its list of runs, and which of them it takes next.

Workers share no plan. Each walks the same ordered list and takes the first run that is not done, that no other process holds,
and that needs nothing unfinished; it waits if there is none.
"""

import math
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from common.errors import NothingToDo, UserError
from common.files import save_text
from configs.base import Dense
from configs.sweep import Sweep
from experiments.folder import Busy, RunFolder
from experiments.parents import folder_of
from experiments.populations import train_population
from experiments.taken_over import lacks
from experiments.trainer import is_older, train_one

POLL_SECONDS = 2.0
NOT_APPLICABLE = "not_applicable.txt"  # in the folder of a control that means nothing, with the reason
POPULATION_AT_MOST = 256  # runs that a worker takes at once; memory may make it fewer


@dataclass(eq=False)
class Planned:
    """A run of a sweep: its config, the runs that must be finished first, and where it goes.

    ``rerun``: where older code has trained it, it is to be trained again. ``failure``: why this process has given it up.
    """

    config: Dense
    needs: list["Planned"]
    label: str = ""
    rerun: bool = False
    folder: RunFolder | None = None
    failure: str | None = None

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
    def is_held(self) -> bool:
        """Whether another process trains it just now."""
        with suppress(UserError):
            return self.find().is_held
        return False

    @property
    def state(self) -> str:
        """ "done", "done (older code)", "not applicable", "ready", "waits"; or "cannot" with the reason."""
        if not self.is_ready:
            return "waits"
        try:
            folder = self.find()
            if (folder.path / NOT_APPLICABLE).exists():
                return "not applicable"
            if not folder.is_finished or lacks(folder, self.config):
                return "ready"
            if not is_older(folder, self.config):
                return "done"
            return "ready" if self.rerun else "done (older code)"
        except UserError as error:
            return f"cannot  ({error})"

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to train, as of a control that means nothing."""
        return self.state.startswith(("done", "not applicable"))

    @property
    def dense_run(self) -> "Planned":
        """The run that it begins from in the end."""
        return self.needs[0].dense_run if self.needs else self

    def give_up(self, error: Exception) -> None:
        """Note what went wrong, or that there is nothing to train; raises what is no mistake of a run."""
        if isinstance(error, NothingToDo):
            print(f"{self}: {error}", flush=True)
            self.find().path.mkdir(parents=True, exist_ok=True)
            save_text(f"{error}\n", self.find().path / NOT_APPLICABLE)
        elif isinstance(error, UserError | OSError | RuntimeError):
            self.failure = str(error)
            print(f"could not train {self}: {error}", flush=True)
        else:
            raise error

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
    while waiting := [run for run in order if run.failure is None and not run.is_done]:
        ready = [run for run in waiting if run.is_ready]
        if take_population(ready, num_tasks) if population else take_one(ready):
            continue
        stuck = [run for run in waiting if run not in ready and any(other.failure is not None for other in run.needs)]
        for run in stuck:
            run.failure = "a run that it needs failed"
        if not stuck:
            time.sleep(POLL_SECONDS)
    return [f"{run}: {run.failure}" for run in runs if run.failure is not None]


def take_one(ready: list[Planned]) -> bool:
    """Train the first of these runs that no other process holds; False where all are held."""
    for run in (run for run in ready if not run.is_held):
        try:
            run.folder = train_one(run.config, run.rerun, only_older=True)
        except Busy:
            continue
        except Exception as error:
            run.give_up(error)
        return True
    return False


def take_population(ready: list[Planned], num_tasks: int) -> bool:
    """Train these runs together, but for those that another process holds; False where all are held.

    Of several array tasks each takes its part of what is to be done, those included that others train just now.
    """
    at_most = min(POPULATION_AT_MOST, math.ceil(len(ready) / num_tasks))
    runs = {run.config: run for run in [run for run in ready if not run.is_held][:at_most]}
    given_up = []

    def report(config: Dense, error: Exception) -> None:
        runs[config].give_up(error)
        given_up.append(config)

    trained = train_population(list(runs), report, any(run.rerun for run in ready))
    return bool(trained or given_up)


def runs_of_task(runs: list[Planned], index: int, num_tasks: int) -> list[Planned]:
    """The runs of one task where locks do not work: all that begin from every num_tasks-th dense run."""
    dense_runs = list(dict.fromkeys(run.dense_run for run in runs))
    return [run for run in runs if dense_runs.index(run.dense_run) % num_tasks == index % num_tasks]
