"""Run folders: what is in them, that a ticket is what it says, and when a run is reused."""

import itertools
import json
import shlex
import shutil
from dataclasses import fields

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripts import (
    TINY,
    TINY_TRANSFORMER,
    assert_refused,
    assert_same_run,
    bits,
    call,
    load,
    readings,
    rows_of,
    run_folders,
    snapshot,
    succeed,
)

from configs.base import NOT_IDENTITY, MLPConfig, TransformerConfig
from configs.ticket import MLPTicketConfig, TransformerTicketConfig, ticket_of
from data.modular import OPERATIONS
from experiments import code_state
from experiments.checkpoints import list_checkpoints
from experiments.components import build_model, build_split
from experiments.folder import RunFolder
from experiments.source_hash import SCHEME
from training.loop import Schedule

HEADER = "epoch,train_loss,test_loss,train_acc,test_acc,train_prob,test_prob,l1norm,l2norm,train_logit_std"
LONG = ("--num_epochs=1250", "--save_every=400")
SAVED = [0, 100, 200, 400, 500, 800, 1000, 1200, 1250]
CONFIG = MLPConfig(fn_name="multiply", p=7, frac_train=0.5, d_emb=8, d_model=6, lr=0.01)


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A dense run with every kind of checkpoint, and its ticket from epoch 800: the folders of both."""
    root = tmp_path_factory.mktemp("long")
    succeed("train", f"--root={root}", *LONG, draw=True)
    succeed("prune", f"--root={root}", *LONG, "--prune_at=800", "--retrain_num_epochs=130", draw=True)
    (dense,), (ticket,) = run_folders(root)
    return dense, ticket


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """The root of a dense run with checkpoints at 0, 10, 20 and 30."""
    root = tmp_path_factory.mktemp("short")
    succeed("train", f"--root={root}")
    return root


@pytest.fixture
def root(short, place):
    """A copy of ``short`` of a test's own, as ``runs`` in the working directory."""
    shutil.copytree(short, place / "runs")
    return place / "runs"


def config_of(folder):
    return json.loads((folder / "config.json").read_text())


# ---- what a folder holds


def test_a_dense_folder_holds_just_what_it_should(long):
    files = {"config.json", "metrics.csv", "init.pth", "final.pth", "state.pth", "summary.json", "curves.png", "lock"}
    assert {path.name for path in long[0].iterdir()} == files | {f"{epoch}.pth" for epoch in SAVED[1:-1]}


def test_a_ticket_folder_holds_a_mask_as_well(long):
    files = {"config.json", "metrics.csv", "init.pth", "100.pth", "final.pth", "state.pth", "summary.json"}
    assert {path.name for path in long[1].iterdir()} == files | {"curves.png", "comparison.png", "lock", "mask.pth"}


def test_the_picture_is_a_picture(long):
    for folder in long:
        assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_config_json_holds_every_setting_and_where_the_numbers_come_from(long):
    stored = config_of(long[0])
    assert stored["kind"] == "mlp"
    assert set(stored["config"]) == set(MLPConfig().as_dict())
    assert stored["config"]["betas"] == [0.9, 0.98]
    assert (stored["config"]["p"], stored["config"]["save_every"]) == (7, 400)
    assert stored["torch"] == torch.__version__
    assert (stored["device"], stored["threads"]) == ("cpu", 1)
    assert len(stored["code"]) == len("2:") + 64
    assert list(stored["executed"]["measures"]) == HEADER.split(",")[1:]
    assert (stored["executed"]["population"], stored["executed"]["cuda"]) == (False, False)
    assert stored["git_commit"] is None or len(stored["git_commit"].rstrip("+")) == 40
    assert "dense_run" not in stored


def test_a_tickets_config_json_names_its_dense_run_and_the_masks_source(long):
    dense, ticket = long
    stored = config_of(ticket)
    assert set(stored["config"]) == set(MLPTicketConfig().as_dict())
    assert stored["dense_run"] == str(dense)
    assert stored["mask_source"]["dense_run"] == dense.name
    assert stored["mask_source"]["checkpoint"] == "800.pth"
    assert stored["mask_source"]["epoch"] == 800
    assert stored["identity"]["dense"] == config_of(dense)["identity"]
    assert stored["identity"]["retraining"] == {
        "lr": 0.01, "weight_decay": 1.0, "num_epochs": 130, "save_at": [], "stop_after_gen": False
    }  # fmt: skip


