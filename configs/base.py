"""What a dense run is: a task, a model and how it is trained. Every field is a flag, and the text below it its ``--help``."""

import hashlib
import os
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, Literal

from tyro.conf import Suppress

from common.errors import UserError
from common.ranges import Count, NonNegative, Positive, Range, Rate, Whole, check_fields
from configs.paper import EXPERIMENTS, kind_of
from data import TASKS
from data.own import own_task
from data.task import Task
from models import MODELS
from models.model import Model
from training.losses import LOSSES, LOSSES_OF_NUMBERS
from training.optimizer import OPTIMIZERS

# These decide where and how a run is computed, shown and read, not what is learned: no part of a run's identity.
NOT_IDENTITY = (
    *("root", "device", "threads", "wandb_project", "mem_threshold", "gen_threshold", "data_root"),
    *("allow_other_code", "global_pruning", "data_file", "data_shapes"),
)
PARTS = ("task", "model")


def spell(settings: dict[str, Any]) -> str:
    """Settings as part of a folder's name, which no shell takes for a pattern."""
    texts = {name: "-".join(map(str, value)) if isinstance(value, list) else value for name, value in settings.items()}
    return "".join(f"_{name}{text}" for name, text in texts.items()).replace(" ", "").replace("/", "-")


def short(name: str) -> str:
    """A name that every file system takes, still one of its own."""
    return name if len(name) <= 150 else f"{name[:130]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, kw_only=True)
class Dense:
    """How the dense run is trained, recorded and read."""

    # The fields of its task and of its model can be read, and changed by ``but``, as if they were its own.

    task: Suppress[Task]
    model: Suppress[Model]

    seed: Whole = 42
    """Gives the split, the init, random masks and random labels, each its own generator."""
    num_epochs: Count = 30_000
    """Number of passes over the training set, each one update unless batch_size makes them several."""
    save_every: Count = 2_000
    """Epochs between checkpoints, besides 0, 100, 200, 500, 1000 and the last."""
    save_at: tuple[Whole, ...] = ()
    """More epochs to save."""
    optimizer: Literal[tuple(OPTIMIZERS)] = "adamw"
    """Optimizer."""
    lr: NonNegative = 1e-3
    """Learning rate."""
    weight_decay: NonNegative = 1.0
    """Weight decay, times the learning rate a step."""
    betas: tuple[Annotated[float, Range(least=0, below=1)], Annotated[float, Range(least=0, below=1)]] = (0.9, 0.98)
    """Decay rates of AdamW's moments."""
    batch_size: Count | None = None
    """Examples in a batch; None: all at once. The order of the batches comes from the seed."""
    loss: Literal[tuple(LOSSES)] | None = None
    """Loss; None: the task's own."""
    lp: Annotated[float, Range(least=1)] = 2.0
    """Order p of the Lp penalty."""
    lp_alpha: NonNegative = 0.0
    """Weight of the Lp penalty, the mean over matrices of ||W||_p; 0 is off."""
    stopping_thresh: Positive | None = None
    """Stop at the first recorded epoch with test loss below this; None trains to the end."""
    stop_after_gen: bool = False
    """Stop once t_gen is certain: its whole window has been seen. For sweeps that are about t_gen alone."""
    mem_threshold: Rate = 0.99
    """t_mem is the first recorded epoch with at least this train accuracy."""
    gen_threshold: Annotated[float, Range(above=0, most=1)] = 0.95
    """t_gen is the first recorded epoch with at least this test accuracy that holds (README)."""
    root: str = "runs"
    """Folder that holds the run folders."""
    device: str = "auto"
    """cpu, cuda, cuda:1 ...; auto takes a GPU where there is one."""
    threads: Count = 1
    """CPU threads. Two gain a quarter on an idle machine, and crawl beside one busy process (RESULTS.md, Speed)."""
    wandb_project: str = "grokking-tickets"
    """Project in wandb."""

    def __post_init__(self):
        for name, base in zip(PARTS, (Task, Model), strict=True):
            if not isinstance(getattr(self, name), base):
                raise UserError(f"{name} must be a {base.__name__} of {name}s, not {getattr(self, name)!r}")
        check_fields(self, without=PARTS)
        names = [field.name for part in (self, self.task, self.model) for field in fields(part)]
        if shared := {name for name in names if names.count(name) > 1}:
            raise UserError(
                f"{', '.join(sorted(shared))}: a field of task, model and config must have a name of its own"
            )
        # Frozen, and still being made. A shell leaves the ~ of --root=~/runs.
        object.__setattr__(self, "save_at", tuple(sorted(set(self.save_at))))
        object.__setattr__(self, "root", os.path.expanduser(self.root))
        if self.task.inputs != self.model.inputs:
            raise UserError(
                f"the model {self.model.name} takes {self.model.inputs}, and the task {self.task.name} gives "
                f"{self.task.inputs}; choose another --model or --task"
            )
        of_loss = "numbers" if (self.loss or self.task.loss) in LOSSES_OF_NUMBERS else "classes"
        if self.task.labels != of_loss:
            raise UserError(
                f"the loss {self.loss or self.task.loss} is for {of_loss}, and the task {self.task.name} gives "
                f"{self.task.labels}; leave --loss out"
            )

    def __getattr__(self, name: str) -> Any:
        for part in PARTS if not name.startswith("_") else ():
            if part in self.__dict__ and name in (field.name for field in fields(self.__dict__[part])):
                return getattr(self.__dict__[part], name)
        raise AttributeError(f"a config has no field {name}")

    @property
    def kind(self) -> str:
        """The first word of a run's name: the paper's experiment, else model and task."""
        return kind_of(self.task.name, self.model.name)

    def init_run(self) -> "Dense | None":
        """The run at whose epoch 0 this one starts; None: at an init drawn from its own seed."""
        return None

    def mask_run(self) -> "Dense | None":
        """The run from which the mask is taken; None without a mask."""
        return None

    @property
    def learns_scores(self) -> bool:
        """Whether edge-popup's scores are trained, not the weights alone."""
        return False

    def parents(self) -> tuple["Dense", ...]:
        """The runs that must be finished before this one can be trained."""
        return tuple(dict.fromkeys(run for run in (self.init_run(), self.mask_run()) if run is not None))

    def dense(self) -> "Dense":
        """The dense run that this is, or begins from."""
        return self

    def trained(self) -> "Dense":
        """What is trained, with the settings of its training."""
        return self

    def as_dict(self) -> dict[str, Any]:
        """All fields in one flat dictionary, as JSON can hold them; of task and model the names as well."""
        values = {"task": self.task.name, "model": self.model.name}
        for part in (self, self.task, self.model):
            own = [field.name for field in fields(part) if field.name not in PARTS]
            values |= {name: getattr(part, name) for name in own}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def but(self, **given: Any) -> "Dense":
        """The same config with other values of some fields, whether they are its own, its task's or its model's."""
        parts = {}
        for name in PARTS:
            part = given.pop(name, getattr(self, name))
            own = [field.name for field in fields(part) if field.name in given]
            parts[name] = replace(part, **{field: given.pop(field) for field in own})
        return replace(self, **parts, **given)

    def identity(self, mask_epoch: int | None = None) -> dict[str, Any]:
        """Task, model and the fields that decide what the run's folder holds. ``mask_epoch``: of a ticket, where its mask is taken."""
        values = {name: value for name, value in self.as_dict().items() if name not in NOT_IDENTITY}
        return values | {
            "loss": self.loss or self.task.loss,
            "stop_after_gen": self.stop_after_gen and self.gen_threshold,
        }

    def differences(self) -> dict[str, Any]:
        """The dense run's identity where it is not as usual for such a task and model."""
        usual = paper(self.task.name, self.model.name).identity()
        return {name: value for name, value in self.dense().identity().items() if value != usual[name]}

    def run_name(self, mask_epoch: int | None = None) -> str:
        """The run's name: kind, subject and seed, then every other setting that is not as usual."""
        rest = {
            name: value
            for name, value in self.differences().items()
            if name not in ("seed", "fn_name", "fn_names", "train_size")
        }
        subject = f"_{self.task.subject}" if self.task.subject != self.task.name else ""
        return short(f"{self.kind}{subject}_seed{self.seed}" + spell(rest))


