"""Runs that could be taken for one another: each mix-up is refused, or said."""

import json
import signal
from pathlib import Path

import pytest
import scripts
from scripts import assert_refused, call, load, run_folders, succeed

import report
import sweep
from experiments import jobs
from experiments.reading import read_metrics
from experiments.source_hash import SCHEME
from training.metrics import FIRST_COLUMNS
from training.signals import STOPPING, catch_signals


@pytest.fixture
def runs(place):
    """A dense run and its ticket."""
    succeed("main")
    (dense,), (ticket,) = run_folders(place / "runs")
    return dense, ticket


def test_a_ticket_is_no_dense_run(runs):
    _, ticket = runs
    before = run_folders(ticket.parent)
    assert_refused(call("prune", f"--dense_run={ticket}", "--pruning_rate=0.8"), "another run")
    assert run_folders(ticket.parent) == before


@pytest.mark.parametrize("flag", ["--dense_run", "--dense-run"])
def test_a_dense_run_of_another_seed_must_not_be_described_otherwise(runs, flag):
    dense, _ = runs
    assert_refused(call("prune", f"{flag}={dense}", "--seed=5"), "--seed 5 describes another dense run")
    assert "reused" in succeed("prune", f"{flag}={dense}")


def test_a_dense_run_named_in_a_config_module_is_held_to_the_same(runs):
    dense, _ = runs
    module = Path("mine.py")
    text = "from configs.ticket import MLPTicketConfig\nconfig = MLPTicketConfig(dense_run={!r}, gen_threshold=0.123)"
    module.write_text(text.format(str(dense)))
    assert_refused(call("prune", f"--config={module}", "--seed=3"), "--seed 3 describes another dense run")
    outcome = succeed("prune", f"--config={module}", "--pruning_rate=0.3")
    assert "test acc >= 0.123" in outcome  # the module's own thresholds, not those of the dense run
    stored = json.loads((dense.parent / f"{dense.name}__magnitude0.3_global_at30" / "config.json").read_text())
    assert stored["identity"]["dense"]["seed"] == 42


def test_a_sweep_takes_no_dense_run_and_no_single_seed(runs, monkeypatch):
    monkeypatch.setitem(scripts.SCRIPTS, "sweep", sweep.main)
    assert_refused(call("sweep", f"--dense_run={runs[0]}"), "--dense_run")
    assert_refused(call("sweep", "--seed=7"), "--seeds")
    assert_refused(call("sweep", "--workers=-1"), "--workers")


def test_an_interrupted_ticket_does_not_go_on_with_another_mask(runs):
    _, ticket = runs
    (ticket / "summary.json").unlink()
    path = ticket / "mask.pth"
    content = load(path)
    content["mask"] = {name: ~kept for name, kept in content["mask"].items()}
    scripts.torch.save(content, path)
    assert_refused(call("prune"), "not the mask", "--rerun")
    assert "moved the earlier run" in succeed("prune", "--rerun")


def test_resuming_with_changed_code_is_said_and_recorded(runs):
    dense, _ = runs
    (dense / "summary.json").unlink()
    path = dense / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "code": f"{SCHEME}:older"}))
    assert "has changed since the run began" in succeed("train")
    assert "changed while it trained" in json.loads(path.read_text())["code"]
    assert "has changed since" in succeed("train")


def test_a_run_that_stops_at_epoch_0_has_an_init_for_its_ticket(place):
    succeed("main", "--stopping_thresh=100")
    (dense,), _ = run_folders(place / "runs")
    assert load(dense / "init.pth")["epoch"] == 0


def test_a_state_from_after_the_end_is_refused(runs):
    dense, _ = runs
    state = (dense / "state.pth").read_bytes()
    succeed("train", "--num_epochs=3")
    shorter = next(path for path in dense.parent.iterdir() if "num_epochs3_" in path.name)
    (shorter / "summary.json").unlink()
    (shorter / "state.pth").write_bytes(state)
    assert_refused(call("train", "--num_epochs=3"), "state.pth", "another run")


def test_a_state_of_another_seed_is_refused(runs):
    """Of the same shapes and the same epoch: nothing but the run that it names tells it from this one's."""
    dense, _ = runs
    succeed("train", "--seed=7")
    other = next(path for path in dense.parent.iterdir() if "seed7" in path.name)
    (dense / "summary.json").unlink()
    (dense / "state.pth").write_bytes((other / "state.pth").read_bytes())
    assert_refused(call("train"), str(dense.name), "state.pth is another run's", "--rerun")


def test_a_state_from_before_states_named_their_run_is_taken(runs):
    dense, _ = runs
    (dense / "summary.json").unlink()
    state = load(dense / "state.pth")
    del state["identity"], state["columns"]
    state["rows"] = state["rows"][:, :9]  # measures that have come since
    scripts.torch.save(state, dense / "state.pth")
    before = read_metrics(dense)
    assert "goes on from epoch 30" in succeed("train").out
    after = read_metrics(dense)
    assert all(after[name].tolist() == before[name].tolist() for name in FIRST_COLUMNS)


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (["--prune_at=init", "--checkpoint=generalization"], ["--prune_at", "--checkpoint"]),
        (["--checkpoint=generalization", "--prune-at", "init"], ["--prune_at", "--checkpoint"]),
        (["--scope=local", "--global_pruning=True"], ["--scope", "--global_pruning"]),
        (["--global-pruning", "False", "--scope=global"], ["--scope", "--global_pruning"]),
    ],
)
def test_two_names_of_one_setting_with_different_values_are_a_mistake(place, flags, names):
    for script in ("main", "prune"):
        assert_refused(call(script, *flags), *names, "two names of one setting")


