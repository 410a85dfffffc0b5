"""Models, optimizers and measures of one's own that ask more of the loop: dropout, biases, ties, a second gradient."""

from pathlib import Path

import pytest
import torch
from scripts import TINY, bits, call, config_of, load, rows_of, run_folders, signalled, succeed, summary_of

from configs.flags import load_config
from experiments.populations import train_population
from experiments.reader import read_metrics
from training.metrics import METRICS

MODEL = '''
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from configs.ticket import MLPTicketConfig
from models.model import Model, normal
from training.optimizer import AdamW


@dataclass(frozen=True, kw_only=True)
class Mine(Model):
    """Embeddings that are added, a hidden layer with a bias, dropout, and an output that is the embedding again."""

    name: ClassVar[str] = "mine"
    dropout: float = 0.0
    """Share of the hidden units that is dropped in training."""
    normalize: bool = False
    """Batch normalization, which has buffers."""

    def build(self, num_inputs, num_classes, generator):
        return Network(self, num_inputs, generator)


class Network(nn.Module):
    def __init__(self, sizes, p, generator):
        super().__init__()
        self.p, self.dropout = p, nn.Dropout(sizes.dropout)
        self.norm = nn.BatchNorm1d(20) if sizes.normalize else nn.Identity()
        self.W_E = normal(10, p, std=p**-0.5, generator=generator)
        self.W = normal(20, 10, std=10**-0.5, generator=generator)
        self.bias = nn.Parameter(torch.full((20,), 0.1))
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.W_out = normal(10, 20, std=20**-0.5, generator=generator)
        self.W_U = self.W_E

    def encode(self, x):
        return F.one_hot(x, self.p).sum(-2).to(self.W_E.dtype)

    def forward(self, x):
        hidden = self.dropout(F.relu(self.norm(x @ self.W_E.mT @ self.W.mT + self.bias.unsqueeze(-2))))
        return self.scale[..., None, None] * (hidden @ self.W_out.mT @ self.W_U)


class SAM(AdamW):
    """The gradient at the weights a step of length 0.05 uphill (arXiv 2010.01412), then AdamW's update."""

    def update(self):
        here = self.flat.clone()
        uphill = self.grad if self.mask is None else self.grad * self.mask
        self.flat.add_(0.05 * uphill / uphill.norm(dim=-1, keepdim=True))
        self.compute_gradients()
        self.flat.copy_(here)
        super().update()


config = MLPTicketConfig(model=Mine(MINE), optimizer=OPTIMIZER)
'''
SIZE = [flag for flag in TINY if "d_emb" not in flag and "d_model" not in flag and "epochs" not in flag]
SIZE += ["--num_epochs=60", "--generalization_epoch=60", "--memorization_epoch=20"]


def mine(made: str = "", optimizer: str = '"adamw"') -> str:
    Path("mine.py").write_text(MODEL.replace("MINE", made).replace("OPTIMIZER", optimizer))
    return "--config=mine.py"


def test_biases_are_trained_and_never_pruned_and_a_tied_weight_is_one_weight(place):
    out = succeed("main", mine(), "--pruning_rate=0.5", "--weight_decay=0", size=SIZE).out
    (dense,), (ticket,) = run_folders("runs")
    mask = load(ticket / "mask.pth")["mask"]
    assert set(mask) == {"W_E", "W", "W_out"}
    assert sum(int(kept.sum()) for kept in mask.values()) == (7 * 10 + 200 + 200) // 2
    assert f"{(70 + 400) // 2:,} of 470 weights kept" in out
    first, last = (load(ticket / name)["model"] for name in ("init.pth", "final.pth"))
    assert set(first) == {"W_E", "W", "W_out", "bias", "scale"}
    assert bits(first["bias"]) == bits(load(dense / "init.pth")["model"]["bias"])
    assert not last["bias"].equal(first["bias"])
    assert bool((last["bias"] != 0).all())
    assert last["scale"] != 1
    assert not last["W_E"][~mask["W_E"]].any()
    assert summary_of(ticket)["weights"] == 470 + 20 + 1
    for control in ("signs", "same_l2_logits", "reinit"):
        succeed("prune", mine(), "--pruning_rate=0.5", "--weight_decay=0", f"--control={control}", size=SIZE)


def test_dropout_is_off_where_metrics_are_measured_and_comes_from_the_seed(place):
    flags = (mine("dropout=0.5"), "--save_every=20")
    with signalled(15, rows=31):
        assert call("train", *flags, "--root=stopped", size=SIZE).status == 128 + 15
    torch.rand(3)  # what else has been drawn in the process has no part in it
    for root in ("stopped", "whole"):
        succeed("train", *flags, f"--root={root}", size=SIZE)
    folders = [run_folders(root)[0][0] for root in ("stopped", "whole")]
    assert rows_of(folders[0]) == rows_of(folders[1])
    assert bits(load(folders[0] / "final.pth")["model"]) == bits(load(folders[1] / "final.pth")["model"])
    config = load_config("mine.py").dense().but(fn_name="multiply", p=7, frac_train=0.5, num_epochs=60)
    split = config.task.split(42)
    network = config.model.build(7, 7, torch.Generator())
    network.load_state_dict(load(folders[0] / "final.pth")["model"], strict=False)
    logits = network.eval()(network.encode(split.test_x))
    accuracy = float((logits.argmax(-1) == split.test_y).double().mean())
    assert rows_of(folders[0])[-1][1 + list(METRICS).index("test_acc")] == accuracy
    succeed("train", mine(), "--root=without", size=SIZE)
    assert rows_of(run_folders("without")[0][0])[0] == rows_of(folders[0])[0], "before the first step they are the same"
    assert rows_of(run_folders("without")[0][0])[1] != rows_of(folders[0])[1]


