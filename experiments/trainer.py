"""From what a run is made of to its finished folder: one run, or several along one axis."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from common.errors import Interrupted, UserError
from configs.base import Dense
from experiments.build import (
    build_loss,
    build_model,
    build_optimizer,
    build_schedule,
    choose_device,
    set_threads_and_denormals,
)
from experiments.folder import RunFolder
from experiments.ingredients import Ingredients, gather
from experiments.origin import changed_files
from experiments.parents import folder_of
from experiments.recorder import Recorder
from experiments.same_run import claim, say_reused, settle
from experiments.taken_over import begin_from_shorter, lacks, save_more
from experiments.wandb_logger import WandbLogger
from figures.curves import plot_curves
from models.model import set_weights, weights_of
from pruning.masks import count_kept
from training.loop import member_state, train
from training.population import scale_logits, stack_models, stack_splits, stack_states
from training.progress import Progress
from training.signals import catch_signals, exit_status


@dataclass(eq=False)
class Training:
    """A run about to be trained: what it is made of, its folder, its network, its recorder; where and with what state it goes on."""

    made: Ingredients
    folder: RunFolder
    model: nn.Module
    recorder: Recorder
    epoch: int = 0
    optimizer_state: dict | None = None

    @property
    def config(self) -> Dense:
        """The settings of the training itself."""
        return self.made.config.training()

    def go_on_from(self, state: dict, epoch: int) -> None:
        """Put a state, as ``member_state`` gives it, into the network; at epoch 0 all moments are 0."""
        set_weights(self.model, state["model"])
        self.epoch, self.optimizer_state = epoch, state["optimizer"] if epoch else None


def is_older(folder: RunFolder, config: Dense) -> bool:
    """Whether older code has trained a run that is finished."""
    return folder.is_finished and bool(changed_files(folder.config(), config))


@contextmanager
def hold(config: Dense, rerun: bool = False, only_older: bool = False) -> Iterator[RunFolder]:
    """The folder of a run, found by its settings and held for this process.

    ``rerun``: an earlier run is moved aside; with ``only_older`` only one that older code has trained.
    """
    folder = folder_of(config)
    if rerun and folder.is_claimed:
        with folder.lock():
            if not only_older or is_older(folder, config):
                print(f"moved the earlier run to {folder.move_aside()}")
    with folder.lock():
        yield folder


def train_one(config: Dense, rerun: bool = False, only_older: bool = False) -> RunFolder:
    """Train the run of a config, go on with it where it was interrupted, or say that it is done already."""
    with hold(config, rerun, only_older) as folder:
        return train_in(folder, gather(config))


def train_in(folder: RunFolder, made: Ingredients, only_mask: bool = False) -> RunFolder:
    """The same in a folder that is held, of what the run is made of; gives the folder where it is, which may be another one.

    ``only_mask``: write a ticket's config.json and mask.pth, and train nothing.
    """
    with ExitStack() as locks:
        folder = settle(folder, made, locks)
        if not folder.is_finished:
            claim(folder, made)
        if only_mask:
            return folder
        if not folder.is_finished:
            train_to_the_end(folder, made)
        else:
            say_reused(folder, made)
            if missing := lacks(folder, made.config):
                folder = save_more(folder, made, missing, train_to_the_end)
    return folder


def train_to_the_end(folder: RunFolder, made: Ingredients) -> None:
    """Train a claimed run in this process alone."""
    set_threads_and_denormals(made.config)
    training = prepare(folder, made)
    try:
        training.recorder.start()
        train_together([training])
    except torch.OutOfMemoryError as error:
        raise UserError(f"{folder.path}: {str(error).splitlines()[0]}; use a smaller model, or --device cpu") from None
    finally:
        training.recorder.close()


def prepare(folder: RunFolder, made: Ingredients, log_live: bool = True) -> Training:
    """A claimed run's network at its start, or as an interrupted run left it."""
    config = made.config
    if config.task.order_matters and not config.model.sees_order:
        name, subject = config.model.name.upper(), config.task.subject
        print(f"note: the {name} cannot tell (a, b) from (b, a): on ordered pairs it cannot fit {subject} fully")
    model = build_model(config.training(), made.split)
    set_weights(model, made.start)
    training = Training(made, folder, model, make_recorder(folder, made, model, log_live))
    shorter = begin_from_shorter(folder, made)
    try:
        state = training.recorder.resume()
        if state is not None:
            if state["epoch"] > training.config.num_epochs:
                raise ValueError("a state from after the end")
            training.go_on_from(state, state["epoch"])
            print(f"{folder.path} goes on from epoch {training.epoch:,}{f' of {shorter}' if shorter else ''}")
    except (RuntimeError, TypeError, ValueError, AttributeError):
        path = folder.path / "state.pth"
        raise UserError(f"{path} does not belong to this run; delete it, or train the run again with --rerun") from None
    return training