def test_two_names_of_one_setting_with_one_value_are_none(runs):
    _, ticket = runs
    for flags in (["--prune_at=30", "--checkpoint=30"], ["--scope=global", "--global_pruning=True"]):
        assert f"{ticket.name} is finished and is reused" in succeed("prune", *flags).out


def test_global_pruning_overrides_what_a_config_module_says(runs, monkeypatch):
    module = Path("mine.py")
    module.write_text("from configs.ticket import MLPTicketConfig\nconfig = MLPTicketConfig(scope='local')")
    assert "magnitude0.6_global_at30" in succeed("prune", f"--config={module}", "--global_pruning=True").out
    assert "magnitude0.6_local_at30" in succeed("prune", f"--config={module}").out
    monkeypatch.setitem(scripts.SCRIPTS, "sweep", sweep.main)
    module.write_text(
        "from configs.ticket import MLPTicketConfig\nfrom configs.sweep import Sweep\n"
        "sweep = Sweep(MLPTicketConfig(), {'global_pruning': [True, False]})"
    )
    assert_refused(call("sweep", f"--config={module}", size=()), "global_pruning is no axis")


def test_advice_names_only_flags_that_exist(runs):
    dense, _ = runs
    assert "--retrain_seed" not in call("prune", f"--dense_run={dense}", "--seed=5").message
    assert_refused(call("prune", f"--dense_run={dense}", "--lr=5"), "--retrain_lr")


def test_advice_repeats_the_flags_that_matter(place):
    """Those that say where and how it is computed, too: without them the command would not do what this one would have done."""
    outcome = call("prune", "--threads=2", "--device=cpu", "--root=mine")
    assert_refused(outcome, "--threads 2", "--device cpu", "--root mine")
    flags = ["--data_root=my images", "--train_size=10"]
    outcome = call("prune", "--config=configs/config_pruning_mnist.py", *flags, size=())
    assert_refused(outcome, "train_mnist.py", "--data_root 'my images'", "--train_size 10")


def test_the_control_without_a_mask_needs_no_epoch(runs):
    assert "no_mask" in succeed("main", "--use_mask=False", "--prune_at=17").out
    assert "nothing to prune" in succeed("main", "--stage=prune", "--use_mask=False")


@pytest.mark.parametrize("name", ["config", "dense_run"])
def test_an_empty_flag_is_a_mistake(place, name):
    assert_refused(call("prune", f"--{name}="), f"--{name}", "empty")


def test_seeds_with_long_names_are_one_group_of_the_report(place, capsys):
    flags = [
        "--retrain_num_epochs=20",
        "--retrain_lr=0.02",
        "--retrain_weight_decay=0.5",
        "--lp_alpha=0.001",
        "--lp=1.5",
    ]
    for seed in (0, 1):
        succeed("main", *flags, f"--seed={seed}")
    assert report.main(["--root=runs"]) == 0
    assert capsys.readouterr().out.count("median (range)") == 1
    assert report.main(["--root=runs", "--gen_thresholds", "nan"]) == 2


def test_the_command_that_main_suggests_is_about_the_same_dense_run(runs):
    said = succeed("main").out
    line = next(line for line in said.splitlines() if "--prune_at=init" in line)
    flags = line.split("main.py", 1)[1].split()
    assert call("main", *flags, "--stage=prune", "--device=cpu", size=()).status == 0
    assert len(run_folders(runs[0].parent)[0]) == 1


def test_a_signal_that_comes_while_another_is_caught_is_not_lost():
    with catch_signals() as outer:
        with catch_signals() as inner:
            signal.raise_signal(signal.SIGTERM)
        assert inner.received == signal.SIGTERM
        signal.raise_signal(inner.received)
        assert outer.received == signal.SIGTERM
    assert all(signal.getsignal(number) is not None for number in STOPPING)


def test_a_ticket_that_is_trained_by_other_code_than_took_its_mask_says_which(place, monkeypatch):
    succeed("train")
    succeed("main", "--stage=prune")
    (ticket,) = run_folders("runs")[1]
    before = json.loads((ticket / "config.json").read_text())
    monkeypatch.setattr(jobs, "git_commit", lambda: "another")
    succeed("prune", "--threads=2")
    after = json.loads((ticket / "config.json").read_text())
    assert (before["threads"], after["threads"]) == (1, 2)
    assert after["git_commit"] == "another"
    assert after["identity"] == before["identity"]


def test_naming_the_task_or_model_that_is_there_changes_nothing(place):
    """And another model is at what is usual for it, as by its own config module."""
    Path("mine.py").write_text(
        "from configs.base import Dense\nfrom data.modular import Modular\nfrom models.mlp import MLP\n"
        "config = Dense(task=Modular(fn_name='x2y2', p=7, frac_train=0.5), model=MLP(d_emb=5, d_model=5), num_epochs=2)"
    )
    size = ("--device=cpu", "--threads=1", "--config=mine.py")
    succeed("train", size=size)
    assert "is reused" in succeed("train", "--task=modular", "--model=mlp", size=size).out
    said = succeed("train", "--model=transformer", "--num_epochs=3", size=size).out
    assert "t_gen (test acc >= 0.8)" in said
    (other,) = [run for run in run_folders("runs")[0] if run.name.startswith("transformer_x2y2_seed42_num_epochs3_p7")]
    assert json.loads((other / "config.json").read_text())["config"]["d_model"] == 128