@pytest.mark.parametrize("made", ["dropout=0.5", "normalize=True"])
def test_in_a_population_each_run_is_what_it_is_alone(place, made):
    succeed("train", mine(made), "--root=alone", size=SIZE)
    own = {"fn_name": "multiply", "p": 7, "frac_train": 0.5, "lr": 0.01, "num_epochs": 60, "save_every": 10}
    own |= {"device": "cpu", "root": "together"}
    config = load_config("mine.py").dense().but(**own)
    folders = train_population(
        [config.but(seed=seed) for seed in (41, 42)], lambda config, error: pytest.fail(str(error))
    )
    alone = run_folders("alone")[0][0]
    assert rows_of(alone) == rows_of(folders[1].path)
    if made == "normalize=True":
        assert "norm.running_mean" in load(alone / "final.pth")["model"]


def test_a_model_with_batch_normalization_has_tickets_and_controls(place):
    flags = (mine("normalize=True"), "--pruning_rate=0.5")
    succeed("main", *flags, size=SIZE)
    (dense,), (ticket,) = run_folders("runs")
    for folder in (dense, ticket):
        assert load(folder / "final.pth")["model"]["norm.num_batches_tracked"] == 60
    assert load(ticket / "init.pth")["model"]["norm.num_batches_tracked"] == 0, (
        "its buffers, too, are those of the init"
    )
    for control in ("same_l2_logits", "reinit", "shuffled"):
        succeed("prune", *flags, f"--control={control}", size=SIZE)
    assert "is finished and is reused" in succeed("main", *flags, size=SIZE).out


def test_an_optimizer_may_ask_for_a_second_gradient(place):
    succeed("main", mine(optimizer="SAM"), "--retrain_num_epochs=20", size=SIZE)
    (dense,), _ = run_folders("runs")
    assert config_of(dense)["training"]["optimizer"] != "adamw"
    config = load_config("mine.py").dense().but(fn_name="multiply", p=7, frac_train=0.5)
    split, start = config.task.split(42), load(dense / "init.pth")["model"]
    network = config.model.build(7, 7, torch.Generator())
    network.load_state_dict(start, strict=False)
    adamw = torch.optim.AdamW(network.parameters(), lr=0.01, betas=config.betas, weight_decay=config.weight_decay)
    for _ in range(20):  # the definition, step by step
        here = [weight.detach().clone() for weight in network.parameters()]

        def gradients() -> list[torch.Tensor]:
            logits = network(network.encode(split.train_x)).double()
            return torch.autograd.grad(
                torch.nn.functional.cross_entropy(logits, split.train_y), list(network.parameters())
            )

        uphill = gradients()
        length = torch.cat([grad.flatten() for grad in uphill]).norm()
        with torch.no_grad():
            for weight, grad in zip(network.parameters(), uphill, strict=True):
                weight.add_(0.05 * grad / length)
            uphill = gradients_at = None
        gradients_at = gradients()
        with torch.no_grad():
            for weight, before, grad in zip(network.parameters(), here, gradients_at, strict=True):
                weight.copy_(before)
                weight.grad = grad
        adamw.step()
    saved = load(dense / "20.pth")["model"]
    for name, weight in network.named_parameters():
        torch.testing.assert_close(weight.detach(), saved[name], rtol=1e-4, atol=1e-5)


def test_a_measure_gets_weights_gradients_and_mask_by_name_and_is_left_out_where_it_means_nothing(place, monkeypatch):
    own = {
        "mean_weight": lambda seen: torch.cat([weight.flatten() for weight in seen.weights.values()]).mean(),
        "gradient_norm": lambda seen: seen.padded_gradients.norm(dim=-1),
        "inverse": lambda seen: 1 / seen.padded_gradients.norm(dim=-1),
        "share_kept": lambda seen: torch.stack([kept.double().mean() for kept in seen.mask.values()]).mean(),
        "margin": lambda seen: (seen.test.logits.topk(2).values.diff().abs()).mean(),
    }
    for name, value in own.items():
        monkeypatch.setitem(METRICS, name, value)
    assert "share_kept is left out" in succeed("main", mine(), "--retrain_num_epochs=20", size=SIZE).out
    (dense,), (ticket,) = run_folders("runs")
    dense_metrics, metrics = read_metrics(dense), read_metrics(ticket)
    model = load(dense / "final.pth")["model"]
    assert sum(weight.numel() for weight in model.values()) % 16, "so that there is padding"
    mean = float(torch.cat([weight.flatten() for weight in model.values()]).mean())
    assert dense_metrics["mean_weight"][-1] == pytest.approx(mean, rel=1e-4)
    assert dense_metrics["gradient_norm"][0] == 0
    assert dense_metrics["gradient_norm"][1] > 0
    kept = [float(kept.double().mean()) for kept in load(ticket / "mask.pth")["mask"].values()]
    assert 0.3 < metrics["share_kept"][-1] < 1
    assert metrics["share_kept"][-1] == pytest.approx((sum(kept) + 2) / 5, rel=1e-6), "vectors keep all"
    out = succeed(
        "train", "--task=regression", "--model=image_mlp", "--num_epochs=5", "--root=numbers", size=("--device=cpu",)
    ).out
    assert "the measure margin is left out" in out
    assert summary_of(run_folders("numbers")[0][0])["status"] == "completed"
    assert out.count("margin") == 1