def test_checkpoints_hold_weights_and_epoch_alone(long):
    for path in long[0].glob("*.pth"):
        if path.name != "state.pth":
            value = load(path)
            assert set(value) == {"model", "epoch"}
            assert set(value["model"]) == {"W_E", "W_inproj", "W_outproj", "W_U"}
            names = {0: "init", 1250: "final"}
            assert path.stem == names.get(value["epoch"], str(value["epoch"]))


def test_checkpoints_are_listed_by_the_epoch_they_store(long, tmp_path):
    dense, _ = long
    assert list(list_checkpoints(dense)) == SAVED
    copy = shutil.copytree(dense, tmp_path / "copy")
    shutil.copy(copy / "final.pth", copy / "1250.pth")
    (copy / "400.pth").rename(copy / "9999.pth")
    listed = list_checkpoints(copy)
    assert list(listed) == SAVED
    assert listed[400].name == "9999.pth"
    assert {epoch: load(path)["epoch"] for epoch, path in listed.items()} == {epoch: epoch for epoch in SAVED}


def test_metrics_are_recorded_densely_and_at_every_checkpoint(long):
    dense, ticket = long
    assert (dense / "metrics.csv").read_text().splitlines()[0] == HEADER
    epochs = [int(row[0]) for row in rows_of(dense)]
    assert epochs == sorted(set(epochs))
    assert epochs[:101] == list(range(101))
    assert all(after - before <= max(1, after / 100) for before, after in itertools.pairwise(epochs))
    assert set(SAVED) <= set(epochs)
    assert len(epochs) < 500
    # A function of the epoch alone: a shorter run records the same epochs as far as it goes.
    assert [int(row[0]) for row in rows_of(ticket)] == [epoch for epoch in epochs if epoch <= 130]
    assert Schedule(2_000, 10_000).records(1010)
    assert not Schedule(2_000, 10_000).records(1011)


def measured_by_hand(weights, split):
    """A row of metrics.csv from weights, by the textbook."""
    W_E, W_inproj, W_outproj, W_U = (weights[name].double() for name in ("W_E", "W_inproj", "W_outproj", "W_U"))
    row, spreads = [], []
    for x, y in ((split.train_x, split.train_y), (split.test_x, split.test_y)):
        embedding = W_E.T[x[:, 0]] + W_E.T[x[:, 1]]
        logits = torch.relu(embedding @ W_inproj.T) @ W_outproj.T @ W_U
        probability = logits.softmax(-1)[torch.arange(len(y)), y]
        spreads.append((logits - logits.mean(1, keepdim=True)).std(correction=0))
        row.append(
            (F.cross_entropy(logits, y), (logits.argmax(-1) == y).double().mean(), probability.mean()),
        )
    everything = torch.cat([weight.flatten().double() for weight in weights.values()])
    (losses, accuracies, probabilities) = zip(*row, strict=True)
    norms = (everything.abs().sum(), everything.square().sum().sqrt())
    return [float(value) for value in (*losses, *accuracies, *probabilities, *norms, spreads[0])]


@pytest.mark.numerics
def test_each_row_is_about_the_weights_saved_at_its_epoch(long):
    split = build_split(CONFIG)
    rows = {int(row[0]): row[1:] for row in rows_of(long[0])}
    for epoch, path in list_checkpoints(long[0]).items():
        np.testing.assert_allclose(measured_by_hand(load(path)["model"], split), rows[epoch], rtol=1e-4, atol=1e-6)


