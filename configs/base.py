"""What a dense run is: one frozen dataclass for each kind of model. Every field is a flag, and the text below it its ``--help``."""

import hashlib
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, ClassVar, Literal

from common.errors import UserError
from common.ranges import Count, Fraction, NonNegative, Positive, Range, Rate, Whole, check_fields
from data.modular import check_task

# These decide where and how a run is computed, shown and read, not what is learned: no part of a run's identity.
NOT_IDENTITY = (
    *("root", "device", "threads", "wandb_project", "mem_threshold", "gen_threshold", "data_root"),
    *("allow_other_code", "global_pruning"),
)


def spell(settings: dict[str, Any]) -> str:
    """Settings as part of a folder's name."""
    return "".join(f"_{name}{value}" for name, value in settings.items()).replace(" ", "").replace("/", "-")


def short(name: str) -> str:
    """A name that every file system takes, still one of its own."""
    return name if len(name) <= 150 else f"{name[:130]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What every kind of experiment has."""

    kind: ClassVar[str]
    module: ClassVar[str]  # the config module whose `config` is this class's default

    seed: Whole = 42
    """Gives the split, the init, random masks and random labels, each its own generator."""
    num_epochs: Count = 30_000
    """Number of updates (full batch)."""
    save_every: Count = 2_000
    """Epochs between checkpoints, besides 0, 100, 200, 500, 1000 and the last."""
    lr: NonNegative = 1e-3
    """Learning rate of AdamW."""
    weight_decay: NonNegative = 1.0
    """Weight decay of AdamW."""
    betas: tuple[Annotated[float, Range(least=0, below=1)], Annotated[float, Range(least=0, below=1)]] = (0.9, 0.98)
    """Decay rates of AdamW's moments."""
    weight_scale: Positive = 1.0
    """Factor on the standard deviation of every initial weight."""
    act_type: Literal["relu", "gelu"] = "relu"
    """Activation."""
    lp: Annotated[float, Range(least=1)] = 2.0
    """Order p of the Lp penalty."""
    lp_alpha: NonNegative = 0.0
    """Weight of the Lp penalty, the mean over matrices of ||W||_p; 0 is off."""
    stopping_thresh: Positive | None = None
    """Stop at the first recorded epoch with test loss below this; None trains to the end."""
    mem_threshold: Rate = 0.99
    """t_mem is the first recorded epoch with at least this train accuracy."""
    gen_threshold: Rate = 0.95
    """t_gen is the first recorded epoch with at least this test accuracy that holds (README)."""
    root: str = "runs"
    """Folder that holds the run folders."""
    device: str = "auto"
    """cpu, cuda, cuda:1 ...; auto takes a GPU where there is one."""
    threads: Count = 1
    """CPU threads. Two gain a quarter on an idle machine, and crawl beside one busy process (README)."""
    wandb_project: str = "grokking-tickets"
    """Project in wandb."""

    def __post_init__(self):
        check_fields(self)

    def as_dict(self) -> dict[str, Any]:
        """All fields, as JSON can hold them."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def identity(self) -> dict[str, Any]:
        """The kind and the fields that decide what a dense run's folder holds."""
        names = [field.name for field in fields(DENSE[self.kind]) if field.name not in NOT_IDENTITY]
        values = self.as_dict()
        return {"kind": self.kind} | {name: values[name] for name in names}

    def dense(self) -> "RunConfig":
        """The dense run's config: this one without a ticket's fields."""
        cls = DENSE[self.kind]
        return cls(**{field.name: getattr(self, field.name) for field in fields(cls)})

    def differences(self) -> dict[str, Any]:
        """The dense run's identity where it is not the class's default."""
        dense = self.dense()
        defaults = {field.name: field.default for field in fields(dense)}
        values = {name: getattr(dense, name) for name in self.identity() if name != "kind"}
        return {name: value for name, value in values.items() if value != defaults[name]}

    def run_name(self) -> str:
        """The dense run's name: kind, subject and seed, then every other setting that is not the default."""
        rest = {
            name: value for name, value in self.differences().items() if name not in ("seed", "fn_name", "train_size")
        }
        return short(f"{self.kind}_{self.subject}_seed{self.seed}" + spell(rest))


