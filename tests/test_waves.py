"""Waves of groups, the starts and the pruner that are made of them, and what is measured of them at epoch 0."""

from math import gcd
from pathlib import Path

import numpy as np
import pytest
import torch
from scripts import TINY, TINY_TRANSFORMER, assert_refused, call, config_file, config_of, load, run_folders, succeed

from common.waves import power_in, project, share_in, share_of_best, strongest
from configs.base import MLPConfig
from data.modular import Modular
from models.starts import STARTS, StartSetting, input_product, with_share
from pruning.iterate import mask_of
from pruning.scores import Network, score


def drawn(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("fn_name", "p"), [("add", 7), ("subtract", 12), ("multiply", 11), ("divide", 13), ("add", 2)])
def test_waves_are_orthonormal_and_turn_the_operation_into_a_product(fn_name, p):
    task = Modular(p=p, fn_name=fn_name, is_symmetric_input=False)
    planes, is_faithful = task.waves()
    n = p if fn_name in ("add", "subtract") else p - 1
    rows = planes.flatten(0, 1)
    rows = rows[rows.any(-1)]
    torch.testing.assert_close(rows @ rows.T, torch.eye(n - 1, dtype=torch.float64))
    assert bool((planes.sum(-1).abs() < 1e-12).all()), "a wave has no mean"
    assert is_faithful.tolist() == [gcd(k, n) == 1 for k in range(1, n // 2 + 1)]
    characters = torch.complex(planes[:, 0], planes[:, 1])
    characters = characters / characters.abs().amax(-1, keepdim=True)
    for a in range(p):
        for b in range(1 if n < p else 0, p):
            c = {"add": a + b, "subtract": a - b, "multiply": a * b, "divide": a * pow(b, -1, p) if n < p else 0}[
                fn_name
            ] % p
            other = characters[:, b].conj() if fn_name in ("subtract", "divide") else characters[:, b]
            torch.testing.assert_close(characters[:, c], characters[:, a] * other)


def test_no_waves_are_known_of_what_is_no_group():
    assert Modular(fn_name="x2y2").waves() is Modular(fn_name="multiply", p=12).waves() is None


def test_power_and_shares_are_those_of_numpys_fourier_transform():
    p, matrix = 11, drawn((5, 11))
    planes = Modular(p=p).waves().planes
    power = np.abs(np.fft.rfft(matrix.numpy())) ** 2
    expected = 2 * power[:, 1:] / p
    np.testing.assert_allclose(power_in(matrix, planes), expected)
    top = np.argsort(-expected.sum(0))[:2]
    chosen = strongest(matrix, Modular(p=p).waves(), 2)
    assert share_in(matrix, chosen) == pytest.approx(expected[:, top].sum() / float(matrix.square().sum()))
    assert share_of_best(matrix, planes) == pytest.approx(expected.max(1).sum() / float(matrix.square().sum()))
    kept = np.fft.rfft(matrix.numpy())
    kept[:, [k for k in range(6) if k - 1 not in top]] = 0
    np.testing.assert_allclose(project(matrix, chosen), np.fft.irfft(kept, p), atol=1e-12)


@pytest.mark.parametrize("fn_name", ["add", "multiply"])
@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_start_has_the_share_that_is_asked_for_at_the_norm_of_the_init(fn_name, share):
    waves = Modular(p=11, fn_name=fn_name).waves()
    init = {"W_E": drawn((9, 11)), "W_inproj": drawn((5, 9), 1), "W_U": drawn((9, 11), 2)}
    used = slice(1, None) if fn_name == "multiply" else slice(None)
    for name, start in STARTS.items():
        made = start(StartSetting(init, torch.Generator().manual_seed(3), waves, 2, share))
        assert all(made[other] is init[other] for other in ("W_inproj", "W_U"))
        assert float(made["W_E"].norm()) == pytest.approx(float(init["W_E"].norm()))
        if fn_name == "multiply":
            assert made["W_E"][:, 0].equal(init["W_E"][:, 0])
        chosen = strongest(input_product(init), waves, 2)
        of_waves = share_in(made["W_E"][:, used], chosen[..., used])
        if name == "waves":
            assert of_waves == pytest.approx(share)
        elif share == 1:
            assert torch.linalg.matrix_rank(made["W_E"][:, used]) == 4
            assert of_waves < 0.9


def test_the_pruners_score_is_the_derivative_and_it_prunes_the_input_matrices_alone():
    config = MLPConfig(p=7, d_emb=6, d_model=5, frac_train=0.5)
    split = config.task.split(0)
    model = config.model.build(7, 7, torch.Generator().manual_seed(0)).double()
    weights = {name: weight.detach() for name, weight in model.named_parameters()}
    network = Network(weights, model, split.train_x, split.train_y, None, config.task.waves(), 2)
    scores = score("waves", network, torch.Generator())
    product = (weights["W_inproj"] @ weights["W_E"]).numpy()
    transform = np.fft.rfft(product)
    two = 1 + np.argsort(-(np.abs(transform[:, 1:]) ** 2).sum(0))[:2]
    templates = []
    for row in transform:  # cos(2 pi k a / p + phase), of length 1, k the stronger of the two
        k = two[np.argmax(np.abs(row[two]))]
        wave = np.cos(2 * np.pi * k * np.arange(7) / 7 + np.angle(row[k]))
        templates.append(wave / np.linalg.norm(wave))

    def objective(values: dict) -> float:
        return float(((values["W_inproj"] @ values["W_E"]).numpy() * np.stack(templates)).sum())

    for name in ("W_E", "W_inproj"):
        for place in [(0, 0), (2, 3), (4, 5)]:
            step = torch.zeros_like(weights[name])
            step[place] = 1e-6
            slope = (
                objective(weights | {name: weights[name] + step}) - objective(weights | {name: weights[name] - step})
            ) / 2e-6
            assert float(scores[name][place]) == pytest.approx(float(weights[name][place]) * slope, rel=1e-5)
    mask = mask_of("waves", network, 0.6, "global", torch.Generator())
    kept = {name: int(one.sum()) for name, one in mask.items()}
    assert kept == {"W_E": 42 - 25, "W_inproj": 30 - 18, "W_outproj": 30, "W_U": 42}
    worst = scores["W_E"].flatten().argsort()[:25]
    assert not mask["W_E"].flatten()[worst].any()


@pytest.mark.parametrize(
    ("script", "size"), [("train", TINY), ("train", (*TINY_TRANSFORMER, "--config=configs/config_transformer.py"))]
)
def test_a_start_is_trained_and_its_shares_are_written_down(place, script, size):
    for start in ("waves", "random_planes"):
        out = succeed(
            script, f"--start={start}", "--waves=2", "--wave_share=0.9", "--fn_name=add", "--p=17", size=size
        ).out
        assert f"start{start}" in out
    folders = {config_of(path)["config"]["start"]: path for path in run_folders("runs")[0]}
    shares = {name: config_of(path)["waves"] for name, path in folders.items()}
    assert shares["waves"]["waves_strongest"] > shares["random_planes"]["waves_strongest"]
    start = load(folders["waves"] / "init.pth")["model"]
    waves, seen = Modular(p=17).waves(), input_product(start)
    assert shares["waves"]["waves_strongest"] == pytest.approx(share_in(seen, strongest(seen, waves, 6)))
    assert share_in(start["W_E"], strongest(seen, waves, 2)) == pytest.approx(0.9, abs=1e-5)


def test_a_start_is_compared_and_not_how_it_came_about(place):
    """A start of one's own that makes the same weights is the same run; another share is another run."""
    head = "from configs.base import MLPConfig\nfrom models.starts import waves\n\n\n"
    start = "def mine(setting):\n    return waves(setting)\n\n\nconfig = MLPConfig(start=mine, waves=2)\n"
    Path("mine.py").write_text(head + start)
    succeed("train", "--fn_name=add", "--p=17", "--start=waves", "--waves=2")
    assert "is the same run as" in succeed("train", "--config=mine.py", "--fn_name=add", "--p=17").out
    assert len(run_folders("runs")[0]) == 1
    assert (
        "is the same run" not in succeed("train", "--config=mine.py", "--fn_name=add", "--p=17", "--wave_share=0.5").out
    )
    assert len(run_folders("runs")[0]) == 2


def test_a_mask_of_waves_is_a_ticket_s_and_its_shares_are_of_the_masked_weights(place):
    file = config_file(pruner="waves", mask_waves=2, prune_at="init")
    succeed("main", file, "--fn_name=add", "--p=17")
    (dense,), (ticket,) = run_folders("runs")
    start, mask = load(ticket / "init.pth")["model"], load(ticket / "mask.pth")["mask"]
    seen, waves = input_product(start), Modular(p=17).waves()
    assert bool(mask["W_U"].all())
    assert not bool(mask["W_E"].all())
    told = config_of(ticket)["waves"]
    assert told["waves_strongest"] == pytest.approx(share_in(seen, strongest(seen, waves, 6)))
    keys = strongest(input_product(load(dense / "final.pth")["model"]), waves, 6)
    assert told["waves_dense_run"] == pytest.approx(share_in(seen, keys))


@pytest.mark.parametrize("flags", [["--start=waves"], ["--start=random_planes"]])
def test_without_waves_one_line_says_so(place, flags):
    assert_refused(call("train", "--fn_name=x2y2", *flags), "no waves are known")
    assert_refused(
        call("train", "--task=parity", "--model=image_mlp", *flags, size=("--device=cpu",)), "no waves are known"
    )
    assert not list(place.rglob("config.json"))


def test_the_columns_of_a_zero_matrix_have_no_share():
    planes = Modular(p=7).waves().planes
    assert share_in(torch.zeros(3, 7), planes) == share_of_best(torch.zeros(3, 7), planes) == 0
    assert with_share(drawn((3, 7)), planes[:1], 0.5).shape == (3, 7)