@pytest.mark.numerics
def test_epoch_e_is_the_weights_after_e_updates(place, in_float64):
    """Replayed with torch's own AdamW, parameter by parameter."""
    succeed("train", "--num_epochs=101")
    (folder,), _ = run_folders("runs")
    split = build_split(CONFIG)
    model = build_model(CONFIG, split).double()
    assert bits(dict(model.state_dict())) == bits(load(folder / "init.pth")["model"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, betas=(0.9, 0.98), weight_decay=1.0)
    for _ in range(100):
        optimizer.zero_grad()
        F.cross_entropy(model(split.train_x), split.train_y).backward()
        optimizer.step()
    for name, weight in load(folder / "100.pth")["model"].items():
        torch.testing.assert_close(weight, model.state_dict()[name], rtol=1e-9, atol=1e-9)


def test_the_summary_comes_last_and_agrees_with_the_metrics(long):
    dense, ticket = long
    for folder in long:
        files = [
            path for path in folder.iterdir() if path.name != "comparison.png"
        ]  # which comes when the run is finished
        newest = max(files, key=lambda path: path.stat().st_mtime_ns)
        assert newest.name == "summary.json"
    summary = json.loads((dense / "summary.json").read_text())
    rows = np.array(rows_of(dense))
    train_acc, test_acc = rows[:, 3], rows[:, 4]
    assert summary["status"] == "completed"
    assert summary["epochs"] == 1250
    assert summary["final_train_acc"] == train_acc[-1]
    assert summary["final_test_acc"] == test_acc[-1]
    assert summary["best_test_acc"] == test_acc.max()
    assert train_acc.max() >= 0.99 > test_acc.max(), "so that t_mem is a number and t_gen is none"
    assert summary["t_mem"] == rows[train_acc >= 0.99][0, 0]
    assert summary["t_gen"] is None
    assert summary["seconds"] > 0
    assert summary["weights"] == summary["weights_kept"] == 8 * 7 + 6 * 8 + 8 * 6 + 8 * 7
    assert summary["kept_per_matrix"]["W_E"] == [56, 56]
    kept = json.loads((ticket / "summary.json").read_text())
    assert kept["weights"] == 208
    assert kept["weights_kept"] == 208 - round(0.6 * 208)
    assert sum(count for count, _ in kept["kept_per_matrix"].values()) == kept["weights_kept"]


@pytest.mark.numerics
def test_stopping_thresh_stops_at_the_first_record_below_it(root):
    losses = [(int(row[0]), row[2]) for row in rows_of(run_folders(root)[0][0])]
    threshold = min(loss for _, loss in losses) * 1.0001
    first = next(epoch for epoch, loss in losses if loss < threshold)
    assert 0 < first < 30, "so that it is told from the first and the last epoch"
    succeed("train", f"--stopping_thresh={threshold!r}", "--root=stopped")
    ((folder,), _) = run_folders("stopped")
    assert json.loads((folder / "summary.json").read_text())["status"] == "stopped"
    assert rows_of(folder)[-1][0] == first == load(folder / "final.pth")["epoch"]


@pytest.mark.parametrize(("flag", "epochs"), [("--lr=1e20", 10), ("--weight_scale=1e30", 0)])
def test_a_run_that_diverges_ends_with_one_line_and_its_last_good_state(place, flag, epochs):
    outcome = succeed("train", flag, "--root=runs", draw=True)
    assert len([line for line in outcome.out.splitlines() if " diverged: " in line]) == 1
    assert outcome.err == ""
    ((folder,), _) = run_folders("runs")
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["status"] == "diverged"
    assert "not finite" in summary["note"]
    if epochs:
        final = load(folder / "final.pth")
        assert final["epoch"] < 30
        assert all(weight.isfinite().all() for weight in final["model"].values())
        assert np.isfinite(rows_of(folder)).all()
    before = snapshot(place)
    assert_refused(call("prune", flag, "--prune_at=0"), "diverged")
    assert snapshot(place) == before
    assert_refused(call("main", flag, "--prune_at=0"), "diverged")


# ---- tickets


def test_mask_pth_says_what_it_is(long):
    dense, ticket = long
    mask = load(ticket / "mask.pth")
    assert set(mask) == {"mask", "source", "pruning_rate"}
    assert mask["pruning_rate"] == 0.6
    assert mask["source"] == config_of(ticket)["mask_source"]
    weights = load(dense / "800.pth")["model"]
    assert {name: kept.shape for name, kept in mask["mask"].items()} == {
        name: weight.shape for name, weight in weights.items()
    }
    assert all(kept.dtype == torch.bool for kept in mask["mask"].values())
    # By hand: the smallest |w| of epoch 800 go, over all matrices together.
    magnitudes = torch.cat([weight.abs().flatten() for weight in weights.values()])
    kept = torch.cat([kept.flatten() for kept in mask["mask"].values()])
    assert int((~kept).sum()) == round(0.6 * 208)
    assert magnitudes[~kept].max() <= magnitudes[kept].min()


def test_a_ticket_starts_at_mask_times_the_dense_init(long):
    dense, ticket = long
    mask = load(ticket / "mask.pth")["mask"]
    start, init = (load(folder / "init.pth")["model"] for folder in (ticket, dense))
    assert bits(start) == bits({name: init[name] * mask[name] for name in init})


def test_pruned_weights_stay_zero(long):
    _, ticket = long
    mask = load(ticket / "mask.pth")["mask"]
    checkpoints = list_checkpoints(ticket)
    assert list(checkpoints) == [0, 100, 130]
    for path in (*checkpoints.values(), ticket / "state.pth"):
        for name, weight in load(path)["model"].items():
            assert (weight[~mask[name]] == 0).all()
            assert (weight[mask[name]] != 0).all()


@pytest.mark.numerics
@pytest.mark.parametrize("size", [TINY, TINY_TRANSFORMER], ids=["mlp", "transformer"])
def test_the_identity_ticket_is_the_dense_run(place, size):
    kind = () if size is TINY else ("--config=configs/config_transformer.py",)
    ticket_kind = () if size is TINY else ("--config=configs/config_pruning_transformer.py",)
    succeed("train", *kind, size=size)
    succeed("prune", *ticket_kind, "--pruning_rate=0", "--prune_at=20", size=size)
    (dense,), (ticket,) = run_folders("runs")
    assert all(kept.all() for kept in load(ticket / "mask.pth")["mask"].values())
    assert len(set(map(tuple, rows_of(dense)))) == 31
    (ticket / "mask.pth").unlink()
    assert_same_run(dense, ticket)


def test_use_mask_false_trains_the_dense_init_again_without_a_mask(root):
    succeed("main", "--use_mask=False", "--pruning_rate=0.9")
    (dense,), (control,) = run_folders(root)
    assert not (control / "mask.pth").exists()
    assert config_of(control)["mask_source"] is None
    assert_same_run(dense, control)
    # Without a mask there is nothing in which the rate could show.
    assert "is finished and is reused" in succeed("main", "--use_mask=False", "--pruning_rate=0.3")


def test_a_tilde_that_the_shell_has_left(root, monkeypatch):
    monkeypatch.setenv("HOME", str(root.resolve().parent))
    assert "is finished and is reused" in succeed("train", f"--root=~/{root.name}").out
    assert not (root.parent / "~").exists()


def test_retrain_flags_change_the_ticket_alone(root):
    before = snapshot(root)
    succeed("prune", "--prune_at=20", "--retrain_lr=0.02", "--retrain_weight_decay=0", "--retrain_num_epochs=12")
    (_,), (ticket,) = run_folders(root)
    assert before.items() <= snapshot(root).items()
    assert list(list_checkpoints(ticket)) == [0, 10, 12]
    mask, start = load(ticket / "mask.pth")["mask"], load(ticket / "init.pth")["model"]
    after = load(ticket / "10.pth")["model"]
    steps = torch.cat([(after[name] - start[name])[mask[name]].abs() for name in mask])
    assert 0.11 < steps.max() <= 0.22, "ten steps of AdamW at lr 0.02 without decay"


@pytest.mark.parametrize("spelling", ["--global_pruning=False", "--scope=local"])
def test_local_pruning_takes_the_same_rate_from_each_matrix(root, spelling):
    succeed("main", "--stage=prune", "--pruning_rate=0.5", spelling)
    (_,), (ticket,) = run_folders(root)
    mask = load(ticket / "mask.pth")["mask"]
    assert {name: int(kept.sum()) for name, kept in mask.items()} == {
        "W_E": 28,
        "W_inproj": 24,
        "W_outproj": 24,
        "W_U": 28,
    }
    assert call("main", "--stage=prune", "--pruning_rate=0.5", "--global_pruning", "False").status == 0
    assert run_folders(root)[1] == [ticket], "the spellings mean one ticket"


def test_global_pruning_true_is_the_default(root):
    for spelling in ("--global_pruning=True", "--scope=global", "--prune_at=generalization"):
        succeed("main", "--stage=prune", spelling)
    assert len(run_folders(root)[1]) == 1


def test_random_masks_come_from_the_seed(root):
    masks = []
    for name in ("one", "two"):
        shutil.copytree(root, name)
        succeed("prune", f"--root={name}", "--pruner=random", "--retrain_num_epochs=1")
        (_,), (ticket,) = run_folders(name)
        masks.append(bits(load(ticket / "mask.pth")["mask"]))
    assert masks[0] == masks[1]
    succeed("prune", "--root=one", "--retrain_num_epochs=1")
    magnitude = next(path for path in run_folders("one")[1] if "magnitude" in path.name)
    assert bits(load(magnitude / "mask.pth")["mask"]) != masks[0]


def test_a_mask_that_empties_a_matrix_is_named(root):
    outcome = succeed("prune", "--pruning_rate=1", "--retrain_num_epochs=2")
    warnings = [line for line in outcome.out.splitlines() if line.startswith("warning: nothing is left")]
    assert len(warnings) == 4
    for name, line in zip(("W_E", "W_inproj", "W_outproj", "W_U"), warnings, strict=True):
        assert name in line
    (_,), (ticket,) = run_folders(root)
    assert all((weight == 0).all() for weight in load(ticket / "final.pth")["model"].values())
    assert "nothing is left" not in succeed("prune", "--pruning_rate=0.5", "--scope=local", "--retrain_num_epochs=2")


# ---- prune_at


@pytest.mark.parametrize(
    ("flags", "epoch"),
    [
        (["--prune_at=init"], 0),
        (["--prune_at=20"], 20),
        (["--prune_at", "030"], 30),
        (["--checkpoint=20"], 20),
        (["--checkpoint=init"], 0),
        (["--prune_at=generalization"], 30),
        (["--prune_at=generalization", "--generalization_epoch=29"], 20),
        (["--checkpoint=generalization", "--generalization_epoch=20"], 20),
        (["--prune_at=memorization", "--memorization_epoch=15"], 10),
        (["--prune_at=memorization", "--memorization_epoch=9"], 0),
    ],
)
def test_prune_at_takes_the_last_checkpoint_at_or_before(root, flags, epoch):
    outcome = succeed("main", "--stage=prune", *flags)
    assert f"(epoch {epoch}, train acc" in outcome.out
    (_,), (ticket,) = run_folders(root)
    assert load(ticket / "mask.pth")["source"]["epoch"] == epoch
    assert ticket.name.endswith(f"_at{epoch}")


def test_auto_memorization_is_the_first_checkpoint_at_or_after_t_mem(root):
    (dense,), _ = run_folders(root)
    accuracy = {int(row[0]): row[3] for row in rows_of(dense)}
    auto = ("--prune_at=memorization", "--memorization_epoch=auto")
    seen = set()
    for threshold in sorted(set(accuracy.values())):
        reached = min(epoch for epoch in accuracy if accuracy[epoch] >= threshold)
        expected = min(epoch for epoch in (0, 10, 20, 30) if epoch >= reached)
        outcome = succeed("main", "--stage=prune", *auto, f"--mem_threshold={threshold!r}")
        assert f"(epoch {expected}, train acc" in outcome.out
        seen.add(expected)
    assert len(seen) >= 2, "so that it is told from a constant"
    assert_refused(call("main", "--stage=prune", *auto, "--mem_threshold=1"), "never gets to 1")


def test_auto_generalization_is_the_first_checkpoint_at_or_after_t_gen(long, place):
    """With a first crossing at 50 that does not hold, a level of 0.6 from 150 on and one of 0.9 from 401 on."""
    dense = shutil.copytree(long[0], place / "runs" / long[0].name)
    head, *rows = (dense / "metrics.csv").read_text().splitlines()
    cells = [row.split(",") for row in rows]
    for row in cells:
        epoch = int(row[0])
        row[4] = "0.9" if 50 <= epoch < 60 or epoch >= 401 else "0.6" if epoch >= 150 else "0.1"
    (dense / "metrics.csv").write_text("\n".join([head, *map(",".join, cells)]) + "\n")
    auto = (*LONG, "--stage=prune", "--prune_at=generalization", "--generalization_epoch=auto")
    assert "(epoch 200, train acc" in succeed("main", *auto, "--gen_threshold=0.5").out
    assert_refused(
        call("main", *auto, "--gen_threshold=0.8"), "t_gen (test acc >= 0.8)", "crosses at 50, does not hold"
    )
    assert_refused(call("main", *auto, "--gen_threshold=0.95"), "is > 1,250")


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (
            ["--prune_at=generalization"],
            ["means epoch 28,000; the last checkpoint before it is that of epoch 30", "has not"],
        ),
        (
            ["--prune_at=memorization", "--memorization_epoch=10"],
            ["has not memorized yet (train acc", "epoch auto takes"],
        ),
        (
            ["--prune_at=memorization", "--memorization_epoch=30", "--mem_threshold=0.1", "--gen_threshold=0.01"],
            ["already"],
        ),
        (["--prune_at=generalization", "--generalization_epoch=30", "--gen_threshold=0.01"], []),
        (["--prune_at=30"], []),
        (["--prune_at=init"], []),
    ],
)
def test_where_a_stage_is_not_what_its_name_promises_it_is_said(root, flags, told):
    """The tiny run ends with a test accuracy above 0.01 and below 0.95, and a train accuracy above 0.1."""
    outcome = succeed("main", "--stage=prune", *flags)
    lines = [line for line in outcome.out.splitlines() if "means epoch" in line or line.startswith("warning")]
    assert bool(lines) == bool(told)
    for text in told:
        assert any(text in line for line in lines), lines


