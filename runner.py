"""Jobs -> finished run folders: one at a time, or many as one population."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack

from build import build_split, use_cpu
from errors import UserError
from experiment import Job, standing
from members import Member, members_that_fit, prepare, stacking_key, train_members
from training.folder import Busy, RunFolder


def run_job(job: Job) -> RunFolder:
    """Train a job, go on with it where it was interrupted, or say that it is done already."""
    folder = job.folder
    if folder.is_finished:
        say_reused(job)
        return folder
    split = build_split(job.config)  # first, so that data that cannot be had leave no folder behind
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
        finally:
            member.recorder.close()
    return folder


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
                member = prepare(job, build_split(job.config), log_live=False)
            except (UserError, OSError) as error:
                if report is None:
                    raise
                report(job, error)
                continue
            groups.setdefault((*stacking_key(job), member.start), []).append(member)
        members = [member for group in groups.values() for member in group]
        try:
            for group in groups.values():
                use_cpu(group[0].job.config)
                size = members_that_fit(group[0])
                for first in range(0, len(group), size):
                    train_together(group[first : first + size])
        finally:
            for member in members:
                member.recorder.close()
    for member in members:
        if member.recorder.error is not None:
            if report is None:
                raise member.recorder.error
            report(member.job, member.recorder.error)
    return [member.job.folder for member in members]


def train_together(members: list[Member]) -> None:
    """Train a population; what goes wrong is noted as the error of the members it concerns."""
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
    except (UserError, OSError, RuntimeError) as error:
        for member in started:
            if not member.recorder.is_finished:
                member.recorder.fail(member.recorder.error or error)
