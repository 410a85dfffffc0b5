"""Many runs at once: those that share shapes are trained as one network with a leading axis, as many as memory takes."""

import gc
from collections.abc import Callable, Iterable
from contextlib import ExitStack

import torch

from common.errors import UserError
from configs.base import Dense
from experiments.build import build_loss, choose_device, free_memory, set_threads_and_denormals
from experiments.folder import Busy, RunFolder
from experiments.ingredients import gather
from experiments.same_run import claim, settle
from experiments.taken_over import lacks, save_more
from experiments.trainer import Training, hold, prepare, train_to_the_end, train_together
from training.population import bytes_of_member, can_be_stacked

SHARE_OF_MEMORY = 0.6  # of what is free; the rest is for what an allocator rounds up and the test pass


def train_population(
    configs: Iterable[Dense], report: Callable[[Dense, Exception], None], rerun: bool = False
) -> list[RunFolder]:
    """Train runs together that share shapes; each ends as if it had run alone. Gives the folders that were trained.

    Runs that are finished, or that another process holds, are left out. Those that cannot be begun, or go wrong, are given to
    ``report`` with the error. ``rerun``: what older code has trained is moved aside and trained again.
    """
    groups: dict[tuple, list[Training]] = {}
    with ExitStack() as locks:
        for config in configs:
            try:
                folder = locks.enter_context(hold(config, rerun, only_older=True))
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
            groups.setdefault(stacking_key(training), []).append(training)
        try:
            for group in groups.values():
                set_threads_and_denormals(group[0].config)
                train_in_parts(group)
        finally:
            trainings = [training for group in groups.values() for training in group]
            for training in trainings:
                training.recorder.close()
    for training in trainings:
        if training.recorder.error is not None:
            report(training.made.config, training.recorder.error)
    return [training.folder for training in trainings]


def stacking_key(training: Training) -> tuple:
    """What runs must share to be stacked: all but what is a tensor with a leading axis, and so may differ."""
    config, differing = training.config, ("seed", "lr", "weight_decay")
    settings = {name: value for name, value in training.made.training.items() if name not in differing}
    sizes = [tuple(weight.shape) for weight in training.model.parameters()]
    alone = training.folder.path if config.batch_size is not None else None  # batches come in an order of their own
    schedule = (config.save_every, config.save_at, training.epoch)
    return str(sorted(settings.items())), str(sizes), schedule, config.device, alone


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
            gc.collect()  # what the failed stack held, now that nothing refers to it
            torch.cuda.empty_cache()
            for training in part:
                training.recorder.close()
            print(f"out of memory with {len(part)} networks at once; going on with {size}", flush=True)
            ended = [one for one in part if one.recorder.is_finished or one.recorder.error is not None]
            left = [prepare(one.folder, one.made, log_live=False) for one in part if one not in ended]
            group[place : place + len(part)] = ended + left
            place += len(ended)


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
