"""Members: jobs about to be trained, each with its data, model and recorder, alone or stacked with others of its shapes."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from common.errors import Interrupted, UserError
from common.files import save_json
from configs.base import Dense
from data.split import Split
from experiments.code_state import code_of, standing
from experiments.components import (
    build_edge_popup,
    build_loss,
    build_model,
    build_optimizer,
    build_schedule,
    choose_device,
    restore,
    start_from,
)
from experiments.jobs import Job
from experiments.longer import begin_from_shorter
from experiments.reading import read_metrics
from experiments.recording import Recorder
from experiments.source_hash import SCHEME
from experiments.wandb_logger import WandbLogger
from figures.curves import plot_curves
from pruning.masks import count_kept
from training.loop import member_state, train
from training.population import bytes_of_member, scale_logits, stack_models, stack_splits, stack_states
from training.progress import Progress
from training.signals import catch_signals, exit_status

SHARE_OF_MEMORY = 0.6  # of what is free; the rest is for what an allocator rounds up and the test pass


@dataclass(eq=False)
class Member:
    """A job about to be trained: data, model, recorder, and the optimizer's state that it goes on from, if any."""

    job: Job
    split: Split
    model: nn.Module
    recorder: Recorder
    optimizer_state: dict | None = None
    start: int = 0


def prepare(job: Job, split: Split, log_live: bool = True) -> Member:
    """Build a job's model for its data, at its init or as an interrupted run unfinished it."""
    model = build_model(job.config, split)
    note_order(job.config)
    start_from(model, job.init)
    if job.start is not None:
        model.load_state_dict(job.start)
    if job.learns_scores:
        model = build_edge_popup(job.asked, model)
    member = Member(job, split, model, make_recorder(job, model, log_live))
    shorter = begin_from_shorter(job)
    try:
        state = member.recorder.resume()
        if state is not None:
            if state["epoch"] > job.config.num_epochs:
                raise ValueError("a state from after the end")
            go_on_from(member, state, state["epoch"])
            note_code(job)
            print(f"{job.folder.path} goes on from epoch {member.start:,}{f' of {shorter}' if shorter else ''}")
    except (RuntimeError, TypeError, ValueError, AttributeError):
        path = job.folder.path / "state.pth"
        raise UserError(f"{path} is another run's; delete it, or train the run again with --rerun") from None
    return member


def note_code(job: Job) -> None:
    """Put into the config.json of a run that goes on what it executes from now on, besides what it has executed."""
    before, now = job.folder.settings(), job.settings["executed"]
    state = standing(before, job.asked)
    if state == "unknown":
        return
    if state == "other":
        before["code"] = f"{SCHEME}: changed while it trained"
        print(f"{job.folder.path}: the code that trains has changed since the run began; --rerun begins anew")
    else:
        both = {name: before["executed"][name] or now[name] for name in ("population", "cuda")}
        before["executed"] = both | {"measures": now["measures"] | before["executed"]["measures"]}
        before["code"] = code_of(job.asked, before["executed"])
    save_json(before, job.folder.path / "config.json")


def note_order(config: Dense) -> None:
    """One line where the model is asked for what it cannot represent."""
    if config.task.order_matters and not config.model.sees_order:
        name, subject = config.model.name.upper(), config.task.subject
        print(f"note: the {name} cannot tell (a, b) from (b, a): on ordered pairs it cannot fit {subject} fully")


def go_on_from(member: Member, state: dict, epoch: int) -> None:
    """Put a state, as ``member_state`` gives it, into a member."""
    member.start, member.optimizer_state = epoch, restore(member.model, state, epoch)


