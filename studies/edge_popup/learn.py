"""Edge-popup: which weights to keep is learned, and the weights stay as they are (Ramanujan et al., arXiv 1911.13299).

    python -m studies.edge_popup.learn --all              all masks of this study; what is there already stays
    python -m studies.edge_popup.learn --dense_run runs/mlp_add_seed0 --output runs/mine --weight_decay 1
    python prune.py --seed 0 --mask runs/mine/mask.pth

The second learns scores for the weights of a dense run at an epoch, and writes mask.pth, accuracies.csv and summary.json; the third
retrains the mask.
"""

import copy
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call

from common.errors import UserError, run_script
from common.files import load_json, save_json, save_tensors, save_text
from common.randomness import generator
from configs.flags import config_from_json, parse_flags
from experiments import build
from experiments.origin import git_commit, hardware
from experiments.reader import list_checkpoints, listed, read_config
from models.model import set_weights
from training.loop import train
from training.metrics import columns

KEPT = ("epoch", "train_acc", "test_acc")  # of metrics.csv, in accuracies.csv


@dataclass(frozen=True)
class Learning:
    """How scores are learned."""

    epoch: int = 2_000
    """Epoch of the dense run whose weights are held."""
    pruning_rate: float = 0.6
    """Fraction of each matrix that is removed."""
    num_epochs: int = 2_000
    """Epochs for which scores are learned."""
    lr: float = 0.01
    """Learning rate of the scores."""
    weight_decay: float = 10.0
    """Weight decay of the scores."""
    optimizer: str = "adamw"
    """Optimizer of the scores."""
    by_value: bool = False
    """Rank scores by s, not by |s|."""
    learn_weights: bool = False
    """Train the weights as well."""


@dataclass(frozen=True)
class Flags(Learning):
    """This script."""

    dense_run: Path | None = None
    """Folder of the dense run."""
    output: Path | None = None
    """Folder for what is written."""
    all: bool = False
    """Learn all masks of the study."""


class EdgePopup(nn.Module):
    """``network`` without all but the weights with the largest scores; what is trained are the scores.

    Of each matrix exactly ``round(pruning_rate * N)`` weights are 0; the others act as they are, without rescaling. Scores are
    ranked by ``|s|``, as the reference has it, or, with ``by_value``, by ``s``, as the appendix of arXiv 2310.19470 has it. The step
    from ranks to the mask is straight-through: a score's gradient is dL/dw_eff * w, times sign(s) where |s| is ranked
    (arXiv 1911.13299, eq. 5 and 6). Scores start uniform in +- 1 / sqrt(columns of the matrix), as the reference's.

    ``learn_weights``: the weights are trained as well, by the same optimizer: the paper's "edge-popup + WD", which is no longer a
    mask of given weights.
    """

    def __init__(self, network: nn.Module, pruning_rate: float, generator, by_value=False, learn_weights=False):
        super().__init__()
        self.pruning_rate, self.by_value, self.learn_weights = pruning_rate, by_value, learn_weights
        self.scores = copy.deepcopy(network)
        with torch.no_grad():
            for score in self.scores.parameters():
                score.copy_((2 * torch.rand(score.shape, generator=generator) - 1) / score.shape[-1] ** 0.5)
        if learn_weights:
            self.weights = network
        self.held = [network]  # in a list: no part of what is trained

    def mask(self) -> dict[str, Tensor]:
        """What acts now, ``{name: 0 or 1 as float}``, with the gradient of a rank in the place of its own."""
        masks = {}
        for name, score in self.scores.named_parameters():
            rank = score if self.by_value else score.abs()
            num_kept = score.numel() - round(self.pruning_rate * score.numel())
            largest = rank.detach().flatten().topk(num_kept, sorted=False).indices
            kept = torch.zeros_like(score).flatten().index_fill_(0, largest, 1.0).view_as(score)
            masks[name] = kept + (rank - rank.detach())
        return masks

    def effective(self) -> dict[str, Tensor]:
        """The weights of the network as it acts, ``{name: (out, in)}``."""
        mask = self.mask()
        weights = dict(self.held[0].named_parameters())
        return {name: (w if self.learn_weights else w.detach()) * mask[name] for name, w in weights.items()}

    def encode(self, x: Tensor) -> Tensor:
        return self.held[0].encode(x)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, as the network's."""
        return functional_call(self.held[0], self.effective(), (x,))