def test_an_epoch_that_was_not_saved_lists_those_that_were(root):
    before = snapshot(root)
    assert_refused(call("prune", "--prune_at=25"), "epoch 25 was not saved", "0, 10, 20, 30")
    assert snapshot(root) == before


def test_a_dense_run_can_be_named_by_its_folder(root, place):
    (dense,), _ = run_folders(root)
    moved = dense.rename(place / "moved")
    # Its settings come from its config.json, so none needs to be repeated; another root takes the ticket.
    outcome = call("prune", "--dense_run=moved", "--prune_at=20", "--root=tickets", "--threads=1", size=())
    assert outcome.status == 0, outcome
    _, (ticket,) = run_folders("tickets")
    assert config_of(ticket)["identity"]["dense"] == config_of(moved)["identity"]
    assert len(rows_of(ticket)) == 31
    refused = call("prune", "--dense_run=moved", "--lr=0.5", size=())
    assert_refused(refused, "--lr 0.5 describes another dense run", "--retrain_lr")
    assert_refused(call("prune", "--dense_run=tickets", size=()), "is tickets the folder of a run?")


def test_a_dense_run_is_found_under_any_name(root):
    (dense,), _ = run_folders(root)
    dense.rename(root / "my favourite")
    succeed("prune", "--prune_at=20")
    assert "my favourite is finished and is reused" in succeed("train")


