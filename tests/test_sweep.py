"""Sweeps: their plan, and workers that share none of it."""

import errno
import fcntl
import os
import re
import shutil
from pathlib import Path

import pytest
from scripts import Spawned, assert_refused, assert_same_run, call, context, load, run_folders, snapshot, succeed
from sweeps import SMALL, building_fails, done, made_by_older_code, run_sweep, train_sweep, write

from common.errors import UserError
from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig
from experiments import queue, trainer
from experiments.folder import RunFolder
from experiments.queue import Planned
from reporting.study import STUDIES

POPULATIONS = pytest.mark.parametrize("population", [False, True])


@pytest.fixture
def module(place, monkeypatch):
    monkeypatch.setattr(queue, "POLL_SECONDS", 0.02)
    return write()


# ---- what a sweep is


def test_configs_are_the_grid_seed_by_seed():
    axes = {"pruning_rate": [0.1, 0.2], "scope": ["global", "local"]}
    made = Sweep(MLPTicketConfig(), axes=axes, seeds=(5, 6)).configs()
    told = [(config.seed, config.pruning_rate, config.scope) for config in made]
    grid = [(0.1, "global"), (0.1, "local"), (0.2, "global"), (0.2, "local")]
    assert told == [(5, *point) for point in grid] + [(6, *point) for point in grid]


def test_settings_have_names_or_are_named_by_what_they_change():
    settings = {"the ticket": {}, "at init": {"prune_at": "init"}}
    sweep = Sweep(MLPTicketConfig(), settings, seeds=(3, 4))
    told = [(config.seed, config.prune_at, label) for config, label in sweep.labels.items()]
    assert told == [
        (seed, at, name) for seed in (3, 4) for at, name in (("generalization", "the ticket"), ("init", "at init"))
    ]
    assert sweep.varying == ["prune_at"]
    assert list(Sweep(MLPTicketConfig(), [{}, {"pruning_rate": 0.3}]).named) == ["unchanged", "pruning rate 0.3"]


def test_what_is_given_twice_is_one_run():
    base = MLPTicketConfig()
    assert len(Sweep(base, axes={"pruning_rate": [0.3, 0.3, 0.6]}, seeds=(0, 0, 1)).configs()) == 4
    assert len(Sweep(base, [{}, {"pruning_rate": base.pruning_rate}], seeds=(0,)).configs()) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"base": MLPTicketConfig}, "MLPTicketConfig()"),
        ({"axes": {"pruning_rate": 0.3}}, "axes are"),
        ({"axes": {"pruning_rate": []}}, "pruning_rate has no values"),
        ({"settings": {"prune_at": "10"}}, "settings are"),
        ({"settings": ["pruning_rate"]}, "settings are"),
        ({"axes": {"pruning_rate": [0.3]}, "settings": [{}]}, "not both"),
        ({"seeds": 3}, "seeds are"),
        ({"seeds": ()}, "at least one seed"),
    ]
    + [({"axes": {name: [1]}}, f"{name} is no axis") for name in ("root", "gen_threshold", "seed", "num_heads")],
)
def test_a_sweep_that_is_written_wrong_says_what_it_should_be(arguments, told):
    with pytest.raises(UserError, match=re.escape(told)):
        Sweep(**{"base": MLPTicketConfig()} | arguments)


# ---- what is trained


def test_a_sweep_trains_each_dense_run_once_and_every_ticket(module, monkeypatch):
    with building_fails(monkeypatch):
        listed = run_sweep("--list")
    assert (listed.out.count("ready"), listed.out.count("waits")) == (2, 8)
    assert not Path("runs").exists()
    assert "10 of 10 runs are done, 0 failed" in train_sweep()
    assert [len(folders) for folders in run_folders("runs")] == [2, 8]
    before = snapshot("runs")
    with building_fails(monkeypatch):
        assert "10 of 10 runs are done" in run_sweep("--list")
        train_sweep()
    assert snapshot("runs") == before
    flags = [f"--{name}={value}" for name, value in SMALL.items()]
    succeed("main", *flags, "--root=alone", "--seed=1", "--pruning_rate=0.3", "--retrain_weight_decay=0", size=())
    assert len(done("alone")) == 2
    for name in done("alone"):
        assert_same_run(Path("alone") / name, Path("runs") / name)


def test_flags_override_the_base_and_the_seeds_but_not_an_axis(module):
    outcome = run_sweep("--seeds", "3", "--num_epochs=12", "--list")
    assert "seed3_num_epochs12" in outcome
    assert "of 5 runs" in outcome
    for flag in ("--pruning_rate=0.5", "--pruning_rate=0.6", "--pruning-rate=0.5"):  # 0.6 is what the base has
        assert_refused(run_sweep(flag), "pruning_rate", "axis")
    assert_refused(run_sweep(f"--seed={MLPTicketConfig().seed}"), "--seeds")
    assert_refused(run_sweep(module="configs/config.py"), "defines no `sweep`")


