"""Which runs are the same, when configs have got new fields since: nothing is orphaned, and nothing is taken for another run."""

import shutil
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pytest
from scripts import REPOSITORY, run_folders, snapshot, succeed

from common.files import load_json, save_json
from configs import base, identity, ticket
from configs.base import Dense, MLPConfig
from configs.identity import completed, same_run
from configs.load import config_from_json
from configs.ticket import MLPTicketConfig, Ticket, TransformerTicketConfig
from data.modular import Modular
from experiments import folder
from experiments.folder import find_run
from experiments.reading import read_metrics
from models.mlp import MLP

FIXTURES = (
    REPOSITORY / "tests" / "fixtures" / "runs"
)  # from before config.json said what a run executes and states named their run


@pytest.fixture
def stored(place):
    shutil.copytree(FIXTURES, place / "runs")
    return run_folders(place / "runs")


def test_runs_of_an_older_version_are_found_and_reused(stored, place):
    before = snapshot(place / "runs")
    outcome = succeed("main")
    assert outcome.out.count("is finished and is reused") == 2
    assert "has changed since" not in outcome.out, "their code is hashed by another scheme: unknown, not other"
    after = snapshot(place / "runs")
    assert {name: after[name] for name in before} == before


def test_an_interrupted_run_of_an_older_version_goes_on(stored):
    (dense,), _ = stored
    (dense / "summary.json").unlink()
    before = read_metrics(dense)
    assert "goes on from epoch 30" in succeed("train").out
    after = read_metrics(dense)
    assert all(after[name].tolist() == before[name].tolist() for name in before)
    assert all(np.isnan(after[name]).all() for name in set(after) - set(before)), "measures that it did not know"


@dataclass(frozen=True, kw_only=True)
class Grown(Dense):
    """A dense run's config with a field more."""

    label_smoothing: float = 0.5
    """A default of today that is not what was true before."""


@dataclass(frozen=True, kw_only=True)
class GrownMLP(MLP):
    """A model with a field more."""

    dropout: float = 0.5
    """The same."""


def grown(**given) -> Grown:
    return Grown(task=Modular(), model=MLP(), **given)


@dataclass(frozen=True, kw_only=True)
class Controlled(Ticket):
    """A ticket's config with a field more, as somebody adds a control in three lines."""

    variant: str = "none"


def controlled(**given) -> Controlled:
    return Controlled(task=Modular(), model=MLP(), **given)


def of_before(config: Dense) -> dict:
    """The identity of a dense MLP run as it was stored when task and model were one kind."""
    since = {"task", "model", "loss", *identity.BEFORE}
    return {"kind": "mlp"} | {name: value for name, value in config.identity().items() if name not in since}


def test_a_new_field_orphans_no_run_and_tells_runs_apart(monkeypatch):
    monkeypatch.setattr(identity, "Dense", Grown)
    monkeypatch.setitem(identity.BEFORE, "label_smoothing", 0.0)
    stored = of_before(MLPConfig(seed=3))
    assert "label_smoothing" not in stored
    assert same_run(stored, grown(seed=3, label_smoothing=0.0).identity())
    assert not same_run(stored, grown(seed=3).identity()), "today's default is not what was true then"
    assert not same_run(stored, grown(seed=4, label_smoothing=0.0).identity())
    new = grown(seed=3).identity()
    assert same_run(new, grown(seed=3).identity())
    assert not same_run(new, grown(seed=3, label_smoothing=0.0).identity())


def test_a_new_field_of_a_model_orphans_no_run(monkeypatch):
    stored = of_before(MLPConfig(seed=3))
    monkeypatch.setitem(identity.MODELS, "mlp", GrownMLP)
    with_dropout = Dense(task=Modular(), model=GrownMLP(dropout=0.0), seed=3)
    assert not same_run(stored, with_dropout.identity())
    monkeypatch.setitem(identity.BEFORE, "dropout", 0.0)
    assert same_run(stored, with_dropout.identity())
    assert not same_run(stored, with_dropout.but(dropout=0.5).identity())


def test_without_a_value_from_before_a_new_field_makes_another_run(monkeypatch):
    monkeypatch.setattr(identity, "Dense", Grown)
    stored = {name: value for name, value in grown().identity().items() if name != "label_smoothing"}
    assert not same_run(stored, grown().identity())


