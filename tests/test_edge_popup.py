"""Edge-popup: what it promises of weights and density, its gradient by hand, and its mask as a mask like others."""

import csv
from pathlib import Path

import pytest
import torch
from networks import KINDS, build, weights_of
from scripts import bits, load, rows_of, run_folders, succeed
from torch.func import functional_call

from common.randomness import generator
from studies.edge_popup import learn, study
from studies.edge_popup.learn import EdgePopup, Learning
from training.losses import cross_entropy
from training.optimizer import OPTIMIZERS

pytestmark = pytest.mark.numerics
RATE = 0.6
QUICK = ("--epoch=10", "--num_epochs=20", "--lr=0.05")


def data(kind):
    x = torch.randint(7, (12, 2), generator=generator(0, "x"))
    x = torch.rand(12, 11, generator=generator(0, "x")) if kind == "image" else x
    return x, torch.randint(5, (12,), generator=generator(0, "y"))


def popup(kind, **named) -> EdgePopup:
    return EdgePopup(build(kind), RATE, generator(0, "scores"), **named)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("kind", KINDS)
def test_weights_stay_bit_for_bit_and_each_matrix_keeps_its_number_at_every_step(kind, name):
    model, before = popup(kind), weights_of(build(kind))
    optimizer = OPTIMIZERS[name](model, {"adamw": 0.05, "sgd": 5.0}[name], 0.1, (0.9, 0.98), None)
    (x, y), masks = data(kind), []
    for _ in range(12):
        acting = model.effective()
        assert acting.keys() == before.keys()
        for name_, weight in acting.items():
            assert int((weight != 0).sum()) == weight.numel() - round(RATE * weight.numel())
            assert bits(weight[weight != 0].detach()) == bits(before[name_][weight != 0])
        masks.append(torch.cat([(weight != 0).flatten() for weight in acting.values()]))
        cross_entropy(model(model.encode(x)), y).backward()
        optimizer.step()
    assert bits(weights_of(model.held[0])) == bits(before)
    assert not masks[0].equal(masks[-1]), "it learns"


@pytest.mark.parametrize("by_value", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_of_a_score_is_that_of_the_acting_weight_times_the_weight(kind, by_value):
    model, (x, y) = popup(kind, by_value=by_value).double(), data(kind)
    model.held[0].double()
    scores = dict(model.scores.named_parameters())
    acting = {}
    for name, weight in build(kind).double().named_parameters():
        rank = scores[name].detach() if by_value else scores[name].detach().abs()
        order = rank.flatten().argsort()
        kept = torch.ones(order.numel(), dtype=torch.float64)
        kept[order[: round(RATE * order.numel())]] = 0
        acting[name] = (weight.detach() * kept.view_as(weight)).requires_grad_()
    loss = cross_entropy(functional_call(build(kind).double(), acting, (model.encode(x),)), y)
    gradients = dict(zip(acting, torch.autograd.grad(loss, list(acting.values()), allow_unused=True), strict=True))
    mine = cross_entropy(model(model.encode(x)), y)
    assert mine.item() == pytest.approx(loss.item(), rel=1e-12)
    mine.backward()
    weights = dict(build(kind).double().named_parameters())
    for name, score in scores.items():
        wanted = gradients[name] * weights[name].detach() * (1 if by_value else score.detach().sign())
        torch.testing.assert_close(score.grad, wanted, rtol=1e-9, atol=1e-14)


def learned(dense, *flags, output="mine") -> Path:
    assert learn.main([f"--dense_run={dense}", f"--output={output}", *QUICK, *flags]) == 0
    return Path(output)


def accuracies(folder: Path) -> list[dict]:
    with (folder / "accuracies.csv").open() as file:
        return list(csv.DictReader(file))


def test_its_mask_is_a_mask_like_others(dense, capsys):
    folder = learned(dense)
    mask = load(folder / "mask.pth")["mask"]
    rows = accuracies(folder)
    assert [int(row["epoch"]) for row in rows] == list(range(21))
    assert float(rows[0]["mask_kept"]) == 1 > float(rows[-1]["mask_kept"]) > 0
    succeed("prune", f"--mask={folder}", "--retrain_num_epochs=15")
    (ticket,) = run_folders("runs")[1]
    for name, kept in load(ticket / "mask.pth")["mask"].items():
        assert kept.equal(mask[name])
        assert int(kept.sum()) == kept.numel() - round(RATE * kept.numel())
    capsys.readouterr()
    learned(dense)
    assert "is finished and is reused" in capsys.readouterr().out
    assert learn.main([f"--dense_run={dense}", "--output=mine", *QUICK, "--weight_decay=1"]) != 0
    assert "mine holds scores that were learned in another way; choose another --output" in capsys.readouterr().err


def test_how_scores_are_learned_gives_other_masks(dense):
    ways = [[], ["--learn_weights"], ["--by_value"], ["--optimizer=sgd"], ["--weight_decay=0"], ["--epoch=0"]]
    folders = [learned(dense, *flags, output=f"way{number}") for number, flags in enumerate(ways)]
    assert len({(folder / "accuracies.csv").read_text() for folder in folders}) == len(ways)


def test_what_cannot_be_is_refused(dense, capsys):
    for flags, word in (
        (["--epoch=7"], "has no checkpoint of epoch 7; saved are 0, "),
        (["--dense_run=nowhere"], "nowhere/config.json is not there"),
    ):
        assert learn.main([f"--dense_run={dense}", "--output=mine", *flags]) != 0
        assert word in capsys.readouterr().err
    assert learn.main([]) != 0
    assert "give --dense_run and --output, or --all" in capsys.readouterr().err


def test_the_study_reads_what_the_script_writes(dense, monkeypatch):
    monkeypatch.setattr(study, "EPOCHS", (5, 20))
    monkeypatch.setattr(study, "KEPT_AT_END", "mask kept at 20")
    folder = learned(dense, output=study.folder_of(study.SCORES, 1))
    row = study.learned_row(study.SCORES, 1)
    by_epoch = {int(line["epoch"]): line for line in accuracies(folder)}
    assert row["test_acc at 5"] == float(by_epoch[5]["test_acc"])
    assert row["mask kept at 20"] == float(by_epoch[20]["mask_kept"])
    monkeypatch.setattr(study, "SEEDS", (1,))
    monkeypatch.setattr(study, "LEARNED", {study.SCORES: Learning()})
    parts = study.completed({"weights trained": study.frame([{"run": dense.name, "seed": 1}])})
    assert parts["weights trained"]["test_acc at 20"].tolist() == [float(rows_of(dense)[20][4])]
    assert parts[study.SCORES_LEARNED]["test_acc at 5"].tolist() == [row["test_acc at 5"]]
    assert {name: row[name] for name in ("score_lr", "mask_epoch", "lr")} == {
        "score_lr": 0.05,
        "mask_epoch": 10,
        "lr": 1e-3,
    }


def test_the_rows_of_the_study_are_its_settings():
    from reporting.study import Study

    rows = Study("edge_popup").rows["scores learned"]
    found = sorted(zip(rows["seed"], rows["setting"], strict=True))
    assert found == sorted((seed, setting) for seed in study.SEEDS for setting in study.LEARNED)
    for setting, how in study.LEARNED.items():
        (weight_decay,) = set(rows["score_weight_decay"][rows["setting"] == setting])
        assert weight_decay == how.weight_decay
    assert study.LEARNED[study.SCORES] == Learning()
