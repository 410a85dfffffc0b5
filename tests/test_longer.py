"""A longer run that begins at the end of a shorter one is, bit for bit, the run that it would have been by itself."""

import json
import shutil
from pathlib import Path

import pytest
from scripts import TINY, TINY_TRANSFORMER, assert_same_run, rows_of, run_folders, snapshot, succeed

from configs.base import MLPConfig
from experiments.jobs import job_of
from experiments.source_hash import SCHEME
from experiments.train_jobs import run_job, run_population

pytestmark = pytest.mark.numerics

# Neither is recorded or saved in a run that goes on: not a multiple of save_every, and above 100.
ENDS = (137, 253)


def dense_of(root: str, epochs: int) -> Path:
    """The dense run of so many epochs."""
    (folder,) = [path for path in run_folders(root)[0] if f"_num_epochs{epochs}_" in path.name]
    return folder


@pytest.mark.parametrize(
    ("size", "flags"),
    [
        (TINY, []),
        (TINY, ["--save_at", "120", "137"]),
        (TINY, ["--batch_size=5"]),
        (TINY, ["--lp_alpha=0.01"]),
        (TINY_TRANSFORMER, ["--config=configs/config_transformer.py", "--num_layers=2"]),
    ],
    ids=["mlp", "save_at", "batches", "lp", "transformer"],
)
def test_a_longer_run_goes_on_bit_for_bit(place, size, flags):
    for epochs in ENDS:
        said = succeed("train", *flags, f"--num_epochs={epochs}", size=size).out
        assert ("goes on from epoch 137 of" in said) == (epochs == 253)
    before = snapshot(dense_of("runs", 137))
    outcome = succeed("train", *flags, "--num_epochs=402", size=size)
    longer, shorter = dense_of("runs", 402), dense_of("runs", 253)
    assert f"{longer} goes on from epoch 253 of {shorter}" in outcome.out, "the longest of them"
    succeed("train", *flags, "--num_epochs=402", "--root=alone", size=size)
    assert_same_run(longer, dense_of("alone", 402))
    assert 253 not in [row[0] for row in rows_of(longer)]
    assert (longer / "137.pth").exists() == ("137" in flags)
    assert snapshot(dense_of("runs", 137)) == before
    assert json.loads((longer / "config.json").read_text())["identity"]["num_epochs"] == 402


def test_so_does_a_ticket(place):
    for root in ("runs", "alone"):
        succeed("train", f"--root={root}")
    succeed("prune", "--retrain_num_epochs=137")
    outcome = succeed("prune", "--retrain_num_epochs=250")
    assert "goes on from epoch 137 of" in outcome.out
    succeed("prune", "--retrain_num_epochs=250", "--root=alone")
    tickets = [path for root in ("runs", "alone") for path in run_folders(root)[1] if "epochs250" in path.name]
    assert_same_run(*tickets)
    assert "goes on" not in succeed("prune", "--retrain_num_epochs=250", "--pruning_rate=0.3").out


def test_a_population_goes_on_as_one_and_a_run_that_rounds_otherwise_is_left_alone(place):
    config = MLPConfig(
        fn_name="multiply", p=7, frac_train=0.5, d_emb=8, d_model=6, lr=0.01, save_every=50, device="cpu"
    )
    together = lambda epochs, **how: [
        job_of(config.but(seed=seed, num_epochs=epochs, **how), True) for seed in range(3)
    ]
    run_population(together(137))
    folders = run_population(together(300))
    alone = run_population(together(300, root="alone"))
    for folder, other in zip(folders, alone, strict=True):
        assert_same_run(folder.path, other.path)
    run_job(job_of(config.but(seed=0, num_epochs=250)))
    stored = json.loads((dense_of("runs", 250) / "config.json").read_text())
    assert not stored["executed"]["population"]
    run_job(job_of(config.but(seed=0, num_epochs=250, root="by itself")))
    assert_same_run(dense_of("runs", 250), dense_of("by itself", 250))
    assert "goes on" not in succeed("train", "--num_epochs=320", "--save_every=50", "--seed=0", "--threads=2").out


@pytest.mark.parametrize(
    "spoil",
    [
        lambda run: run.update({"identity": run["identity"] | {"seed": 1}}),
        lambda run: run.update({"identity": None}),
        lambda run: run.update({"code": f"{SCHEME}:older"}),
    ],
    ids=["another run", "no identity", "other code"],
)
def test_what_is_no_shorter_run_of_it_is_left_alone(place, spoil):
    succeed("train")
    config = dense_of("runs", 30) / "config.json"
    stored = json.loads(config.read_text())
    spoil(stored)
    config.write_text(json.dumps(stored))
    assert "goes on" not in succeed("train", "--num_epochs=40").out


def test_a_damaged_one_and_one_that_has_not_ended_by_itself_are_left_alone(place):
    succeed("train", "--num_epochs=20", "--stopping_thresh=100")
    assert "goes on" not in succeed("train", "--num_epochs=40", "--stopping_thresh=100").out
    for lost in ("state.pth", "summary.json", "10.pth", "20.pth gone"):
        shutil.rmtree("runs")
        succeed("train")
        damaged = dense_of("runs", 30) / lost.partition(" ")[0]
        damaged.unlink() if lost in ("summary.json", "20.pth gone") else damaged.write_bytes(b"x")
        assert "goes on" not in succeed("train", "--num_epochs=40").out, lost
        succeed("train", "--num_epochs=40", "--root=alone")
        assert_same_run(dense_of("runs", 40), dense_of("alone", 40))


@pytest.mark.parametrize("flags", [[], ["--save_at", "7", "9"], ["--betas", "0.9", "0.99"]])
def test_a_run_that_is_to_be_trained_again_begins_at_its_init(place, flags):
    succeed("train", *flags)
    assert "goes on from epoch 30 of" in succeed("train", *flags, "--num_epochs=40").out
    outcome = succeed("train", *flags, "--num_epochs=40", "--rerun")
    assert "moved the earlier run" in outcome.out
    assert "goes on" not in outcome.out