def make_recorder(job: Job, model: nn.Module, log_live: bool) -> Recorder:
    """The recorder of a job, with its logger and the counts of its weights."""
    counts = {name: (weight.numel(), weight.numel()) for name, weight in model.named_parameters()}
    counts = count_kept(job.mask) if job.mask is not None else counts
    if job.learns_scores:
        counts = count_kept({name: kept > 0 for name, kept in model.mask().items()})
    facts = {
        "population": 1,
        "weights": sum(total for _, total in counts.values()),
        "weights_kept": sum(kept for kept, _ in counts.values()),
        "kept_per_matrix": counts,
    }
    config, folder = job.config, job.folder.path

    def make_logger(rows: list[dict]) -> WandbLogger:
        return WandbLogger(
            folder,
            project=config.wandb_project,
            name=folder.name,
            group=job.group,
            job_type=job.job_type,
            tags=[config.kind, config.task.subject, job.job_type],
            config=job.settings["config"]
            | {name: job.settings[name] for name in ("git_commit", "dense_run", "mask_source") if name in job.settings},
            resumed_rows=rows,
        )

    def draw(folder: Path) -> Path | None:
        path = folder / "curves.png"
        try:
            plot_curves(read_metrics(folder), folder.name, path)
        except Exception as error:  # a plot never ends a run
            print(f"could not draw {path}: {error}")
            return None
        return path

    thresholds = (config.mem_threshold, config.gen_threshold)
    return Recorder(
        folder,
        identity=job.folder.identity,
        thresholds=thresholds,
        facts=facts,
        make_logger=make_logger,
        draw=draw,
        log_live=log_live,
    )


def stacking_key(job: Job) -> tuple:
    """What runs must share to be stacked: all but what is a tensor with a leading axis, and so may differ."""
    settings = {
        name: value for name, value in job.config.identity().items() if name not in ("seed", "lr", "weight_decay")
    }
    # Batches come in an order of its own, and so do the weights on which scores are learned.
    alone = settings["batch_size"] is not None or job.learns_scores
    return (str(sorted(settings.items())), job.config.device, job.folder.path if alone else None)


def members_that_fit(member: Member) -> int:
    """How many networks like this one fit into the memory that is free, at least one."""
    device = choose_device(member.job.config)
    if device.type == "cuda":
        # What the allocator keeps for itself is free as well.
        free = torch.cuda.mem_get_info(device)[0]
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    else:
        with open("/proc/meminfo") as file:
            free = next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    need = bytes_of_member(member.model, member.split, build_loss(member.job.config))
    return max(1, int(SHARE_OF_MEMORY * free / need))


def train_members(members: list[Member]) -> None:
    """Train members that share shapes to their end, one as a plain network, several along one leading axis."""
    config, device = members[0].job.config, choose_device(members[0].job.config)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    states = [member.optimizer_state for member in members]
    model, split, state = members[0].model, members[0].split, states[0]
    if len(members) > 1:
        model = stack_models([member.model for member in members])
        split = stack_splits([member.split for member in members])
        state = stack_states(states) if state is not None else None
    multipliers = [member.job.multiplier for member in members]
    handle = scale_logits(model, multipliers) if any(one is not None for one in multipliers) else None
    optimizer = build_optimizer(
        [member.job.config for member in members], model, [member.job.mask for member in members], device
    )
    if state is not None:
        optimizer.load_state(state)
    start = members[0].start
    many = f"{len(members)} x " if len(members) > 1 else ""
    progress = Progress(f"{members[0].job.job_type} {many}{config.kind}", start, config.num_epochs)
    recorders = [member.recorder for member in members]
    unfinished = []
    with catch_signals() as signals:  # a finished run is written to its end
        try:
            epoch = train(
                model,
                split.to(device),
                build_loss(config),
                optimizer,
                recorders,
                build_schedule(config),
                start=start,
                progress=progress,
            )
        finally:
            progress.close()
            if handle is not None:
                handle.remove()
        for number, member in enumerate(members):
            if member.recorder.is_running:
                go_on_from(member, member_state(model, optimizer, number), epoch)
                unfinished.append(member)
            elif member.recorder.error is None:
                try:
                    member.recorder.finish()
                except OSError as error:
                    if len(members) == 1:
                        raise
                    member.recorder.fail(error)
    if signals.received:
        for member in unfinished:
            member.recorder.save_state(epoch, {"model": member.model.state_dict(), "optimizer": member.optimizer_state})
        raise Interrupted(
            "stopped when the run was finished; run the same command again to go on", exit_status(signals.received)
        )
    if unfinished:
        train_members(unfinished)
