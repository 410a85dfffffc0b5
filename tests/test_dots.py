"""The one picture of studies and sweeps: where its dots are, and which of them are censored."""

from unittest.mock import patch

import pytest
from matplotlib.figure import Figure

from figures.dots import Dot, Dots


def drawn(dots: Dots, path) -> Figure:
    with patch.object(Figure, "savefig", autospec=True) as save:
        dots.draw(path)
    return save.call_args.args[0]


def points(axes, fill: str) -> list[tuple[float, float]]:
    """The dots that are full, or hollow ("none")."""
    lines = [line for line in axes.lines if line.get_marker() == "o" and line.get_fillstyle() == fill]
    return [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in lines]


def test_named_settings_stand_in_order_with_their_medians(tmp_path):
    dots = [
        Dot("fast", 10),
        Dot("fast", 30),
        Dot("slow", 200),
        Dot("slow", 500, is_known=False),
        Dot("slow", 500, is_known=False),
    ]
    figure = drawn(Dots("It is slow.", {"MLP": dots}, "epochs"), tmp_path / "a.png")
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["fast", "slow"]
    assert points(axes, "full") == [(10, 0), (30, 0), (200, 1)]
    assert points(axes, "none") == [(500, 1)] * 2
    bars = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "|"]
    assert bars == [10], "half of the slow ones never get there, so that their median is not known"
    assert axes.get_xscale() == "log"
    assert figure.get_suptitle().startswith("It is slow.\nA dot is a run.")
    assert "Hollow" in figure.get_suptitle()


def test_a_setting_that_one_panel_lacks_has_its_line_in_both(tmp_path):
    panels = {"one": [Dot("a", 1), Dot("b", 2)], "other": [Dot("b", 3)]}
    one, other = drawn(Dots("t", panels, "epochs"), tmp_path / "a.png").axes
    assert points(one, "full") == [(1, 0), (2, 1)]
    assert points(other, "full") == [(3, 1)]


@pytest.mark.parametrize("wait", [None, 1.0])
def test_numbers_are_places_on_an_axis(tmp_path, wait):
    dots = [Dot(0.1, 20, group="a"), Dot(0.2, 0, group="b", is_pale=True)]
    figure = drawn(Dots("t", {"one": dots, "two": dots, "three": dots}, "epochs", "cosine", wait), tmp_path / "a.png")
    assert len(figure.axes) == 3
    assert points(figure.axes[0], "full") == [(0.1, 20), (0.2, 0.001)], "0 has no place on a log axis"
    assert figure.axes[0].get_yscale() == "log"
    assert "Hollow" not in figure.get_suptitle()
    Dots("t", {"one": dots}, "epochs", "cosine", wait).draw(tmp_path / "b.png")
    assert (tmp_path / "b.png").stat().st_size > 5_000
