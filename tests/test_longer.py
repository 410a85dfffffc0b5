"""A longer run that begins at the end of a shorter one is, bit for bit, the run that it would have been by itself."""

import shutil
from pathlib import Path

import pytest
from scripts import (
    TINY,
    TINY_TRANSFORMER,
    assert_same_run,
    change_json,
    config_of,
    rows_of,
    run_folders,
    snapshot,
    succeed,
)

from configs.base import MLPConfig
from experiments.populations import train_population
from experiments.trainer import train_one

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
        pytest.param(TINY, ["--save_at", "120", "137"], marks=pytest.mark.slow),
        pytest.param(TINY, ["--optimizer=sgd", "--lp_alpha=0.01"], marks=pytest.mark.slow),
        pytest.param(
            TINY_TRANSFORMER, ["--config=configs/config_transformer.py", "--num_layers=2"], marks=pytest.mark.slow
        ),
    ],
    ids=["mlp", "save_at", "sgd and lp", "transformer"],
)
def test_a_longer_run_goes_on_bit_for_bit(place, size, flags):
    for epochs in ENDS:
        said = succeed("train", *flags, f"--num_epochs={epochs}", size=size).out
        assert ("goes on from epoch 137 of" in said) == (epochs == 253)
    before = snapshot(dense_of("runs", 137))
    outcome = succeed("train", *flags, "--num_epochs=302", size=size)
    longer, shorter = dense_of("runs", 302), dense_of("runs", 253)
    assert f"{longer} goes on from epoch 253 of {shorter}" in outcome.out, "the longest of them"
    succeed("train", *flags, "--num_epochs=302", "--root=alone", size=size)
    assert_same_run(longer, dense_of("alone", 302))
    assert 253 not in [row[0] for row in rows_of(longer)]
    assert (longer / "137.pth").exists() == ("137" in flags)
    assert snapshot(dense_of("runs", 137)) == before
    assert config_of(longer)["training"]["num_epochs"] == 302


def test_so_does_a_ticket(dense):
    shutil.copytree("runs", "alone")
    succeed("prune", "--retrain_num_epochs=107")
    assert "goes on from epoch 107 of" in succeed("prune", "--retrain_num_epochs=120").out
    succeed("prune", "--retrain_num_epochs=120", "--root=alone")
    assert_same_run(*(path for root in ("runs", "alone") for path in run_folders(root)[1] if "epochs120" in path.name))
    assert "goes on" not in succeed("prune", "--retrain_num_epochs=120", "--pruning_rate=0.3").out


@pytest.mark.slow
def test_a_population_goes_on_as_one_and_a_run_that_rounds_otherwise_is_left_alone(place):
    small = {"fn_name": "multiply", "p": 7, "frac_train": 0.5, "d_emb": 8, "d_model": 6, "lr": 0.01}
    config = MLPConfig(**small, save_every=50, device="cpu")

    def together(epochs, **where):
        configs = [config.but(seed=seed, num_epochs=epochs, **where) for seed in range(3)]
        return train_population(configs, lambda config, error: pytest.fail(str(error)))

    together(137)
    for folder, other in zip(together(300), together(300, root="alone"), strict=True):
        assert_same_run(folder.path, other.path)
    for root in ("runs", "by itself"):
        train_one(config.but(seed=0, num_epochs=250, root=root))
    assert not config_of(dense_of("runs", 250))["population"]
    assert_same_run(dense_of("runs", 250), dense_of("by itself", 250))
    assert "goes on" not in succeed("train", "--num_epochs=320", "--save_every=50", "--seed=0", "--threads=2").out


@pytest.mark.parametrize(
    "other", ["content", "training", "code", "machine", "threads", "device", "population", "format"]
)
def test_what_is_no_shorter_run_of_it_is_left_alone(dense, other):
    stored, spoiled = config_of(dense)[other], 99
    if other in ("content", "training", "code"):
        spoiled = stored | {next(iter(stored)): "another"}
    change_json(dense / "config.json", **{other: spoiled})
    said = succeed("train", "--num_epochs=40").out
    assert "goes on" not in said


def test_a_damaged_one_and_one_that_has_not_ended_by_itself_are_left_alone(dense):
    stopped = ("--stopping_thresh=100", "--root=stopped")
    succeed("train", "--num_epochs=20", *stopped)
    assert "goes on" not in succeed("train", "--num_epochs=40", *stopped).out
    succeed("train", "--num_epochs=40", "--root=alone")
    for lost in ("state.pth", "summary.json", "10.pth", "20.pth gone"):
        shutil.copytree("runs", lost)
        damaged = Path(lost) / dense.name / lost.partition(" ")[0]
        damaged.unlink() if lost in ("summary.json", "20.pth gone") else damaged.write_bytes(b"x")
        assert "goes on" not in succeed("train", "--num_epochs=40", f"--root={lost}").out, lost
        assert_same_run(dense_of(lost, 40), dense_of("alone", 40))


def test_a_run_that_is_to_be_trained_again_begins_at_its_init(dense):
    assert "goes on from epoch 30 of" in succeed("train", "--num_epochs=40").out
    outcome = succeed("train", "--num_epochs=40", "--rerun")
    assert "moved the earlier run" in outcome.out
    assert "goes on" not in outcome.out
