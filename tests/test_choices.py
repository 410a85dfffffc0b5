"""A setting that is a name in a table or an object of a user's own, and what counts as a setting."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import tyro
from tyro.conf import Suppress

from common.choices import choice, chosen, source_file, spelled
from common.errors import UserError
from common.ranges import Place, check_fields, is_setting, stored_value

TABLE = {"relu": F.relu, "gelu": F.gelu}


def mine(x):
    return x


@dataclass(frozen=True, kw_only=True)
class Config:
    act: choice(TABLE) = "relu"
    """Activation."""
    other: choice(TABLE) | None = None
    """Another."""
    root: Place[str] = "runs"
    hidden: Suppress[Place[str | None]] = None
    sizes: tuple[int, ...] = (3, 5)

    def __post_init__(self):
        check_fields(self)


def test_a_choice_is_a_name_or_an_object_and_a_flag_with_the_names(capsys):
    default = Config(act=mine, other=mine)
    assert tyro.cli(Config, args=[], default=default) == default
    assert tyro.cli(Config, args=["--act", "gelu", "--other", "None"], default=default) == Config(act="gelu")
    with pytest.raises(SystemExit):
        tyro.cli(Config, args=["--help"], default=default)
    shown = capsys.readouterr().out
    assert "--act {relu,gelu}" in shown
    assert "--other {None,relu,gelu}" in shown
    assert "Activation. (default: test_choices.mine)" in shown
    with pytest.raises(UserError, match=r"^act must be one of relu, gelu .*, not 'tanh'$"):
        tyro.cli(Config, args=["--act", "tanh"], default=default)


@pytest.mark.parametrize("value", ["", 3, None, lambda x: x, (lambda: mine)])
def test_what_is_neither_is_refused(value):
    with pytest.raises(UserError, match="act must be one of relu, gelu"):
        Config(act=value)


def test_the_object_and_its_text(monkeypatch):
    assert chosen(TABLE, "gelu") is F.gelu
    assert chosen(TABLE, mine) is mine
    with pytest.raises(UserError, match="tanh is unknown; choose one of relu, gelu"):
        chosen(TABLE, "tanh")
    assert [spelled(TABLE, value) for value in ("gelu", F.gelu, mine)] == ["gelu", "gelu", "test_choices.mine"]
    assert stored_value(Config(act=mine), "act") == "test_choices.mine"
    assert stored_value(Config(), "other") is None
    assert stored_value(Config(), "sizes") == [3, 5]
    assert source_file(mine) == Path(__file__)
    monkeypatch.setitem(TABLE, "relu", mine)
    assert spelled(TABLE, "relu") == "test_choices.mine"
    assert spelled(TABLE, F.relu) == "relu"
    monkeypatch.setitem(TABLE, "gelu", torch.tanh)
    assert spelled(TABLE, "gelu").endswith("tanh")
    monkeypatch.setitem(TABLE, "extra", mine)
    assert spelled(TABLE, "extra") == "test_choices.mine"


def test_a_place_is_no_setting():
    found = {name: is_setting(Config, name) for name in ("act", "other", "root", "hidden", "sizes")}
    assert found == {"act": True, "other": True, "root": False, "hidden": False, "sizes": True}
