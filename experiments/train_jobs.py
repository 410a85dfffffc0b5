"""Jobs -> finished run folders: one at a time, or many as one population."""

import gc
from collections.abc import Callable, Iterable
from contextlib import ExitStack

import torch

from common.errors import UserError
from data.split import Split
from experiments.code_state import standing
from experiments.components import build_split, use_cpu
from experiments.folder import Busy, RunFolder
from experiments.jobs import Job
from experiments.members import Member, members_that_fit, prepare, stacking_key, train_members


def run_job(job: Job) -> RunFolder:
    """Train a job, go on with it where it was interrupted, or say that it is done already."""
    folder = job.folder
    if folder.is_finished:
        say_reused(job)
        return folder
    split = checked(build_split(job.config))  # first, so that data that cannot be had leave no folder behind
    with folder.lock():
        if folder.is_finished:  # by another process, just before
            say_reused(job)
            return folder
        folder.claim(job.settings)
        use_cpu(job.config)
        member = prepare(job, split)
        try:
            member.recorder.start()
            train_members([member])
        except torch.OutOfMemoryError as error:
            raise UserError(
                f"{folder.path}: {str(error).splitlines()[0]}; use a smaller model, or --device cpu"
            ) from None
        finally:
            member.recorder.close()
    return folder


def checked(split: Split) -> Split:
    """The split. Raises UserError unless its labels are the classes, or the numbers, that a task has promised."""
    for labels in (split.train_y, split.test_y):
        if labels.dtype == torch.float32 and split.num_classes == 1 and bool(labels.isfinite().all()):
            continue
        if labels.dtype != torch.int64 or not 0 <= int(labels.min()) <= int(labels.max()) < split.num_classes:
            found = f"{labels.dtype} from {labels.min().item()} to {labels.max().item()}"
            raise UserError(f"labels are torch.int64 from 0 to {split.num_classes - 1}, and the task gives {found}")
    return split


def say_reused(job: Job) -> None:
    """One line about a finished run: how it ended, and whether the code that trains is still the same."""
    status = job.folder.summary()["status"]
    ended = "" if status == "completed" else f" ({status})"
    is_other = standing(job.folder.settings(), job.asked) == "other"
    hint = "; the code that trains has changed since: --rerun trains again" if is_other else ""
    print(f"{job.folder.path} is finished{ended} and is reused{hint}")


def run_population(jobs: Iterable[Job], report: Callable[[Job, Exception], None] | None = None) -> list[RunFolder]:
    """Train jobs together that share shapes, as many at once as memory takes; each ends as if it had run alone.

    Jobs that are finished, or that another process holds, are left out, and so are those that cannot be begun, which are given
    to ``report``; without it the first such error is raised. Gives the folders that were trained.
    """
    groups: dict[tuple, list[Member]] = {}
    with ExitStack() as locks:
        for job in jobs:
            try:
                locks.enter_context(job.folder.lock())
            except Busy:
                continue
            if job.folder.is_finished:
                continue
            try:
                job.folder.claim(job.settings)
                member = prepare(job, checked(build_split(job.config)), log_live=False)
            except (UserError, OSError) as error:
                if report is None:
                    raise
                report(job, error)
                continue
            groups.setdefault((*stacking_key(job), member.start), []).append(member)
        try:
            for group in groups.values():
                use_cpu(group[0].job.config)
                train_in_parts(group)
        finally:
            members = [member for group in groups.values() for member in group]
            for member in members:
                member.recorder.close()
    for member in members:
        if member.recorder.error is not None:
            if report is None:
                raise member.recorder.error
            report(member.job, member.recorder.error)
    return [member.job.folder for member in members]


def train_in_parts(group: list[Member]) -> None:
    """Train a group, as many at once as memory takes; half as many, from where they were saved, where it does not after all."""
    size, place = members_that_fit(group[0]), 0
    while place < len(group):
        part = group[place : place + size]
        if train_together(part):
            place += len(part)
        elif len(part) == 1:
            part[0].recorder.fail(UserError("the device has too little memory for this network; use --device cpu"))
            place += 1
        else:
            size = len(part) // 2
            free_memory()
            for member in part:
                member.recorder.close()
            unfinished = [
                member for member in part if not member.recorder.is_finished and member.recorder.error is None
            ]
            print(f"out of memory with {len(part)} networks at once; going on with {size}", flush=True)
            group[place : place + len(part)] = [
                *(member for member in part if member not in unfinished),
                *(prepare(member.job, member.split, log_live=False) for member in unfinished),
            ]
            place += len(part) - len(unfinished)


def free_memory() -> None:
    """Give back what the failed stack held, now that nothing refers to it."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def train_together(members: list[Member]) -> bool:
    """Train a population; what goes wrong is noted as the error of the members it concerns. False where memory ran out."""
    started = []
    for member in members:
        try:
            member.recorder.start()
            started.append(member)
        except OSError as error:
            member.recorder.fail(error)
        member.recorder.facts["population"] = len(members)
    try:
        if started:
            train_members(started)
    except torch.OutOfMemoryError:
        return False  # and the error is dropped: its traceback would keep the stack in memory
    except (UserError, OSError, RuntimeError) as error:
        for member in started:
            if not member.recorder.is_finished:
                member.recorder.fail(member.recorder.error or error)
    return True