# ---- reuse


def test_without_a_dense_run_the_message_holds_the_command_that_makes_it(place):
    flags = ["--seed=3", "--betas", "0.8", "0.9", "--fn_name=x2y2", "--is_symmetric_input=False", "--root=some runs"]
    outcome = call("prune", *flags)
    assert_refused(outcome, "python train.py --config")
    assert not list(place.iterdir())
    script, *argv = shlex.split(outcome.message.partition("python ")[2])
    assert script == "train.py"
    succeed("train", *argv, size=("--threads=1", "--device=cpu"))
    succeed("prune", *flags)
    (dense,), (_ticket,) = run_folders("some runs")
    assert config_of(dense)["config"]["betas"] == [0.8, 0.9]


def test_that_command_knows_an_unfinished_run_that_is_named_by_its_folder(root, place):
    (dense,), _ = run_folders(root)
    (dense / "summary.json").unlink()
    dense = dense.rename(place / "elsewhere" / "run" if (place / "elsewhere").mkdir() is None else dense)
    outcome = call("prune", "--dense_run=elsewhere/run", size=())
    assert_refused(outcome, "--root elsewhere")
    succeed("train", *outcome.message.partition("train.py ")[2].split(), size=("--threads=1", "--device=cpu"))
    assert (dense / "summary.json").exists()
    assert call("prune", "--dense_run=elsewhere/run", "--threads=1", size=()).status == 0