class Record:
    """The recorder of ``training.loop.train``: accuracies, and the share of the first mask that is kept, at each recorded epoch."""

    def __init__(self, model: EdgePopup):
        self.model, self.rows, self.is_running = model, [], True
        self.first = self.kept()

    def kept(self) -> dict[str, Tensor]:
        return {name: mask > 0 for name, mask in self.model.mask().items()}

    def observe(self, epoch: int, row: list[float], get_state, schedule) -> None:
        values = dict(zip(columns(), [epoch, *row], strict=True))
        first, now = (torch.cat([kept.flatten() for kept in mask.values()]) for mask in (self.first, self.kept()))
        self.rows.append([*(values[name] for name in KEPT), int((first & now).sum()) / int(first.sum())])
        self.is_running = epoch < schedule.num_epochs

    def save_state(self, epoch: int, state: dict) -> None:
        """Nothing: an interrupted learning begins anew."""


def learn(dense_run: Path, output: Path, how: Learning) -> None:
    """Learn the scores and write what came of it, mask.pth last; a finished one stays.

    Raises UserError where the dense run does not have the epoch, or where ``output`` holds what was learned in another way.
    """
    about = asdict(how) | {"dense_run": dense_run.name}
    if (output / "mask.pth").exists():
        if load_json(output / "summary.json")["how"] != about:
            raise UserError(f"{output} holds scores that were learned in another way; choose another --output")
        return print(f"{output} is finished and is reused")
    config = config_from_json(read_config(dense_run), dense_run / "config.json")
    build.set_threads_and_denormals(config)
    saved = list_checkpoints(dense_run)
    if how.epoch not in saved:
        raise UserError(f"{dense_run} has no checkpoint of epoch {how.epoch}; saved are {listed(saved)}")
    split = build.build_split(config)
    network = build.build_model(config, split)
    set_weights(network, build.load_weights(saved[how.epoch], network))
    drawn = generator(config.seed, "scores")
    model = EdgePopup(network, how.pruning_rate, drawn, how.by_value, how.learn_weights)
    trained = {name: getattr(how, name) for name in ("lr", "weight_decay", "optimizer", "num_epochs")}
    config = replace(config, **trained, stop_after_gen=False, device="cpu")
    record, began = Record(model), time.time()
    optimizer = build.build_optimizer([config], model, [None], torch.device("cpu"))
    train(model, split, build.build_loss(config), optimizer, [record], build.build_schedule(config))
    lines = [",".join([*KEPT, "mask_kept"]), *(",".join(map(str, row)) for row in record.rows)]
    where = {"seconds": time.time() - began, "hardware": hardware("cpu"), "threads": config.threads}
    output.mkdir(parents=True, exist_ok=True)
    save_text("\n".join(lines) + "\n", output / "accuracies.csv")
    save_json({"how": about, "git_commit": git_commit()} | where, output / "summary.json")
    save_tensors({"mask": record.kept(), "source": about, "pruning_rate": how.pruning_rate}, output / "mask.pth")
    print(f"test accuracy {record.rows[-1][2]:.3f} after {how.num_epochs:,} epochs; wrote {output / 'mask.pth'}")


def run(argv: list[str] | None) -> None:
    flags = parse_flags(Flags, argv, prog="python -m studies.edge_popup.learn", description=__doc__)
    if flags.all:
        from studies.edge_popup.study import learn_all

        return learn_all()
    if flags.dense_run is None or flags.output is None:
        raise UserError("give --dense_run and --output, or --all")
    how = Learning(**{field.name: getattr(flags, field.name) for field in fields(Learning)})
    return learn(flags.dense_run, flags.output, how)


def main(argv: list[str] | None = None) -> int:
    return run_script(lambda: run(argv))


if __name__ == "__main__":
    raise SystemExit(main())
