"""What a dense run is: a task, a model and how it is trained. Every field is a flag, and the text below it its ``--help``."""

import hashlib
import os
import re
from dataclasses import MISSING, dataclass, fields, replace
from functools import partial
from typing import Annotated, Any

import torch
from tyro.conf import Suppress

from common.choices import choice, chosen, spelled
from common.errors import UserError
from common.ranges import (
    Count,
    NonNegative,
    Place,
    Positive,
    Range,
    Rate,
    Whole,
    check_fields,
    is_setting,
    stored_value,
    table_of,
)
from configs.paper import EXPERIMENTS, Experiment, experiment_of
from data import TASKS
from data.own import own_task
from data.task import Task
from models import MODELS
from models.model import Model
from models.starts import STARTS
from training.losses import LOSSES, labels_of
from training.optimizer import OPTIMIZERS

PARTS = {"task": TASKS, "model": MODELS}
for table in PARTS.values():
    choice(table)  # so that what a config file puts in the place of an entry is told from that entry
Decay = Annotated[float, Range(least=0, below=1)]
SAVED = ("save_every", "save_at")  # what else of a run is kept: no other run, and no part of what it is found by


def spell(settings: dict[str, Any]) -> str:
    """Settings as part of a folder's name, which no shell takes for a pattern."""
    texts = {name: "-".join(map(str, value)) if isinstance(value, list) else value for name, value in settings.items()}
    return "".join(f"_{name}{text}" for name, text in texts.items()).replace(" ", "").replace("/", "-")


def short(name: str) -> str:
    """A name that every file system takes. Of a long one the middle is a hash; config.json says all of it."""
    return name if len(name) <= 150 else f"{name[:90]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}_{name[-50:]}"


def is_cut(name: str) -> bool:
    """Whether a folder's name is one that ``short`` has cut."""
    return re.fullmatch(r".{90}_[0-9a-f]{8}_.{50}", name) is not None


