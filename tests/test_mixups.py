"""Settings that could be taken for one another: two names of one, the same values said in two ways."""

import pytest
from scripts import assert_refused, call, config_of, run_folders, succeed

REUSED = "is finished and is reused"


@pytest.fixture
def runs(place):
    """A dense run and its ticket."""
    succeed("main")
    (dense,), (ticket,) = run_folders("runs")
    return dense, ticket


@pytest.mark.parametrize(
    "flags", [["--prune_at=init", "--checkpoint=generalization"], ["--checkpoint=generalization", "--prune-at", "init"]]
)
def test_two_names_of_one_setting_with_different_values_are_a_mistake(place, flags):
    for script in ("main", "prune"):
        assert_refused(call(script, *flags), "--prune_at", "--checkpoint", "two names of one setting")


def test_two_names_of_one_setting_with_one_value_are_none(runs):
    assert f"{runs[1].name} {REUSED}" in succeed("prune", "--prune_at=30", "--checkpoint=30").out


@pytest.mark.parametrize("name", ["config", "dataset"])
def test_an_empty_flag_is_a_mistake(place, name):
    assert_refused(call("prune", f"--{name}="), f"--{name}", "empty")


def test_the_command_that_main_suggests_is_about_the_same_dense_run(runs):
    said = succeed("main").out
    assert "with the same command and --prune_at=init" in said
    succeed("main", "--prune_at=init", "--stage=prune")
    assert len(run_folders("runs")[0]) == 1


def test_naming_the_task_or_model_that_is_there_changes_nothing(place):
    """And another model is at what is usual for it, as by its own config module."""
    (place / "mine.py").write_text(
        "from configs.base import Dense\nfrom data.modular import Modular\nfrom models.mlp import MLP\n"
        "config = Dense(task=Modular(fn_name='x2y2', p=7, frac_train=0.5), model=MLP(d_emb=5, d_model=5), num_epochs=2)"
    )
    size = ("--device=cpu", "--config=mine.py")
    succeed("train", size=size)
    assert REUSED in succeed("train", "--task=modular", "--model=mlp", size=size).out
    said = succeed("train", "--model=transformer", "--num_epochs=3", size=size).out
    assert "t_gen (test acc >= 0.8)" in said
    (other,) = [
        path for path in run_folders("runs")[0] if path.name.startswith("transformer_x2y2_seed42_num_epochs3_p7")
    ]
    assert config_of(other)["config"]["d_model"] == 128