def make_recorder(folder: RunFolder, made: Ingredients, model: nn.Module, log_live: bool) -> Recorder:
    """The recorder of a run, with its logger and the counts of its weights."""
    config, about = made.config.training(), folder.config()
    counts = {name: (weight.numel(), weight.numel()) for name, weight in model.named_parameters()}
    counts |= count_kept(made.mask) if made.mask is not None else {}
    kept, total = (sum(column) for column in zip(*counts.values(), strict=True))
    facts = {"population": 1, "weights": total, "weights_kept": kept, "kept_per_matrix": counts}
    job_type = "dense" if made.dense is None else "ticket"

    def make_logger(rows: list[dict]) -> WandbLogger:
        where = {"project": config.wandb_project, "group": (made.dense or folder).path.name, "name": folder.path.name}
        where |= {"job_type": job_type, "tags": [config.kind, config.task.subject, job_type]}
        told = about["config"] | {name: about.get(name) for name in ("git_commit", "dense_run", "mask_source")}
        return WandbLogger(folder.path, **where, config=told, resumed_rows=rows)

    def draw(metrics: dict) -> None:
        try:
            plot_curves(metrics, folder.path.name, folder.path / "curves.png")
        except Exception as error:  # a plot never ends a run
            print(f"could not draw {folder.path / 'curves.png'}: {error}")

    thresholds = (config.mem_threshold, config.gen_threshold)
    more = {"run": about["id"], "thresholds": thresholds, "facts": facts, "log_live": log_live}
    return Recorder(folder.path, make_logger=make_logger, draw=draw, **more)


def train_together(trainings: list[Training]) -> None:
    """Train runs that share shapes to their end, one as a plain network, several along one leading axis."""
    config, device = trainings[0].config, choose_device(trainings[0].config)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    states = [one.optimizer_state for one in trainings]
    model, split, state = trainings[0].model, trainings[0].made.split, states[0]
    if len(trainings) > 1:
        model = stack_models([one.model for one in trainings])
        split = stack_splits([one.made.split for one in trainings])
        state = stack_states(states) if state is not None else None
    multipliers = [one.made.logit_multiplier for one in trainings]
    handle = scale_logits(model, multipliers) if any(one is not None for one in multipliers) else None
    optimizer = build_optimizer([one.config for one in trainings], model, [one.made.mask for one in trainings], device)
    if state is not None:
        optimizer.load_state(state)
    many = f"{len(trainings)} x " if len(trainings) > 1 else ""
    kind = "dense" if trainings[0].made.dense is None else "ticket"
    progress = Progress(f"{kind} {many}{config.kind}", trainings[0].epoch, config.num_epochs)
    recorders = [one.recorder for one in trainings]
    unfinished = []
    with catch_signals() as signals:  # a finished run is written to its end
        try:
            how = {"start": trainings[0].epoch, "progress": progress}
            schedule, loss = build_schedule(config), build_loss(config)
            epoch = train(model, split.to(device), loss, optimizer, recorders, schedule, **how)
        finally:
            progress.close()
            if handle is not None:
                handle.remove()
        for number, one in enumerate(trainings):
            if one.recorder.is_running:
                one.go_on_from(member_state(model, optimizer, number), epoch)
                unfinished.append(one)
            elif one.recorder.error is None:
                try:
                    one.recorder.finish()
                except OSError as error:
                    if len(trainings) == 1:
                        raise
                    one.recorder.fail(error)
    if signals.received:
        for one in unfinished:
            one.recorder.save_state(epoch, {"model": weights_of(one.model), "optimizer": one.optimizer_state})
        said = "stopped when the run was finished; run the same command again to go on"
        raise Interrupted(said, exit_status(signals.received))
    if unfinished:
        train_together(unfinished)