def test_a_loop_over_rates_trains_the_dense_network_once(root):
    before = snapshot(root)
    for rate in (0.2, 0.4, 0.6, 0.8, 0.9):
        outcome = succeed("main", f"--pruning_rate={rate}", "--prune_at=generalization", "--retrain_num_epochs=5")
        assert f"{run_folders('runs')[0][0]} is finished and is reused" in outcome.out
    (_,), tickets = run_folders(root)
    assert before.items() <= snapshot(root).items()
    assert len(tickets) == 5
    kept = [int(sum(m.sum() for m in load(ticket / "mask.pth")["mask"].values())) for ticket in tickets]
    assert sorted(kept) == sorted(208 - round(rate * 208) for rate in (0.2, 0.4, 0.6, 0.8, 0.9))


def test_scripts_share_runs_that_are_the_same(place):
    succeed("main", "--stage=train_full")
    succeed("main", "--stage=prune")
    made = snapshot("runs")
    succeed("main", "--stage=retrain", "--use_mask=True")
    assert made.items() <= snapshot("runs").items()
    made = snapshot("runs")
    same = [
        ("main", "--prune_at=30"),
        ("main", "--stage=retrain", "--prune_at=generalization", "--generalization_epoch=35"),
        ("prune", "--checkpoint=30", "--memorization_epoch=17", "--retrain_lr=0.01"),
        ("train",),
        ("main", "--stage=all", "--threads=2", "--device=auto", "--mem_threshold=0.5", "--gen_threshold=0.5"),
        ("main", "--root=./runs/", "--wandb_project=other"),
        ("main", "--root", str(place / "runs")),
    ]
    for script, *flags in same:
        assert "is finished and is reused" in succeed(script, *flags)
        assert snapshot("runs") == made, flags
    assert len(run_folders("runs")[0]) == len(run_folders("runs")[1]) == 1