@pytest.mark.slow
def test_a_study_goes_by_its_name_and_builds_nothing(place):
    for name in sorted(path.parent.name for path in STUDIES.glob("*/study.py")):
        outcome = call("sweep", name, "--list", "--seeds", "0", size=())
        assert outcome.status == 0, outcome
        assert re.search(r"^0 of [1-9]\d* runs are done$", outcome.out, re.MULTILINE)
    assert not os.listdir(place)
    assert_refused(call("sweep", "nothing", size=()), "studies/nothing/study.py is not there; there are")
    assert_refused(call("sweep", name, "--config=my_sweep.py", size=()), "leave its name or --config out")
    assert_refused(call("sweep", size=()), "which study?")


def test_a_mask_may_be_that_of_another_seed_or_operation(place):
    """A setting's ``mask`` is a function; the run whose mask it is, and its dense run, are trained first."""
    Path("my_sweep.py").write_text(
        "from configs.sweep import Sweep\nfrom configs.ticket import MLPTicketConfig\n"
        "def of_next_seed(config): return config.but(seed=config.seed + 1)\n"
        "def of_addition(config): return config.but(fn_name='add')\n"
        f"sweep = Sweep(MLPTicketConfig(**{SMALL!r}), seeds=(0,), settings={{'own': {{}},\n"
        "    'of the next seed': {'mask': of_next_seed}, 'of addition': {'mask': of_addition}})\n"
    )
    assert "8 of 8 runs are done, 0 failed" in train_sweep()
    masks = {}
    for folder in run_folders("runs")[1]:
        masks[folder.name] = load(folder / "mask.pth")["mask"]
    lent = {name: mask for name, mask in masks.items() if "__mask_" in name}
    owners = [mask for name, mask in masks.items() if "seed1" in name or "mlp_add" in name]
    assert (len(lent), len(owners)) == (2, 2)
    assert all("multiply_seed0" in name for name in lent)
    for owner in owners:
        same = [all(owner[name].equal(kept) for name, kept in mask.items()) for mask in lent.values()]
        assert sorted(same) == [False, True]
    collected = run_sweep("--collect", "--output=out")
    assert "3 of 3 runs are finished" in collected
    assert all(f"| {name} " in collected.out for name in ("own", "of the next seed", "of addition"))


BY_CONTENT = [{"pruner": "random", "pruning_rate": 0.0}, {"pruning_rate": 0.0}]


@pytest.mark.parametrize(
    ("settings", "trained", "population"),
    [
        ([{"weight_decay": 2, "pruning_rate": 0.3}, {"weight_decay": 2.0, "pruning_rate": 0.6}], 3, False),
        ([{"prune_at": "10"}, {"prune_at": "generalization", "generalization_epoch": 10}], 2, True),
        (BY_CONTENT, 2, False),
        (BY_CONTENT, 2, True),
    ],
)
def test_settings_that_mean_one_run_train_it_once(module, settings, trained, population):
    write(settings=settings, seeds=(0,))
    train_sweep(f"--population={population}")
    assert len(done()) == trained
    assert "3 of 3 runs are done, 0 failed" in train_sweep(f"--population={population}")
    assert ("settings mean one and the same run" in run_sweep("--collect", "--output=out")) == (trained == 2)


@POPULATIONS
def test_a_control_that_means_nothing_is_done_and_no_failure(module, population, monkeypatch):
    write(settings=[{"pruning_rate": 0.0, "control": "pruned_neurons"}, {}], seeds=(0,))
    outcome = train_sweep(f"--population={population}")
    assert "3 of 3 runs are done, 0 failed" in outcome
    assert "pruned_neurons" in outcome
    assert len(done()) == 2
    with building_fails(monkeypatch):
        assert "not applicable" in run_sweep("--list")
        train_sweep(f"--population={population}")
        assert "1 of 2 runs are finished" in run_sweep("--collect", "--output=out")


# ---- what goes wrong


def test_a_run_that_fails_is_reported_and_stops_no_other(module):
    write(axes={"prune_at": ["init", "17"]}, seeds=(0, 1))
    outcome = run_sweep("--workers=1")
    assert outcome.status == 1
    assert "epoch 17 was not saved" in outcome
    assert "4 of 6 runs are done, 2 failed" in outcome
    assert len(done()) == 4
    assert "cannot  (epoch 17 was not saved" in run_sweep("--list")


def test_tickets_of_a_dense_run_that_fails_are_not_waited_for(module, monkeypatch):
    whole = queue.train_one

    def broken(config, *more, **named):
        if config.seed == 0 and not hasattr(config, "pruning_rate"):
            raise OSError("no space left")
        return whole(config, *more, **named)

    monkeypatch.setattr(queue, "train_one", broken)
    outcome = run_sweep("--workers=1")
    assert outcome.status == 1
    assert "no space left" in outcome
    assert "5 of 10 runs are done, 5 failed" in outcome


