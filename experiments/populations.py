"""Many runs at once: those that share shapes are trained as one network with a leading axis, as many as memory takes."""

import gc
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial

import torch

from common.errors import UserError
from configs.base import Dense
from experiments.build import build_loss, choose_device, free_memory, set_threads_and_denormals
from experiments.folder import Busy, RunFolder
from experiments.ingredients import gather
from experiments.origin import changed_files
from experiments.same_run import claim, settle
from experiments.saved_more import lacks, save_more
from experiments.trainer import Training, hold, prepare, train_to_the_end, train_together
from training.population import bytes_of_member, can_be_stacked

SHARE_OF_MEMORY = 0.6  # of what is free; the rest is for what an allocator rounds up and the test pass


def is_older(folder: RunFolder, config: Dense) -> bool:
    """Whether older code has trained a run that is finished."""
    return folder.is_finished and bool(changed_files(folder.config(), config))


def train_population(
    configs: Iterable[Dense], report: Callable[[Dense, Exception], None], rerun: bool = False
) -> list[RunFolder]:
    """Train runs together that share shapes; each ends as if it had run alone. Gives the folders that were trained.

    Runs that are finished, or that another process holds, are left out. Those that cannot be begun, or go wrong, are given to
    ``report`` with the error. ``rerun``: what older code has trained is moved aside and trained again.
    """
    groups: dict[tuple, list[Training]] = {}
    asked: dict[Training, Dense] = {}
    with ExitStack() as locks:
        for config in configs:
            try:
                still = partial(is_older, config=config)
                folder = locks.enter_context(hold(config, rerun, still))
                made = gather(config)
                folder = settle(folder, made, locks)
                if folder.is_finished:
                    if missing := lacks(folder, config):
                        save_more(folder, made, missing, train_to_the_end)
                    continue
                claim(folder, made, population=True)
                training = prepare(folder, made, log_live=False)
            except Busy:
                continue
            except Exception as error:
                report(config, error)
                continue
            asked[training] = config
            groups.setdefault((*stacking_key(training), training.epoch), []).append(training)
        try:
            for group in groups.values():
                set_threads_and_denormals(group[0].config)
                train_in_parts(group)
        finally:
            trainings = [training for group in groups.values() for training in group]
            for training in trainings:
                training.recorder.close()
    configs_of = {training.folder.path: config for training, config in asked.items()}
    for training in trainings:
        if training.recorder.error is not None:
            report(configs_of[training.folder.path], training.recorder.error)
    return [training.folder for training in trainings]


def stacking_key(training: Training) -> tuple:
    """What runs must share to be stacked: all but what is a tensor with a leading axis, and so may differ."""
    settings = {
        name: value for name, value in training.made.training.items() if name not in ("seed", "lr", "weight_decay")
    }
    sizes = [tuple(weight.shape) for weight in training.model.parameters()]
    schedule = (training.config.save_every, training.config.save_at)
    alone = (
        training.folder.path if training.config.batch_size is not None else None
    )  # batches come in an order of their own
    return str(sorted(settings.items())), str(sizes), schedule, training.config.device, alone


def how_many_fit(training: Training) -> int:
    """How many networks like this one can be trained as one and fit into the memory that is free, at least one."""
    if not can_be_stacked(training.model, training.made.split):
        return 1
    free = free_memory(choose_device(training.config))
    need = bytes_of_member(training.model, training.made.split, build_loss(training.config))
    return max(1, int(SHARE_OF_MEMORY * free / need))


def train_in_parts(group: list[Training]) -> None:
    """Train a group, as many at once as memory takes; half as many, from where they were saved, where it does not after all."""
    size, place = how_many_fit(group[0]), 0
    while place < len(group):
        part = group[place : place + size]
        if started_together(part):
            place += len(part)
        elif len(part) == 1:
            part[0].recorder.fail(UserError("the device has too little memory for this network; use --device cpu"))
            place += 1
        else:
            size = len(part) // 2
            drop_what_failed()
            for training in part:
                training.recorder.close()
            left = [one for one in part if not one.recorder.is_finished and one.recorder.error is None]
            print(f"out of memory with {len(part)} networks at once; going on with {size}", flush=True)
            group[place : place + len(part)] = [
                *(one for one in part if one not in left),
                *(prepare(one.folder, one.made, log_live=False) for one in left),
            ]
            place += len(part) - len(left)


def drop_what_failed() -> None:
    """Give back what the failed stack held, now that nothing refers to it."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def started_together(trainings: list[Training]) -> bool:
    """Train a population; what goes wrong is noted as the error of the runs it concerns. False where memory ran out."""
    started = []
    for training in trainings:
        try:
            training.recorder.start()
            started.append(training)
        except OSError as error:
            training.recorder.fail(error)
        training.recorder.facts["population"] = len(trainings)
    try:
        if started:
            train_together(started)
    except torch.OutOfMemoryError:
        return False  # and the error is dropped: its traceback would keep the stack in memory
    except (UserError, OSError, RuntimeError) as error:
        for training in started:
            if not training.recorder.is_finished:
                training.recorder.fail(training.recorder.error or error)
    return True