@dataclass(frozen=True, kw_only=True)
class ModularConfig(RunConfig):
    """Modular arithmetic, whatever the model."""

    p: Annotated[int, Range(least=2)] = 67
    """The modulus; inputs are 0 ... p-1."""
    fn_name: str = "add"
    """Operation: add, subtract, multiply, divide, x2y2, x2xyy2, x2xyy2x, x3xy, x3xy2y, only_add, rand."""
    frac_train: Fraction = 0.4
    """Fraction of the pairs that trains."""
    is_symmetric_input: bool = True
    """Only the pairs with a <= b."""

    def __post_init__(self):
        super().__post_init__()
        check_task(self.p, self.fn_name, self.frac_train, self.is_symmetric_input)

    @property
    def subject(self) -> str:
        """What is learned, the second word of a run's name."""
        return self.fn_name


@dataclass(frozen=True, kw_only=True)
class MLPConfig(ModularConfig):
    """Modular arithmetic with the MLP."""

    kind: ClassVar[str] = "mlp"
    module: ClassVar[str] = "configs/config.py"

    d_emb: Count = 500
    """Width of the embedding."""
    d_model: Count = 48
    """Number of neurons."""
    num_layers: Whole = 0
    """Extra hidden layers, d_model x d_model."""


@dataclass(frozen=True, kw_only=True)
class TransformerConfig(ModularConfig):
    """Modular arithmetic with the Transformer."""

    kind: ClassVar[str] = "transformer"
    module: ClassVar[str] = "configs/config_transformer.py"

    d_model: Count = 128
    """Width of the residual stream."""
    d_mlp: Count = 128
    """Width of the MLP."""
    num_heads: Count = 1
    """Attention heads; divides d_model."""
    num_layers: Count = 1
    """Blocks."""
    # Not 0.95: of five seeds the dense networks end at 0.88 to 1.00 and hover there, the tickets at 0.89 to 1.00. All ten get to
    # 0.80 and stay, so that this tells when a network generalizes, and not at which level it settles.
    gen_threshold: Rate = 0.80
    """t_gen is the first recorded epoch with at least this test accuracy that holds (README)."""

    def __post_init__(self):
        super().__post_init__()
        if self.d_model % self.num_heads:
            raise UserError(f"d_model {self.d_model} is not divisible by num_heads {self.num_heads}")


@dataclass(frozen=True, kw_only=True)
class MnistConfig(RunConfig):
    """MNIST with a 784-200-200-10 MLP."""

    kind: ClassVar[str] = "mnist"
    module: ClassVar[str] = "configs/config_mnist.py"

    num_epochs: Count = 100_000
    """Number of passes over the training set, each one update unless batch_size makes them several."""
    save_every: Count = 1_000
    """Epochs between checkpoints, besides 0, 100, 200, 500, 1000 and the last."""
    weight_decay: NonNegative = 0.1
    """Weight decay of AdamW."""
    weight_scale: Positive = 8.0
    """Factor on the standard deviation of every initial weight."""
    gen_threshold: Rate = 0.80
    """t_gen is the first recorded epoch with at least this test accuracy that holds (README)."""
    train_size: Count = 1_000
    """Training images, drawn with the seed from the training file."""
    balanced: bool = False
    """As many training images of each class."""
    original_split: bool = False
    """The published code's split: the first train_size images of the test file train, the training file tests."""
    batch_size: Count | None = None
    """Images in a batch; None: all at once. The order of the batches comes from the seed."""
    d_model: Count = 200
    """Width of the hidden layers."""
    num_layers: Whole = 1
    """Extra hidden layers, d_model x d_model."""
    data_root: str | None = None
    """Folder with the MNIST files; None: the environment variable MNIST_ROOT, else data/raw, downloaded where missing."""

    @property
    def subject(self) -> str:
        """What is learned, the second word of a run's name."""
        return f"{self.train_size}images"


DENSE = {cls.kind: cls for cls in (MLPConfig, TransformerConfig, MnistConfig)}