def with_parts(config: Dense, **parts: Any) -> Dense:
    """A config with another task or model, and what was as usual for the pair before as usual for the new one."""
    other = config.but(**parts)
    before, after = (paper(one.task.name, one.model.name).as_dict() for one in (config, other))
    values = config.as_dict()
    named = {name for one in EXPERIMENTS.values() for name in one.settings}
    usual = {name: after[name] for name in named if name in other.as_dict() and values.get(name) == before.get(name)}
    return other.but(**{name: tuple(value) if isinstance(value, list) else value for name, value in usual.items()})


def paper(task: str, model: str, **given: Any) -> Dense:
    """The dense run of a task and a model, by their names, at the settings of the paper where it has such a pair."""
    settings = EXPERIMENTS[kind_of(task, model)].settings if kind_of(task, model) in EXPERIMENTS else {}
    return Dense(task=TASKS[task](), model=MODELS[model]()).but(**settings | given)


def MLPConfig(**given: Any) -> Dense:  # a class once
    """Modular arithmetic with the MLP."""
    return paper("modular", "mlp", **given)


def TransformerConfig(**given: Any) -> Dense:
    """Modular arithmetic with the Transformer."""
    return paper("modular", "transformer", **given)


def MnistConfig(**given: Any) -> Dense:
    """MNIST with a 784-200-200-10 MLP."""
    return paper("mnist", "image_mlp", **given)


def OwnConfig(data_file: str, **given: Any) -> Dense:
    """Data of your own, .npz or .csv, with the MLP for what the file holds; ``model`` may be another."""
    task = own_task(data_file)
    model = "image_mlp" if task.inputs == "vectors" else "mlp"
    return paper(task.name, model).but(task=task, **given)
