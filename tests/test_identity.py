"""Which runs are the same, when configs have got new fields since: nothing is orphaned, and nothing is taken for another run."""

import shutil
from dataclasses import dataclass, field, fields, make_dataclass, replace
from pathlib import Path

import pytest
from scripts import REPOSITORY, run_folders, snapshot, succeed

from configs import base, identity, ticket
from configs.base import MLPConfig
from configs.identity import completed, same_run
from configs.load import config_from_json
from configs.ticket import MLPTicketConfig

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
    metrics = (dense / "metrics.csv").read_bytes()
    assert "goes on from epoch 30" in succeed("train").out
    assert (dense / "metrics.csv").read_bytes() == metrics


@dataclass(frozen=True, kw_only=True)
class MorphedConfig(MLPConfig):
    """The MLP's config with a field more."""

    label_smoothing: float = 0.5
    """A default of today that is not what was true before."""


MorphedTicket = make_dataclass(
    "MorphedTicket",
    [("control", str, field(default="none"))],
    bases=(ticket.TicketFields, MorphedConfig),
    frozen=True,
    kw_only=True,
)


@pytest.fixture
def grown(monkeypatch):
    """As if MorphedConfig had always been the MLP's config, with a field that did not exist when runs were made."""
    monkeypatch.setitem(base.DENSE, "mlp", MorphedConfig)
    monkeypatch.setitem(identity.BEFORE, "label_smoothing", 0.0)


def test_a_new_field_orphans_no_run_and_tells_runs_apart(grown):
    old = MLPConfig(seed=3).as_dict()
    stored = {"kind": "mlp"} | {name: value for name, value in old.items() if name not in base.NOT_IDENTITY}
    assert "label_smoothing" not in stored
    assert same_run(stored, MorphedConfig(seed=3, label_smoothing=0.0).identity())
    assert not same_run(stored, MorphedConfig(seed=3).identity()), "today's default is not what was true then"
    assert not same_run(stored, MorphedConfig(seed=4, label_smoothing=0.0).identity())
    new = MorphedConfig(seed=3).identity()
    assert same_run(new, MorphedConfig(seed=3).identity())
    assert not same_run(new, MorphedConfig(seed=3, label_smoothing=0.0).identity())


def test_without_a_value_from_before_a_new_field_makes_another_run(monkeypatch):
    monkeypatch.setitem(base.DENSE, "mlp", MorphedConfig)
    stored = {name: value for name, value in MorphedConfig().identity().items() if name != "label_smoothing"}
    assert not same_run(stored, MorphedConfig().identity())


def test_a_new_field_of_a_ticket_decides_unless_it_is_declared_otherwise(monkeypatch):
    """A control that somebody adds in three lines must not print the numbers of the plain ticket, nor take its run."""
    now = [*fields(ticket.TicketFields), MorphedTicket.__dataclass_fields__["control"]]
    monkeypatch.setattr(ticket, "fields", lambda cls: now if cls is ticket.TicketFields else fields(cls))
    plain, shuffled = MorphedTicket(), MorphedTicket(control="shuffled")
    assert plain.ticket_identity(28_000) != shuffled.ticket_identity(28_000)
    assert shuffled.ticket_name(28_000) == plain.ticket_name(28_000) + "_controlshuffled"
    assert replace(plain, use_mask=False).ticket_identity(0) != replace(shuffled, use_mask=False).ticket_identity(0)
    monkeypatch.setattr(ticket, "NOT_IDENTITY", (*base.NOT_IDENTITY, "control"))
    assert plain.ticket_identity(28_000) == shuffled.ticket_identity(28_000)


def test_every_field_of_a_ticket_stands_somewhere():
    config = MLPTicketConfig(retrain_lr=0.5)
    said = config.ticket_identity(7)
    names = {*said["dense"], *said["mask"], *said["options"], *ticket.NAMED_FIELDS, *base.NOT_IDENTITY}
    assert names >= {entry.name for entry in fields(MLPTicketConfig)}
    assert set(config.retraining()) == {
        name.removeprefix("retrain_") for name in ticket.NAMED_FIELDS if name.startswith("retrain_")
    }


def test_a_ticket_of_before_is_the_same_with_no_option_since():
    stored = {name: value for name, value in MLPTicketConfig().ticket_identity(28_000).items() if name != "options"}
    assert same_run(stored, MLPTicketConfig().ticket_identity(28_000))
    assert not same_run(stored, MLPTicketConfig(scope="local").ticket_identity(28_000))
    assert not same_run(stored, MLPTicketConfig().identity())
    assert completed(None) is None
    assert not same_run({"kind": "cnn"}, MLPConfig().identity())


def test_a_stored_config_is_read_with_what_was_true_before(monkeypatch):
    monkeypatch.setitem(base.DENSE, "mlp", MorphedConfig)
    monkeypatch.setitem(identity.BEFORE, "label_smoothing", 0.0)
    stored = {"kind": "mlp", "config": MLPConfig(seed=3).as_dict()}
    assert config_from_json(stored, Path("config.json")).label_smoothing == 0.0