def test_a_new_field_of_a_ticket_decides_unless_it_is_declared_otherwise(monkeypatch):
    """A control that somebody adds in three lines must not print the numbers of the plain ticket, nor take its run."""
    plain, shuffled = controlled(), controlled(variant="shuffled")
    assert plain.identity(28_000) != shuffled.identity(28_000)
    assert shuffled.run_name(28_000) == plain.run_name(28_000) + "_variantshuffled"
    assert plain.but(use_mask=False).identity() != shuffled.but(use_mask=False).identity()
    stored = MLPTicketConfig().identity(28_000)
    assert not same_run(stored, plain.identity(28_000))
    monkeypatch.setattr(identity, "Ticket", Controlled)
    monkeypatch.setitem(identity.BEFORE, "variant", "none")
    assert same_run(stored, plain.identity(28_000))
    assert not same_run(stored, shuffled.identity(28_000))
    monkeypatch.setattr(ticket, "NOT_IDENTITY", (*base.NOT_IDENTITY, "variant"))
    assert plain.identity(28_000) == shuffled.identity(28_000)


def test_every_field_of_a_ticket_stands_somewhere():
    config = MLPTicketConfig(retrain_lr=0.5)
    said = config.identity(7)
    names = {*said["dense"], *said["mask"], *said["options"], *ticket.NAMED_FIELDS, *base.NOT_IDENTITY}
    assert names >= {entry.name for entry in fields(Ticket)}
    assert set(said["retraining"]) == set(ticket.RETRAINED)


def test_the_threshold_decides_where_the_run_stops_by_it():
    for stops in (False, True):
        config = MLPTicketConfig(stop_after_gen=stops)
        for one, other in (
            (config, config.but(gen_threshold=0.9)),
            (config.dense(), config.but(gen_threshold=0.9).dense()),
        ):
            assert (one.identity(7) == other.identity(7)) == (not stops)
            assert (one.run_name(7) == other.run_name(7)) == (not stops)
    of_ticket_alone = MLPTicketConfig(retrain_stop_after_gen=True)
    assert of_ticket_alone.dense().identity() == MLPConfig().identity()
    assert not of_ticket_alone.dense().stop_after_gen
    assert of_ticket_alone.trained().stop_after_gen
    assert of_ticket_alone.run_name(7).endswith("at7_retrain_stop_after_gen0.95")


def test_a_ticket_of_before_is_the_same_with_no_option_since():
    now = MLPTicketConfig()
    stored = {"kind": "mlp", "dense": of_before(now.dense()), "mask": now.mask_settings(28_000)}
    stored["retraining"] = {"lr": 1e-3, "weight_decay": 1.0, "num_epochs": 30_000}
    assert same_run(stored, now.identity(28_000))
    assert same_run(stored | {"options": {}}, now.identity(28_000))
    assert not same_run(stored, now.but(scope="local").identity(28_000))
    assert not same_run(stored, now.but(retrain_stop_after_gen=True).identity(28_000))
    assert not same_run(stored, now.dense().identity())
    assert completed(None) is None
    assert not same_run({"kind": "cnn"}, MLPConfig().identity())
    assert not same_run({"task": "modular", "model": "cnn"}, MLPConfig().identity())


def test_a_stored_config_is_read_with_what_was_true_before():
    stored = {"kind": "mlp", "config": of_before(MLPConfig(seed=3, p=11))}
    assert config_from_json(stored, Path("config.json")) == MLPConfig(seed=3, p=11)
    stored = {"config": MLPConfig(seed=3).as_dict(), "kind": "mlp"}
    assert config_from_json(stored, Path("config.json")) == MLPConfig(seed=3)
    ticket_config = TransformerTicketConfig(seed=3, retrain_save_at=(5,))
    stored = {"config": ticket_config.as_dict(), "kind": "transformer", "dense_run": "x"}
    assert config_from_json(stored, Path("config.json")) == ticket_config


def test_a_loss_that_is_named_is_the_tasks_own():
    assert MLPConfig(loss="cross_entropy").identity() == MLPConfig().identity()
    assert MLPConfig(loss="squared_error").identity() != MLPConfig().identity()


def test_looking_for_many_runs_reads_each_neighbour_once(tmp_path, monkeypatch):
    """Until its file changes: 270 runs of a sweep among 600 others took 160,000 readings."""
    configs = [MLPConfig(seed=seed, root=str(tmp_path)) for seed in range(5)]
    for number, config in enumerate(configs[:3]):
        (tmp_path / f"moved{number}").mkdir()
        save_json({"identity": config.identity()}, tmp_path / f"moved{number}" / "config.json")
    read = []
    monkeypatch.setattr(folder, "load_json", lambda path: read.append(path) or load_json(path))
    names = [find_run(config.root, config.run_name(), config.identity()).path.name for config in configs]
    assert names == ["moved0", "moved1", "moved2", configs[3].run_name(), configs[4].run_name()]
    assert len(read) == 3
    save_json({"identity": configs[3].identity()}, tmp_path / "moved0" / "config.json")
    assert find_run(str(tmp_path), configs[3].run_name(), configs[3].identity()).path.name == "moved0"
    assert find_run(str(tmp_path), configs[0].run_name(), configs[0].identity()).path.name == configs[0].run_name()