def as_json(value: Any) -> Any:
    """A default as ``stored_value`` gives the values."""
    return list(value) if isinstance(value, tuple) else value


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
    lr: NonNegative = 1e-3
    """Learning rate."""
    weight_decay: NonNegative = 1.0
    """Weight decay, times the learning rate a step."""
    start: choice(STARTS) | None = None
    """What is trained in place of the init: the init whose embedding consists of a few waves, or of random planes (studies/waves)."""
    waves: Count = 6
    """How many waves --start takes."""
    wave_share: Rate = 1.0
    """Share of the embedding's power that --start puts into these waves."""
    stop_after_gen: bool = False
    """Stop once t_gen is certain: its whole window has been seen. For sweeps that are about t_gen alone."""
    save_every: Count = 2_000
    """Epochs between checkpoints, besides 0, 100, 200, 500, 1000 and the last."""
    save_at: tuple[Whole, ...] = ()
    """More epochs to save."""
    optimizer: choice(OPTIMIZERS) = "adamw"
    """Optimizer."""
    betas: Suppress[tuple[Decay, Decay]] = (0.9, 0.98)
    """Decay rates of AdamW's moments; of SGD the first is the momentum."""
    batch_size: Suppress[Count | None] = None
    """Examples in a batch; None: all at once. The order of the batches comes from the seed."""
    loss: Suppress[choice(LOSSES) | None] = None
    """Loss; None: the task's own."""
    lp: Annotated[float, Range(least=1)] = 2.0
    """Order p of the Lp penalty."""
    lp_alpha: NonNegative = 0.0
    """Weight of the Lp penalty, the mean over matrices of ||W||_p; 0 is off."""
    stopping_thresh: Positive | None = None
    """Stop at the first recorded epoch with test loss below this; None trains to the end."""
    root: Place[str] = "runs"
    """Folder that holds the run folders."""
    device: Place[str] = "auto"
    """cpu, cuda, cuda:1 ...; auto takes a GPU where there is one."""
    threads: Place[Annotated[int, Range(least=1, most=256)]] = 1
    """CPU threads. Two gain a quarter on an idle machine, and crawl beside one busy process."""
    gen_threshold: Place[Annotated[float, Range(above=0, most=1)]] = 0.95
    """t_gen is the first recorded epoch with at least this test accuracy that holds (README)."""
    mem_threshold: Place[Rate] = 0.99
    """t_mem is the first recorded epoch with at least this train accuracy."""
    wandb_project: Suppress[Place[str]] = "grokking-tickets"
    """Project in wandb."""

    def __post_init__(self):
        for name, base in zip(PARTS, (Task, Model), strict=True):
            if not isinstance(getattr(self, name), base):
                raise UserError(f"{name} must be a {base.__name__} of {name}s, not {getattr(self, name)!r}")
        check_fields(self, without=PARTS)
        names = [field.name for part in self.parts for field in fields(part)]
        if shared := sorted({name for name in names if names.count(name) > 1}):
            raise UserError(f"{', '.join(shared)}: a field of task, model and config must have a name of its own")
        # Frozen, and still being made. A shell leaves the ~ of --root=~/runs.
        object.__setattr__(self, "save_at", tuple(sorted(set(self.save_at))))
        object.__setattr__(self, "root", os.path.expanduser(self.root))
        if not self.root:
            raise UserError("--root is empty; name the folder that holds the run folders, or leave it out")
        task, model = self.task, self.model
        if task.inputs != model.inputs:
            mismatch = f"the model {model.name} takes {model.inputs}, and the task {task.name} gives {task.inputs}"
            raise UserError(f"{mismatch}; choose another --model or --task")
        loss = self.loss or task.loss
        if task.labels != labels_of(chosen(LOSSES, loss)):
            mismatch = f"the loss {spelled(LOSSES, loss)} does not fit the task {task.name}"
            raise UserError(f"{mismatch}, whose labels are {task.labels}; leave the loss out")

    def __getattr__(self, name: str) -> Any:
        for part in (self.__dict__.get("task"), self.__dict__.get("model")):
            if part is not None and name in part.__dataclass_fields__:
                return getattr(part, name)
        raise AttributeError(f"a config has no field {name}")

    @property
    def parts(self) -> tuple[Any, Any, Any]:
        """The three objects whose fields these settings are."""
        return self, self.task, self.model

    @property
    def experiment(self) -> Experiment:
        """What is usual for such a task and model."""
        return experiment_of(self.task.name, self.model.name)

    @property
    def kind(self) -> str:
        """The first word of a run's name: the paper's experiment, else model and task."""
        return self.experiment.name

    def dense(self) -> "Dense":
        """The dense run that this is, or begins from."""
        return self

    def training(self) -> "Dense":
        """The settings that this run itself is trained with."""
        return self

    def needs(self) -> tuple["Dense", ...]:
        """The runs that must be finished before this one can be trained."""
        return ()

    def but(self, **given: Any) -> "Dense":
        """The same config with other values of some fields, whether they are its own, its task's or its model's."""
        parts = {}
        for name in PARTS:
            part = given.pop(name, getattr(self, name))
            own = [field.name for field in fields(part) if field.name in given]
            parts[name] = replace(part, **{field: given.pop(field) for field in own})
        return replace(self, **parts, **given)

    def choices(self) -> list[Any]:
        """The classes and functions that this config names, or that stand in it themselves."""
        found = [type(self.task), type(self.model), chosen(LOSSES, self.loss or self.task.loss)]
        for part in self.parts:
            for field in fields(part):
                table, value = table_of(part, field.name), getattr(part, field.name)
                found += [chosen(table, value)] if table is not None and value is not None else []
        return found

    def as_dict(self) -> dict[str, Any]:
        """All fields in one flat dictionary, as JSON can hold them; task, model and other choices by their names."""
        values = {name: spelled(table, type(getattr(self, name))) for name, table in PARTS.items()}
        for part in self.parts:
            values |= {field.name: stored_value(part, field.name) for field in fields(part) if field.name not in PARTS}
        return values

    def settings(self, source: dict[str, Any] | None = None) -> dict[str, Any]:
        """By what a run is found and named: task, model, and each setting that is not at the default of its class.

        So a new field whose default means "as before" leaves every run as it was. A loss, an optimizer or a model that is not the
        repository's own has a name of its own here, and another precision is named. ``source``: of a ticket, where its mask is from.
        """
        own = self.as_dict()
        for part in self.parts:
            for field in (field for field in fields(part) if field.name not in PARTS):
                is_usual = field.default is not MISSING and own[field.name] == as_json(field.default)
                if is_usual or field.name in SAVED or not is_setting(type(part), field.name):
                    del own[field.name]
        own |= {"loss": spelled(LOSSES, self.loss or self.task.loss), "optimizer": spelled(OPTIMIZERS, self.optimizer)}
        for name, usual in (("loss", type(self.task).loss), ("optimizer", "adamw")):
            if own[name] == usual:
                del own[name]
        without_effect = {"waves", "wave_share"} if self.start is None else set()
        without_effect |= set() if self.lp_alpha else {"lp"}
        own = {name: value for name, value in own.items() if name not in without_effect}
        own |= {"stop_after_gen": self.gen_threshold} if self.stop_after_gen else {}
        precision = str(torch.get_default_dtype()).removeprefix("torch.")
        return own | ({} if precision == "float32" else {"precision": precision})

    def run_name(self, source: dict[str, Any] | None = None) -> str:
        """Kind, subject and seed, then every other setting that is not at its default."""
        told = ("task", "model", "seed", "fn_name", "fn_names", "train_size", "data_hash")
        rest = {name: value for name, value in self.settings().items() if name not in told}
        subject = f"_{self.task.subject}" if self.task.subject != self.task.name else ""
        return short(f"{self.kind}{subject}_seed{self.seed}" + spell(rest))


def with_parts(config: Dense, **parts: Any) -> Dense:
    """A config with another task or model, and what was as usual for the pair before as usual for the new one."""
    other = config.but(**parts)
    before, after = usual_of(config), usual_of(other)
    as_usual = [name for name in before if getattr(config, name) == before[name]]
    return other.but(**{name: after[name] for name in as_usual if name in after})


def usual_of(config: Dense) -> dict[str, Any]:
    """What the paper's experiments set, as it is usual for the task and model of this config."""
    defaults = {field.name: field.default for part in config.parts for field in fields(part)}
    named = {name for one in EXPERIMENTS.values() for name in one.settings if name in defaults}
    return {name: defaults[name] for name in named} | config.experiment.settings


def paper(task: str, model: str, /, **given: Any) -> Dense:
    """The dense run of a task and a model, by their names, at the settings of the paper where it has such a pair."""
    dense = Dense(task=TASKS[task](), model=MODELS[model]())
    return dense.but(**dense.experiment.settings | given)


MLPConfig = partial(paper, "modular", "mlp")  # modular arithmetic with the MLP
TransformerConfig = partial(paper, "modular", "transformer")  # the same with the Transformer
MnistConfig = partial(paper, "mnist", "image_mlp")  # MNIST with a 784-200-200-10 MLP


def OwnConfig(data_file: str, **given: Any) -> Dense:
    """Data of your own, .npz or .csv, with the MLP for what the file holds; ``model`` may be another."""
    task = own_task(data_file)
    model = "image_mlp" if task.inputs == "vectors" else "mlp"
    return paper(task.name, model).but(task=task, **given)