@pytest.mark.slow
@POPULATIONS
def test_runs_of_older_code_are_counted_and_trained_again_when_asked(module, population, monkeypatch):
    train_sweep()
    tickets = run_folders("runs")[1]
    assert "older versions" not in run_sweep("--list").out
    made_by_older_code(tickets[0])
    before = {folder.name: snapshot(folder) for folder in Path("runs").iterdir()}
    for flags in (["--list"], ["--workers=1"], ["--collect", "--output=out"]):
        with building_fails(monkeypatch):
            outcome = run_sweep(*flags)
        assert "have trained 1 of 10 runs, such as" in outcome, outcome
        assert tickets[0].name in outcome
    assert {folder.name: snapshot(folder) for folder in Path("runs").iterdir()} == before
    outcome = train_sweep("--rerun", f"--population={population}")
    assert "10 of 10 runs are done, 0 failed" in outcome
    assert "older versions" not in outcome
    assert [path.name for path in Path("runs").glob("*.old1")] == [f"{tickets[0].name}.old1"]
    assert_same_run(tickets[0], tickets[0].with_name(f"{tickets[0].name}.old1"))
    before.pop(tickets[0].name)
    assert before.items() <= {folder.name: snapshot(folder) for folder in Path("runs").iterdir()}.items()


# ---- several workers


def test_a_worker_that_waits_builds_nothing(module, monkeypatch):
    """Another process trains the dense run: this one looks again and again, by settings alone, and then goes on."""
    write(axes={"pruning_rate": [0.3]}, seeds=(0,))
    polls = []
    with building_fails(monkeypatch) as _, monkeypatch.context() as other:
        other.setattr(Planned, "is_held", property(lambda run: len(polls) < 5))
        other.setattr(queue.time, "sleep", lambda seconds: polls.append(seconds))
        with pytest.raises(AssertionError, match="was built"):
            run_sweep("--workers=1")
    assert len(polls) == 5
    train_sweep()


def noting_worker(place: Path, start: int) -> None:
    """A sweep's worker in a process of its own, which writes down what it trains."""
    os.chdir(place)
    whole = trainer.train_to_the_end

    def noted(folder, made):
        with open("trained.txt", "a") as file:
            file.write(f"{folder.path.name}\n")
        whole(folder, made)

    queue.POLL_SECONDS, trainer.train_to_the_end = 0.02, noted
    raise SystemExit(run_sweep("--workers=1", f"--index={start}").status)


@pytest.mark.slow
def test_two_workers_on_one_root_train_every_run_once(module):
    both = [context().Process(target=noting_worker, args=(Path.cwd(), start)) for start in (0, 1)]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0]
    trained = Path("trained.txt").read_text().split()
    assert sorted(trained) == sorted(done())
    assert len(trained) == 10
    train_sweep("--root=alone")
    for name in done():
        assert_same_run(Path("alone") / name, Path("runs") / name)


@pytest.mark.slow
def test_a_killed_sweep_goes_on_where_it_was(module):
    with Spawned(Path.cwd(), "sweep", f"--config={module}", "--workers=1", pace=0.002) as process:
        assert process.wait(lambda: len(done()) >= 3)
        process.kill()
    assert 3 <= len(done()) < 10
    train_sweep()
    train_sweep("--root=alone")
    for name in done("alone"):
        assert_same_run(Path("alone") / name, Path("runs") / name)


@pytest.mark.slow
def test_array_tasks_share_what_populations_train(module, monkeypatch):
    """Of eight tickets each of two tasks takes four, whichever comes first."""
    train_sweep()
    for ticket in run_folders("runs")[1]:
        shutil.rmtree(ticket)
    sizes, whole = [], queue.train_population

    def counted(configs, *more):
        sizes.append(len(configs))
        return whole(configs, *more)

    monkeypatch.setattr(queue, "train_population", counted)
    train_sweep("--population=True", "--num_tasks=2")
    assert sizes[0] == 4
    assert sum(sizes) == 8


# ---- without locks


@pytest.fixture
def no_locks(monkeypatch):
    """A file system on which no lock can be taken."""

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(RunFolder, "needs_lock", True)  # put back after the test


@POPULATIONS
def test_without_locks_the_tasks_share_by_index_and_miss_nothing(module, no_locks, population):
    flags = ("--no_locks", "--num_tasks=3", f"--population={population}")
    for index, seed in ((1, 1), (0, 0)):
        assert "5 of 5 runs are done, 0 failed" in train_sweep(*flags, f"--index={index}")
        assert sum(f"seed{seed}" in name for name in done()) == 5
    assert len(done()) == 10
    assert "0 of 0 runs are done" in train_sweep(*flags, "--index=2"), "more tasks than dense runs"
    assert_refused(run_sweep("--no_locks", "--workers=2"), "--workers=1", "--index", "--num_tasks")


def test_a_lock_that_cannot_be_taken_is_one_line_that_names_the_flag(module, no_locks):
    for outcome in (run_sweep(), run_sweep("--workers=1"), call("train")):
        assert_refused(outcome, "no lock can be taken on this file system (No locks available)", "--no_locks", "--root")
    assert not done()
