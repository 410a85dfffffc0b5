"""Settings that could be taken for one another: two names of one, another dense run than the one that is named."""

from scripts import config_of, run_folders, succeed

REUSED = "is finished and is reused"


def test_two_names_of_one_setting_with_one_value_are_none(runs):
    assert f"{runs[1].name} {REUSED}" in succeed("prune", "--prune_at=20", "--checkpoint=20").out


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
