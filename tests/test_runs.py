"""Run folders: what is in them, that a ticket is what it says, which run a command finds, and how runs are named."""

import hashlib
import itertools
import json
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
    change_json,
    config_file,
    config_of,
    load,
    readings,
    rows_of,
    run_folders,
    snapshot,
    succeed,
    summary_of,
)

from common.ranges import is_setting
from configs.base import MLPConfig, TransformerConfig
from configs.ticket import MLPTicketConfig, TransformerTicketConfig
from data.modular import OPERATIONS
from experiments.build import build_split
from experiments.reader import list_checkpoints
from training.loop import Schedule

HEADER = "epoch,train_loss,test_loss,train_acc,test_acc,train_prob,test_prob,l1norm,l2norm,train_logit_std"
LONG = ("--num_epochs=1250", "--save_every=400")
SAVED = [0, 100, 200, 400, 500, 800, 1000, 1200, 1250]
CONFIG = MLPConfig(fn_name="multiply", p=7, frac_train=0.5, d_emb=8, d_model=6, lr=0.01)
REUSED = "is finished and is reused"


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A dense run with every kind of checkpoint, and its ticket from epoch 800: the folders of both."""
    root = tmp_path_factory.mktemp("long")
    succeed("train", f"--root={root}", *LONG, draw=True)
    succeed("prune", f"--root={root}", *LONG, "--prune_at=800", "--retrain_num_epochs=130", draw=True)
    (dense,), (ticket,) = run_folders(root)
    return dense, ticket


@pytest.fixture
def root(dense):
    """The folder in which a dense run lies, with checkpoints at 0, 10, 20 and 30."""
    return dense.parent


# What a folder holds


def test_a_folder_holds_just_what_it_should(long):
    files = {"config.json", "metrics.csv", "init.pth", "final.pth", "state.pth", "summary.json", "curves.png", "lock"}
    dense, ticket = ({path.name for path in folder.iterdir()} for folder in long)
    assert dense == files | {f"{epoch}.pth" for epoch in SAVED[1:-1]}
    assert ticket == files | {"100.pth", "comparison.png", "mask.pth"}
    assert all((folder / "curves.png").read_bytes().startswith(b"\x89PNG") for folder in long)


def test_config_json_holds_every_setting_and_where_the_numbers_come_from(long):
    dense, ticket = map(config_of, long)
    assert set(dense["config"]) == set(MLPConfig().as_dict())
    assert set(ticket["config"]) == set(MLPTicketConfig().as_dict())
    assert dense["config"]["betas"] == [0.9, 0.98]
    assert (dense["config"]["p"], dense["config"]["save_every"]) == (7, 400)
    for stored in (dense, ticket):
        assert (stored["kind"], stored["format"]) == ("mlp", 2)
        assert (stored["torch"], stored["precision"]) == (torch.__version__, "torch.float32")
        assert (stored["device"], stored["threads"], stored["population"]) == ("cpu", 1, False)
        assert {"python", "hardware", "machine"} <= set(stored)
        assert stored["git_commit"] is None or len(stored["git_commit"].rstrip("+")) == 40
    assert "dense_run" not in dense
    assert ticket["dense_run"] == str(long[0])
    source = ticket["mask_source"]
    assert (source["run"], source["checkpoint"], source["epoch"]) == (long[0].name, "800.pth", 800)
    assert ticket["asked_for"][0]["dense"] == dense["asked_for"][0]
    assert ticket["asked_for"][0]["retrain"] == {"num_epochs": 130}


def test_every_file_says_whose_it_is(long):
    for folder in long:
        run = config_of(folder)["id"]
        assert summary_of(folder)["run"] == run
        for path in folder.glob("*.pth"):
            assert load(path)["run"] == run, path
    assert config_of(long[0])["id"] != config_of(long[1])["id"]


def test_checkpoints_hold_weights_and_are_listed_by_the_epoch_they_store(long, tmp_path):
    for path in set(long[0].glob("*.pth")) - {long[0] / "state.pth"}:
        value = load(path)
        assert set(value) == {"model", "epoch", "run"}
        assert set(value["model"]) == {"W_E", "W_inproj", "W_outproj", "W_U"}
        assert path.stem == {0: "init", 1250: "final"}.get(value["epoch"], str(value["epoch"]))
    assert list(list_checkpoints(long[0])) == SAVED
    copy = shutil.copytree(long[0], tmp_path / "copy")
    shutil.copy(copy / "final.pth", copy / "1250.pth")
    (copy / "400.pth").rename(copy / "9999.pth")
    listed = list_checkpoints(copy)
    assert list(listed) == SAVED
    assert listed[400].name == "9999.pth"


def test_metrics_are_recorded_densely_and_at_every_checkpoint(long):
    dense, ticket = long
    assert (dense / "metrics.csv").read_text().splitlines()[0] == HEADER
    epochs = [int(row[0]) for row in rows_of(dense)]
    assert epochs[:101] == list(range(101))
    assert all(0 < after - before <= max(1, after / 100) for before, after in itertools.pairwise(epochs))
    assert set(SAVED) <= set(epochs)
    assert len(epochs) < 500
    assert [int(row[0]) for row in rows_of(ticket)] == [epoch for epoch in epochs if epoch <= 130]
    assert Schedule(2_000, 10_000).records(1010) > Schedule(2_000, 10_000).records(1011)


def measured_by_hand(weights, split):
    """A row of metrics.csv from weights, by the textbook."""
    W_E, W_inproj, W_outproj, W_U = (weights[name].double() for name in ("W_E", "W_inproj", "W_outproj", "W_U"))
    row, spreads = [], []
    for x, y in ((split.train_x, split.train_y), (split.test_x, split.test_y)):
        embedding = W_E.T[x[:, 0]] + W_E.T[x[:, 1]]
        logits = torch.relu(embedding @ W_inproj.T) @ W_outproj.T @ W_U
        probability = logits.softmax(-1)[torch.arange(len(y)), y]
        spreads.append((logits - logits.mean(1, keepdim=True)).std(correction=0))
        row.append((F.cross_entropy(logits, y), (logits.argmax(-1) == y).double().mean(), probability.mean()))
    everything = torch.cat([weight.flatten().double() for weight in weights.values()])
    norms = (everything.abs().sum(), everything.square().sum().sqrt())
    return [float(value) for value in (*itertools.chain(*zip(*row, strict=True)), *norms, spreads[0])]


@pytest.mark.numerics
def test_each_row_is_about_the_weights_saved_at_its_epoch(long):
    split = build_split(CONFIG)
    rows = {int(row[0]): row[1:] for row in rows_of(long[0])}
    for epoch, path in list_checkpoints(long[0]).items():
        np.testing.assert_allclose(measured_by_hand(load(path)["model"], split), rows[epoch], rtol=1e-4, atol=1e-6)


def test_the_summary_comes_last_and_agrees_with_the_metrics(long):
    dense, ticket = long
    for folder in long:  # the comparison is drawn when the run is finished
        newest = max(set(folder.iterdir()) - {folder / "comparison.png"}, key=lambda path: path.stat().st_mtime_ns)
        assert newest.name == "summary.json"
    summary, rows = summary_of(dense), np.array(rows_of(dense))
    train_acc, test_acc = rows[:, 3], rows[:, 4]
    assert (summary["status"], summary["epochs"]) == ("completed", 1250)
    assert (summary["final_train_acc"], summary["final_test_acc"]) == (train_acc[-1], test_acc[-1])
    assert summary["best_test_acc"] == test_acc.max()
    assert train_acc.max() >= 0.99 > test_acc.max(), "so that t_mem is a number and t_gen is none"
    assert summary["t_mem"] == rows[train_acc >= 0.99][0, 0]
    assert summary["t_gen"] is None
    assert summary["seconds"] > 0
    assert summary["weights"] == summary["weights_kept"] == 8 * 7 + 6 * 8 + 8 * 6 + 8 * 7 == 208
    assert summary["kept_per_matrix"]["W_E"] == [56, 56]
    kept = summary_of(ticket)
    assert (kept["weights"], kept["weights_kept"]) == (208, 208 - round(0.6 * 208))
    assert sum(count for count, _ in kept["kept_per_matrix"].values()) == kept["weights_kept"]


@pytest.mark.numerics
def test_stopping_thresh_stops_at_the_first_record_below_it(root):
    losses = [(int(row[0]), row[2]) for row in rows_of(run_folders(root)[0][0])]
    threshold = min(loss for _, loss in losses) * 1.0001
    first = next(epoch for epoch, loss in losses if loss < threshold)
    assert 0 < first < 30, "so that it is told from the first and the last epoch"
    succeed("train", f"--stopping_thresh={threshold!r}", "--root=stopped")
    ((folder,), _) = run_folders("stopped")
    assert summary_of(folder)["status"] == "stopped"
    assert rows_of(folder)[-1][0] == first == load(folder / "final.pth")["epoch"]


def test_a_run_that_stops_at_epoch_0_has_an_init_for_its_ticket(place):
    succeed("main", "--stopping_thresh=100")
    assert load(run_folders("runs")[0][0] / "init.pth")["epoch"] == 0


@pytest.mark.parametrize(("flag", "epochs"), [("--lr=1e20", 10), ("--weight_scale=1e30", 0)])
def test_a_run_that_diverges_ends_with_one_line_and_its_last_good_state(place, flag, epochs):
    outcome = succeed("train", flag, draw=True)
    assert len([line for line in outcome.out.splitlines() if " diverged: " in line]) == 1
    assert outcome.err == ""
    ((folder,), _) = run_folders("runs")
    assert summary_of(folder)["status"] == "diverged"
    assert "not finite" in summary_of(folder)["note"]
    if epochs:
        final = load(folder / "final.pth")
        assert final["epoch"] < 30
        assert all(weight.isfinite().all() for weight in final["model"].values())
        assert np.isfinite(rows_of(folder)).all()
    before = snapshot(place)
    for script in ("prune", "main"):
        assert_refused(call(script, flag, "--prune_at=0"), "diverged")
    assert snapshot(place) == before


# Tickets


def test_mask_pth_says_what_it_is(long):
    dense, ticket = long
    mask = load(ticket / "mask.pth")
    assert set(mask) == {"mask", "source", "pruning_rate", "run"}
    assert mask["pruning_rate"] == pytest.approx(0.6, abs=0.5 / 208)
    assert mask["source"] == config_of(ticket)["mask_source"]
    weights = load(dense / "800.pth")["model"]
    assert {name: kept.shape for name, kept in mask["mask"].items()} == {
        name: weight.shape for name, weight in weights.items()
    }
    # By hand: the smallest |w| of epoch 800 go, over all matrices together.
    magnitudes = torch.cat([weight.abs().flatten() for weight in weights.values()])
    kept = torch.cat([kept.flatten() for kept in mask["mask"].values()])
    assert kept.dtype == torch.bool
    assert int((~kept).sum()) == round(0.6 * 208)
    assert magnitudes[~kept].max() <= magnitudes[kept].min()


def test_a_ticket_starts_at_mask_times_the_dense_init_and_pruned_weights_stay_zero(long):
    dense, ticket = long
    mask, init = load(ticket / "mask.pth")["mask"], load(dense / "init.pth")["model"]
    assert bits(load(ticket / "init.pth")["model"]) == bits({name: init[name] * mask[name] for name in init})
    checkpoints = list_checkpoints(ticket)
    assert list(checkpoints) == [0, 100, 130]
    for path in (*checkpoints.values(), ticket / "state.pth"):
        for name, weight in load(path)["model"].items():
            assert (weight[~mask[name]] == 0).all()
            assert (weight[mask[name]] != 0).all()


@pytest.mark.numerics
@pytest.mark.parametrize("size", [TINY, TINY_TRANSFORMER], ids=["mlp", "transformer"])
def test_the_ticket_that_keeps_everything_is_the_dense_run(place, size):
    kind = "" if size is TINY else "_transformer"
    succeed("train", f"--config=configs/config{kind}.py", size=size)
    succeed("prune", f"--config=configs/config_pruning{kind}.py", "--pruning_rate=0", "--prune_at=20", size=size)
    (dense,), (ticket,) = run_folders("runs")
    assert all(kept.all() for kept in load(ticket / "mask.pth")["mask"].values())
    assert len(set(map(tuple, rows_of(dense)))) == 31
    (ticket / "mask.pth").unlink()
    assert_same_run(dense, ticket)


def test_use_mask_false_trains_the_dense_init_again_without_a_mask(root):
    succeed("main", "--use_mask=False", "--pruning_rate=0.9", "--retrain_lr=0.02")
    (dense,), (control,) = run_folders(root)
    assert not (control / "mask.pth").exists()
    assert config_of(control).get("mask_source") is None
    assert bits(load(control / "init.pth")["model"]) == bits(load(dense / "init.pth")["model"])
    # Without a mask there is nothing in which the rate could show.
    assert f"{control.name} {REUSED}" in succeed("main", "--use_mask=False", "--pruning_rate=0.3", "--retrain_lr=0.02")
    assert "no mask" in succeed("main", "--stage=prune", "--use_mask=False", "--prune_at=17", "--retrain_lr=0.02")


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


def test_local_pruning_takes_the_same_rate_from_each_matrix(root):
    for spelling in ("--scope=local", config_file(scope="local")):
        succeed("main", "--stage=prune", "--pruning_rate=0.5", spelling)
    (_,), (ticket,) = run_folders(root)  # the spellings mean one ticket
    mask = load(ticket / "mask.pth")["mask"]
    kept = {name: int(kept.sum()) for name, kept in mask.items()}
    assert kept == {"W_E": 28, "W_inproj": 24, "W_outproj": 24, "W_U": 28}
    for spelling in (config_file(scope="global"), "--scope=global", "--prune_at=generalization"):
        succeed("main", "--stage=prune", spelling)
    assert len(run_folders(root)[1]) == 2


def test_random_masks_come_from_the_seed(root):
    masks = []
    for flags in (["--pruner=random"], ["--pruner=random", "--retrain_lr=0.02"], []):
        succeed("main", "--stage=prune", *flags)
        newest = max(run_folders(root)[1], key=lambda path: path.stat().st_ctime_ns)
        masks.append(bits(load(newest / "mask.pth")["mask"]))
    assert masks[0] == masks[1] != masks[2]


def test_a_mask_that_empties_a_matrix_is_named(root):
    outcome = succeed("prune", "--pruning_rate=1", "--retrain_num_epochs=2")
    warnings = [line for line in outcome.out.splitlines() if line.startswith("warning: nothing is left")]
    assert [line.split(",")[0].split()[-1] for line in warnings] == ["W_E", "W_inproj", "W_outproj", "W_U"]
    (_,), (ticket,) = run_folders(root)
    assert all((weight == 0).all() for weight in load(ticket / "final.pth")["model"].values())
    assert "nothing is left" not in succeed("prune", "--pruning_rate=0.5", "--scope=local", "--retrain_num_epochs=2")


# Where the mask is taken


@pytest.mark.parametrize(
    ("flags", "epoch"),
    [
        (["--prune_at=init"], 0),
        (["--prune_at=20"], 20),
        (["--prune_at", "030"], 30),
        (["--checkpoint=20"], 20),
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
        outcome = succeed("main", "--stage=prune", *auto, config_file(mem_threshold=threshold))
        assert f"(epoch {expected}, train acc" in outcome.out
        seen.add(expected)
    assert len(seen) >= 2, "so that it is told from a constant"
    assert_refused(call("main", "--stage=prune", *auto, config_file(mem_threshold=1.0)), "never gets to 1")


def test_auto_generalization_is_the_first_checkpoint_at_or_after_t_gen(long, place):
    """With a first crossing at 50 that does not hold, a level of 0.6 from 150 on and one of 0.9 from 401 on."""
    dense = shutil.copytree(long[0], place / "runs" / long[0].name)
    head, *rows = (dense / "metrics.csv").read_text().splitlines()
    cells = [row.split(",") for row in rows]
    for row in cells:
        epoch = int(row[0])
        row[4] = "0.9" if 50 <= epoch < 60 or epoch >= 401 else "0.6" if epoch >= 150 else "0.1"
    content = "\n".join([head, *map(",".join, cells)]) + "\n"
    (dense / "metrics.csv").write_text(content)
    change_json(dense / "summary.json", metrics_sha256=hashlib.sha256(content.encode()).hexdigest())
    auto = (*LONG, "--stage=prune", "--prune_at=generalization", "--generalization_epoch=auto")
    assert "(epoch 200, train acc" in succeed("main", *auto, "--gen_threshold=0.5").out
    never = call("main", *auto, "--gen_threshold=0.8")
    assert_refused(never, "t_gen (test acc >= 0.8)", "crosses at 50, does not hold")
    assert_refused(call("main", *auto, "--gen_threshold=0.95"), "is > 1,250")


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ([], ["means epoch 28,000; the last checkpoint before it is that of epoch 30", "has not generalized"]),
        (["--prune_at=memorization", "--memorization_epoch=10"], ["has not memorized yet (train acc", "auto takes"]),
        (["--prune_at=memorization", "--memorization_epoch=30", "--gen_threshold=0.01"], ["has gen"]),
        (["--generalization_epoch=30", "--gen_threshold=0.01"], []),
        (["--prune_at=30"], []),
        (["--prune_at=init"], []),
    ],
)
def test_where_a_stage_is_not_what_its_name_promises_it_is_said(root, flags, told):
    """The tiny run ends with a test accuracy above 0.01 and below 0.95, and a train accuracy above 0.1."""
    outcome = succeed("main", "--stage=prune", *flags, config_file(mem_threshold=0.1 if told == ["has gen"] else 0.99))
    lines = [line for line in outcome.out.splitlines() if "means epoch" in line or line.startswith("warning")]
    assert len(lines) == len(told) or told == ["has not memorized yet (train acc", "auto takes"]
    for text in told:
        assert any(text in line for line in lines), lines


def test_the_weights_of_a_later_epoch_can_be_the_start(root):
    (dense,), _ = run_folders(root)
    for flags, epoch in ((["--rewind_to=10"], 10), (["--prune_at=20", "--rewind_to=prune_at"], 20)):
        said = succeed("prune", *flags, "--retrain_num_epochs=3").out
        ticket = next(path for path in run_folders(root)[1] if f"rewind_to{epoch}" in path.name)
        assert f"{ticket.name} (ticket)" in said
        mask, weights = load(ticket / "mask.pth")["mask"], load(dense / f"{epoch}.pth")["model"]
        start = {name: weights[name] * mask[name] for name in mask}
        assert bits(load(ticket / "init.pth")["model"]) == bits(start)


# A dense run that is moved


def test_a_dense_run_is_found_under_any_name(root):
    (dense,), _ = run_folders(root)
    dense.rename(root / "my favourite")
    succeed("prune", "--prune_at=20")
    assert f"my favourite {REUSED}" in succeed("train")


# Which run a command finds


def test_a_loop_over_rates_trains_the_dense_network_once(root):
    before = snapshot(root)
    rates = (0.2, 0.4, 0.6, 0.8, 0.9)
    for rate in rates:
        outcome = succeed("main", f"--pruning_rate={rate}", "--retrain_num_epochs=5")
        assert f"{run_folders('runs')[0][0]} {REUSED}" in outcome.out
    (_,), tickets = run_folders(root)
    assert before.items() <= snapshot(root).items()
    kept = [sum(int(m.sum()) for m in load(ticket / "mask.pth")["mask"].values()) for ticket in tickets]
    assert sorted(kept) == sorted(208 - round(rate * 208) for rate in rates)


def test_scripts_share_runs_that_are_the_same(place):
    succeed("main", "--stage=train_full")
    succeed("main", "--stage=prune")
    made = snapshot("runs")
    succeed("main", "--stage=retrain", "--use_mask=True")
    after = snapshot("runs")
    assert made.keys() <= after.keys()
    same = [
        ("main", "--prune_at=30"),
        ("main", "--stage=retrain", "--prune_at=generalization", "--generalization_epoch=35"),
        ("prune", "--checkpoint=30", "--memorization_epoch=17", "--retrain_lr=0.01"),
        ("train",),
        ("main", "--stage=all", "--threads=2", "--device=auto", "--gen_threshold=0.5"),
        ("main", config_file(wandb_project="other", mem_threshold=0.5, loss="cross_entropy", betas=(0.9, 0.98))),
        ("main", "--root=./runs/"),
        ("main", "--root", str(place / "runs")),
        ("main", "--save_every=20"),
    ]
    for script, *flags in same:
        assert REUSED in succeed(script, *flags)
        assert snapshot("runs") == after, flags


def test_a_tilde_that_the_shell_has_left(root, monkeypatch):
    monkeypatch.setenv("HOME", str(root.resolve().parent))
    assert REUSED in succeed("train", f"--root=~/{root.name}").out
    assert not (root.parent / "~").exists()


def test_thresholds_change_what_is_read_and_nothing_else(root):
    (dense,), _ = run_folders(root)
    best = max(row[4] for row in rows_of(dense))
    first = next(int(row[0]) for row in rows_of(dense) if row[4] >= best)
    low = list(readings(succeed("train", f"--gen_threshold={best!r}").out))
    assert f"t_gen (test acc >= {best:.10g})" in low[0]
    assert low[2].split("|")[2] == f"{first} at first, too short to tell"
    high = list(readings(succeed("train", "--gen_threshold=1").out))
    assert high[2].split("|")[2:4] == ["> 30", "censored"]


def test_rerun_of_the_whole_story_moves_both_runs_aside_and_of_a_ticket_that_alone(place):
    succeed("main", "--prune_at=20")
    (dense,), (ticket,) = run_folders("runs")
    before = snapshot(dense), snapshot(ticket)
    assert succeed("main", "--prune_at=20", "--rerun").out.count("moved the earlier run to") == 2
    for folder, earlier in zip((dense, ticket), before, strict=True):
        aside = folder.with_name(f"{folder.name}.old1")
        assert snapshot(aside) == earlier
        assert_same_run(folder, aside)
    before = snapshot(dense)
    assert f"{ticket.name}.old2" in succeed("prune", "--prune_at=20", "--rerun").out
    assert snapshot(dense) == before
    shutil.rmtree(dense)
    assert_refused(call("prune"), "there is no finished dense run")  # what was moved aside is not found again


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(root):
    (dense,), _ = run_folders(root)
    succeed("train", "--root=again")
    succeed("train", "--root=again", "--seed=43")
    first, other = run_folders("again")[0]
    assert_same_run(dense, first)
    assert rows_of(other) != rows_of(first)
    for name, weight in load(other / "init.pth")["model"].items():
        assert not torch.equal(weight, load(first / "init.pth")["model"][name])


# Names

SETTINGS = {
    "seed": st.integers(0, 10**12),
    "lr": st.floats(0, 1e3),
    "betas": st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)),
    "weight_scale": st.floats(1e-9, 1e9, allow_subnormal=False),
    "lp_alpha": st.floats(0, 9),
    "stopping_thresh": st.none() | st.floats(1e-9, 1e9),
    "p": st.sampled_from([5, 7, 11, 113]),
    "fn_name": st.sampled_from(sorted(OPERATIONS)),
    "is_symmetric_input": st.booleans(),
    "d_model": st.integers(1, 10**5),
}
TICKET_SETTINGS = {
    "pruner": st.sampled_from(["magnitude", "random"]),
    "pruning_rate": st.floats(0, 1),
    "scope": st.sampled_from(["global", "local"]),
    "control": st.none() | st.sampled_from(["shuffled", "same_l2"]),
    "pruning_iterations": st.none() | st.integers(2, 5),
    "retrain_lr": st.none() | st.floats(0, 1e3),
    "retrain_num_epochs": st.none() | st.integers(1, 10**7),
}


@st.composite
def tickets(draw, known=SETTINGS | TICKET_SETTINGS, start=None):
    """A ticket with some settings drawn; from ``start`` one or two of them anew."""
    most = None if start is None else 2
    names = draw(st.sets(st.sampled_from(sorted(known)), min_size=1, max_size=most))
    start = start or draw(st.sampled_from([MLPTicketConfig(), TransformerTicketConfig()]))
    return start.but(**{name: draw(known[name]) for name in names})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_different_settings_have_different_names_and_the_same_ones_the_same(data):
    one = data.draw(tickets())
    other = data.draw(tickets(start=one) | tickets())
    first, second = data.draw(st.sampled_from([({"epoch": 3}, {"epoch": 3}), ({"epoch": 3}, {"epoch": 30})]))
    for run, its, another, others in ((one, first, other, second), (one.dense(), None, other.dense(), None)):
        same = run.settings(its) == another.settings(others)
        assert (run.run_name(its) == another.run_name(others)) == same
        assert len(run.run_name(its)) <= 150
        assert "/" not in run.run_name(its)
        assert json.loads(json.dumps(run.settings(its))) == run.settings(its), "as config.json gives it back"
    assert one.run_name(first) != one.dense().run_name()


def test_settings_that_differ_by_very_little_have_different_names():
    config = MLPTicketConfig(lp_alpha=0.1, stopping_thresh=0.1, retrain_lr=0.1, retrain_weight_decay=0.1)
    names = [name for name in (*SETTINGS, *TICKET_SETTINGS) if isinstance(getattr(config, name), float)]
    assert len(names) == 6
    for name in names:
        other = config.but(**{name: getattr(config, name) * (1 - 1e-9)})
        assert other.run_name({"epoch": 3}) != config.run_name({"epoch": 3}), name


def test_where_and_how_a_run_is_computed_read_and_saved_is_no_setting():
    elsewhere = {"root": "x", "device": "cpu", "threads": 5, "mem_threshold": 0.5, "gen_threshold": 0.5}
    elsewhere |= {"wandb_project": "x", "save_every": 7, "save_at": (3,)}
    for config in (MLPConfig(), TransformerConfig()):
        for name, value in elsewhere.items():
            other = config.but(**{name: value})
            assert (other.settings(), other.run_name()) == (config.settings(), config.run_name()), name
    parts = (MLPTicketConfig(), MLPConfig().task, MLPConfig().model)
    places = {field.name for part in parts for field in fields(part) if not is_setting(type(part), field.name)}
    assert places == {*elsewhere} - {"save_every", "save_at"}