def test_thresholds_change_what_is_read_and_nothing_else(root):
    (dense,), _ = run_folders(root)
    best = max(row[4] for row in rows_of(dense))
    first = next(int(row[0]) for row in rows_of(dense) if row[4] >= best)
    low = list(readings(succeed("train", f"--gen_threshold={best!r}").out))
    assert f"t_gen (test acc >= {best:g})" in low[0]
    assert low[2].split("|")[2] == f"{first} at first, too short to tell"
    high = list(readings(succeed("train", "--gen_threshold=1").out))
    assert high[2].split("|")[2:4] == ["> 30", "censored"]


def test_a_change_of_the_code_is_said(root, monkeypatch):
    assert "code that trains has changed" not in succeed("train")
    monkeypatch.setattr(code_state, "source_hash", lambda *_, **__: f"{SCHEME}:other")
    outcome = succeed("train")
    assert "is finished and is reused; the code that trains has changed since: --rerun" in outcome.out


def test_rerun_moves_the_run_aside_and_trains_again(root):
    (dense,), _ = run_folders(root)
    before = snapshot(dense)
    for number in (1, 2):
        aside = dense.with_name(f"{dense.name}.old{number}")
        assert f"moved the earlier run to {aside.relative_to(root.parent)}" in succeed("train", "--rerun").out
        assert_same_run(dense, aside)
    assert snapshot(dense.with_name(f"{dense.name}.old1")) == before
    assert len(list(root.iterdir())) == 3
    # What was moved aside is not found again.
    shutil.rmtree(dense)
    assert_refused(call("prune"), "there is no finished dense run")


def test_rerun_of_the_whole_story_moves_both_runs_aside(place):
    succeed("main", "--prune_at=20")
    (dense,), (ticket,) = run_folders("runs")
    before = snapshot(dense), snapshot(ticket)
    outcome = succeed("main", "--prune_at=20", "--rerun")
    assert outcome.out.count("moved the earlier run to") == 2
    for folder, earlier in zip((dense, ticket), before, strict=True):
        aside = folder.with_name(f"{folder.name}.old1")
        assert snapshot(aside) == earlier
        assert_same_run(folder, aside)


def test_rerun_of_a_ticket_leaves_the_dense_run_alone(root):
    succeed("prune", "--prune_at=20")
    (dense,), (ticket,) = run_folders(root)
    before = snapshot(dense)
    outcome = succeed("prune", "--prune_at=20", "--rerun")
    assert f"{ticket.name}.old1" in outcome.out
    assert_same_run(ticket, ticket.with_name(f"{ticket.name}.old1"))
    assert snapshot(dense) == before


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(root):
    (dense,), _ = run_folders(root)
    succeed("train", "--root=again")
    succeed("train", "--root=again", "--seed=43")
    first, other = run_folders("again")[0]
    assert_same_run(dense, first)
    assert rows_of(other) != rows_of(first)
    for name, weight in load(other / "init.pth")["model"].items():
        assert not torch.equal(weight, load(first / "init.pth")["model"][name])


# ---- names


positive = st.floats(1e-9, 1e9, allow_subnormal=False)
SETTINGS = {
    "seed": st.integers(0, 10**12),
    "num_epochs": st.integers(1, 10**7),
    "save_every": st.integers(1, 10**7),
    "lr": st.floats(0, 1e3),
    "weight_decay": st.floats(0, 1e3),
    "betas": st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)),
    "weight_scale": positive,
    "act_type": st.sampled_from(["relu", "gelu"]),
    "lp": st.floats(1, 9),
    "lp_alpha": st.floats(0, 9),
    "stopping_thresh": st.none() | positive,
    "p": st.sampled_from([5, 7, 11, 113]),
    "fn_name": st.sampled_from(sorted(OPERATIONS)),
    "frac_train": st.floats(0.2, 0.8),
    "is_symmetric_input": st.booleans(),
    "d_model": st.integers(1, 10**5),
    "num_layers": st.integers(1, 99),
}
TICKET_SETTINGS = {
    "pruner": st.sampled_from(["magnitude", "random"]),
    "pruning_rate": st.floats(0, 1),
    "scope": st.sampled_from(["global", "local"]),
    "retrain_lr": st.none() | st.floats(0, 1e3),
    "retrain_weight_decay": st.none() | st.floats(0, 1e3),
    "retrain_num_epochs": st.none() | st.integers(1, 10**7),
}
KINDS = {MLPConfig: MLPTicketConfig, TransformerConfig: TransformerTicketConfig}


@st.composite
def configs(draw):
    cls = draw(st.sampled_from(list(KINDS)))
    given_fields = draw(st.sets(st.sampled_from(sorted(SETTINGS))))
    return cls(**{name: draw(SETTINGS[name]) for name in given_fields})


@st.composite
def nearby(draw, known, config):
    """The config with one or two settings drawn anew."""
    names = draw(st.sets(st.sampled_from(sorted(known)), min_size=1, max_size=2))
    return config.but(**{name: draw(known[name]) for name in names})


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_different_settings_have_different_names(data):
    one = data.draw(configs())
    other = data.draw(nearby(SETTINGS, one) | configs())
    same = one.identity() == other.identity()
    assert (one.run_name() == other.run_name()) == same
    assert (json.dumps(one.identity()) == json.dumps(other.identity())) == same
    assert "/" not in one.run_name()
    assert len(one.run_name()) <= 150


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_different_tickets_have_different_names(data):
    dense = data.draw(configs())
    one = ticket_of(dense, **{name: data.draw(values) for name, values in TICKET_SETTINGS.items()})
    other = data.draw(nearby(TICKET_SETTINGS, one) | nearby(SETTINGS, one))
    at = data.draw(st.sampled_from([(3, 3), (3, 30)]))
    same = one.identity(at[0]) == other.identity(at[1])
    assert (one.run_name(at[0]) == other.run_name(at[1])) == same
    assert one.run_name(at[0]) != one.dense().run_name()
    assert len(one.run_name(at[0])) <= 150
    control = one.but(use_mask=False)
    assert control.identity(1) == control.identity(2) != one.identity(1)
    assert control.run_name(1) == control.run_name(2) != one.run_name(1)


def test_settings_that_differ_by_very_little_have_different_names():
    config = MLPTicketConfig(lp_alpha=0.1, stopping_thresh=0.1, retrain_lr=0.1, retrain_weight_decay=0.1)
    names = [name for name in (*SETTINGS, *TICKET_SETTINGS) if isinstance(getattr(config, name), float)]
    assert len(names) == 10
    for name in names:
        other = config.but(**{name: getattr(config, name) * (1 - 1e-9)})
        assert other.run_name(3) != config.run_name(3), name


def test_every_field_is_part_of_the_identity_or_said_not_to_be():
    for cls in KINDS:
        config = cls()
        free = {"root", "device", "threads", "wandb_project", "mem_threshold", "gen_threshold"}
        assert set(config.identity()) == set(config.as_dict()) - free
        assert set(config.as_dict()) >= {field.name for part in (config.task, config.model) for field in fields(part)}
        assert free <= set(NOT_IDENTITY)
        free_values = {"root": "x", "device": "cpu", "threads": 5, "mem_threshold": 0.5, "gen_threshold": 0.5}
        elsewhere = config.but(**free_values, wandb_project="x")
        assert elsewhere.identity() == config.identity()
        assert elsewhere.run_name() == config.run_name()


def test_a_run_has_one_name_however_a_config_spells_its_numbers():
    one, other = MLPTicketConfig(weight_decay=2, betas=(0, 0.9)), MLPTicketConfig(weight_decay=2.0, betas=(0.0, 0.9))
    assert one.run_name() == other.run_name()
    assert str(one.identity()) == str(other.identity())
    assert isinstance(MLPTicketConfig(retrain_lr=1).retrain_lr, float)
    assert MLPTicketConfig().retrain_lr is None
    assert isinstance(MLPTicketConfig(memorization_epoch=5).memorization_epoch, int)


def test_looking_whether_a_folder_is_held_changes_nothing(tmp_path):
    folder = RunFolder(tmp_path / "run", {})
    assert not folder.is_held
    assert not folder.path.exists()
    with folder.lock():
        assert folder.is_held
    assert not folder.is_held
