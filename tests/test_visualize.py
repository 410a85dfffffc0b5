"""GIFs and figures from small run folders made here."""

import json
import re
from dataclasses import fields
from pathlib import Path

import imageio.v3 as iio
import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image
from scripts import Outcome, assert_refused

import visualize
from analysis.fourier import effective_input, effective_output
from common.errors import UserError
from common.files import save_tensors
from experiments.reader import CONTENT, FORMAT, load_checkpoint, read_generalization, read_metrics
from figures import curves as figures
from figures import gif
from figures.views import by_frequency

COLUMNS = ("epoch", "train_loss", "test_loss", "train_acc", "test_acc", "train_prob", "test_prob", "l1norm", "l2norm")


def make_weights(kind: str, d_model: int, p: int, purity: float, seed: int = 0) -> dict[str, torch.Tensor]:
    """Neuron i is a cosine of frequency d_model - i (mod f), as far as ``purity`` goes, and noise."""
    rng = np.random.default_rng(seed)
    frequency = (d_model - np.arange(d_model) - 1) % (p // 2) + 1
    cosines = np.cos(2 * np.pi * frequency[:, None] * np.arange(p) / p + rng.uniform(0, 6, (d_model, 1)))
    matrix = purity * cosines + (1 - purity) * 0.1 * rng.normal(size=(d_model, p))
    W = torch.tensor(matrix, dtype=torch.float32)
    if kind == "transformer":
        return {"W_E": W, "blocks.0.W_Q": torch.ones(2, 2), "W_U": 0.5 * W}
    eye = torch.eye(d_model + 2, d_model)  # d_emb = d_model + 2
    return {"W_E": eye @ W, "W_inproj": eye.T.clone(), "W_outproj": eye, "W_U": 0.5 * eye @ W}


def write_config(folder: Path, kind: str, shows: str | None) -> None:
    """A config.json with all that a run's has, and nothing in it."""
    stored = {"format": FORMAT, "id": folder.name, "kind": kind, "shows": shows, "asked_for": [{}], "config": {}}
    stored |= {"training": {}, "content": dict.fromkeys(CONTENT), "is_drawn": True, "mask_weights": None, "code": {}}
    stored |= {"machine": "", "device": "cpu", "threads": 1, "population": False}
    (folder / "config.json").write_text(json.dumps(stored))


def make_run(folder: Path, kind="mlp", d_model=5, p=7, epochs=(0, 100, 300), t_gen=200, seed=0) -> Path:
    folder.mkdir(parents=True)
    shows = "frequencies" if kind in ("mlp", "transformer") else None
    write_config(folder, kind, shows)
    for epoch in epochs:
        name = "init" if epoch == 0 else "final" if epoch == epochs[-1] else str(epoch)
        weights = make_weights(kind, d_model, p, float(epoch >= t_gen), seed)
        save_tensors({"model": weights, "epoch": epoch, "run": folder.name}, folder / f"{name}.pth")
    rows = []
    for epoch in sorted({*epochs, *range(0, epochs[-1], 10)}):
        solved = float(epoch >= t_gen)
        rows.append(f"{epoch},{1e-3 + 4 * (epoch < 20)},{4 - 3.9 * solved},1.0,{solved},0.9,{solved},50,7")
    (folder / "metrics.csv").write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    return folder


def flags(output, dense, ticket=None, grok=None, **more) -> list[str]:
    given = {"grok_weight_path": grok or dense / "final.pth", "weight_folder": dense, "output_folder": output, **more}
    given |= {"ticket_folder": ticket} if ticket else {}
    return [part for name, value in given.items() for part in (f"--{name}", str(value))]


def style() -> dict:
    return {key: matplotlib.rcParams[key] for key in matplotlib.rcParams if key != "backend"}


@pytest.fixture(scope="module")
def mlp(tmp_path_factory):
    """A dense run, a ticket saved at other epochs, and what visualize.py makes of them."""
    root = tmp_path_factory.mktemp("mlp")
    dense = make_run(root / "dense", epochs=(0, 100, 300))
    ticket = make_run(root / "ticket", epochs=(0, 50, 100), t_gen=50)
    before = style()
    status = visualize.main(flags(root / "out" / "deep", dense, ticket))
    assert style() == before, "no global style may be set"
    return status, root / "out" / "deep", dense, ticket


def test_it_writes_gifs_their_last_frames_and_the_entropy(mlp):
    status, output, _, _ = mlp
    assert status == 0
    names = ["input_weights", "input_spectra", "output_weights", "output_spectra"]
    expected = {f"{name}.{end}" for name in names for end in ("gif", "png")} | {"entropy.png"}
    assert {path.name for path in output.iterdir()} == expected
    for name in names:
        frames = iio.imread(output / f"{name}.gif")
        assert len(frames) == 4  # epochs 0, 50, 100, 300
        assert (output / f"{name}.gif").stat().st_size < 1e6
        last = iio.imread(output / f"{name}.png")
        assert np.abs(frames[-1].astype(int) - last).max() <= 255 / (gif.NUM_SHADES - 1)


def test_the_last_frame_is_held_and_the_gif_loops(mlp):
    with Image.open(mlp[1] / "input_weights.gif") as image:
        assert image.info["loop"] == 0
        durations = []
        for frame in range(image.n_frames):
            image.seek(frame)
            durations.append(image.info["duration"])
    assert durations == [400, 400, 400, 3000]


def test_a_transformer_alone_with_more_neurons_than_panels(tmp_path, capsys):
    dense = make_run(tmp_path / "dense", "transformer", d_model=9, p=11, epochs=(0, 100))
    assert visualize.main(flags(tmp_path / "out", dense, num_neurons=4)) == 0
    assert len(iio.imread(tmp_path / "out" / "output_spectra.gif")) == 2
    assert "input_weights.gif (2 frames" in capsys.readouterr().out


def runs_and_grok(dense: Path, ticket: Path):
    runs = [
        visualize.read_run("dense", dense, visualize.VIEWS["frequencies"]),
        visualize.read_run("ticket", ticket, visualize.VIEWS["frequencies"]),
    ]
    return runs, visualize.matrices_of(dense / "final.pth", [effective_input, effective_output])


def test_frames_are_the_union_of_epochs_and_each_side_tells_its_own():
    assert gif.shown_epochs([[0, 100, 300], [0, 50, 100]]) == [(0, 0), (0, 50), (100, 100), (300, 100)]
    assert gif.shown_epochs([[0, 10], [5]]) == [(0, None), (0, 5), (10, 5)]
    assert gif.shown_epochs([[0, 10]]) == [(0,), (10,)]
    side = gif.Side("ticket", {}, {2000: 0.98765}, "bars", [], (1, 3), (0, 1))
    assert side.caption(2000) == "ticket, epoch 2,000, test accuracy 0.988"
    assert side.caption(7) == "ticket, epoch 7"
    assert side.caption(None) == "ticket: no checkpoint yet"


def test_of_too_many_epochs_those_that_lie_most_evenly_on_a_log_axis_are_shown():
    saved = [0, 100, 200, 500, *range(1000, 100_001, 1000)]
    shown = [epoch for (epoch,) in gif.shown_epochs([saved], 60)]
    assert len(shown) == 60
    assert set(shown) <= set(saved)
    assert shown[0] == 0
    assert shown[-1] == 100_000
    early, late = ([epoch for epoch in shown if first <= epoch < first + 10_000] for first in (10_000, 90_000))
    assert len(early) == 10, "none is left out where they lie far apart"
    assert len(late) < 5
    assert gif.shown_epochs([saved], 104) == gif.shown_epochs([saved])
    assert gif.shown_epochs([[0, 5, 10], [0, 6]], 2) == [(0, 0), (10, 6)]
    # Epoch 50 has no frame of its own, and is still the first side's latest at 52.
    assert gif.shown_epochs([[0, 50, 100], [0, 49, 52, 100]], 4) == [(0, 0), (0, 49), (50, 52), (100, 100)]


def test_the_grokked_weights_choose_and_order_the_neurons_of_both_sides(mlp):
    _, _, dense, ticket = mlp
    runs, grok = runs_and_grok(dense, ticket)
    shown = gif.shown_epochs([[0, 100, 300], [0, 50, 100]])
    for view in visualize.VIEWS["frequencies"]:
        movie = visualize.make_movie(view, runs, shown, grok, "dense/final.pth", 48)
        # p = 7: neurons 0 ... 4 have the frequencies 2, 1, 3, 2, 1, all pure, so that the strengths decide by rounding.
        labels = movie.sides[0].labels
        assert [label.split(" ", 1)[1] for label in labels] == ["k = 1", "k = 1", "k = 2", "k = 2", "k = 3"]
        assert movie.epochs == shown
        order = [int(label.split(":")[0]) for label in labels]
        assert sorted(order) == [0, 1, 2, 3, 4]
        for side, run in zip(movie.sides, runs, strict=True):
            assert list(side.values) == list(run.matrices[view.matrix])
            for epoch, matrix in run.matrices[view.matrix].items():
                np.testing.assert_array_equal(side.values[epoch], view.values(matrix)[order])
        assert "dense/final.pth" in movie.note[0]
        assert "all 5 neurons" in movie.note[0]

    weights = np.stack([np.cos(2 * np.pi * k * np.arange(11) / 11) for k in (5, 4, 3, 2, 1, 1, 1)])
    all_neurons, few = (by_frequency(weights, number) for number in (48, 3))
    assert few[[0, -1]].tolist() == [all_neurons[0], 0]


def test_all_frequencies_are_shown(mlp):
    _, _, dense, ticket = mlp
    runs, grok = runs_and_grok(dense, ticket)
    view = next(view for view in visualize.VIEWS["frequencies"] if view.name == "input_spectra")
    movie = visualize.make_movie(view, runs, [(300, 100)], grok, "final.pth", 48)
    for side in movie.sides:
        assert side.x_ends == (1, 3)
        assert side.y_ends == (0, 1)
    assert movie.sides[0].values[300].shape == (5, 3)
    np.testing.assert_array_equal(movie.sides[0].backdrop, np.eye(3)[[0, 0, 1, 1, 2]])


def save_cosines(path: Path, epoch: int, frequencies: list[int], p: int = 11) -> Path:
    """A network whose neuron i sees a cosine of ``frequencies[i]`` and adds one of the next neuron's; 0 is a neuron cut away."""
    W = torch.tensor([[np.cos(2 * np.pi * k * a / p) * (k > 0) for a in range(p)] for k in frequencies])
    eye = torch.eye(len(frequencies), dtype=W.dtype)
    path.parent.mkdir(exist_ok=True)
    weights = {"W_E": W, "W_inproj": eye, "W_outproj": eye, "W_U": W.roll(-1, 0)}
    save_tensors({"model": weights, "epoch": epoch, "run": path.parent.name}, path)
    return path


def test_each_side_is_labelled_by_its_own_last_frame(tmp_path):
    """Dense run, ticket and the network that orders the neurons have known frequencies, all of them different ones."""
    grok = save_cosines(tmp_path / "grok" / "g.pth", 7, [3, 1, 2, 1])  # the order is 1 3 2 0, and 0 2 1 3 of the output
    dense, ticket = (make_run(tmp_path / name, epochs=(0, 100)) for name in ("dense", "ticket"))
    save_cosines(dense / "init.pth", 0, [1, 1, 1, 1])
    save_cosines(dense / "final.pth", 100, [5, 4, 3, 2])
    save_cosines(ticket / "init.pth", 0, [2, 2, 2, 2])
    save_cosines(ticket / "50.pth", 50, [3, 3, 3, 3])
    save_cosines(ticket / "final.pth", 60, [1, 0, 5, 4])
    shown = gif.shown_epochs([[0, 100], [0, 50, 60]], 3)
    runs = [visualize.read_run(folder.name, folder, visualize.VIEWS["frequencies"]) for folder in (dense, ticket)]
    movies = {
        view.name: visualize.make_movie(
            view, runs, shown, visualize.matrices_of(grok, visualize.functions_of([view])), "grok/g.pth", 48
        )
        for view in visualize.VIEWS["frequencies"]
    }
    expected = {
        "input": (["1: k = 4", "3: k = 2", "2: k = 3", "0: k = 5"], ["1: no k", "3: k = 4", "2: k = 5", "0: k = 1"]),
        "output": (["0: k = 4", "2: k = 2", "1: k = 3", "3: k = 5"], ["0: no k", "2: k = 4", "1: k = 5", "3: k = 1"]),
    }
    marked = [[4, 2, 3, 5], [0, 4, 5, 1]]
    for name, movie in movies.items():
        assert tuple(side.labels for side in movie.sides) == expected[name.split("_")[0]]
        assert (
            "ordered by k (the strongest frequency) in grok/g.pth; labels: neuron and its k in the last frame"
            in (movie.note[0])
        )
        if name.endswith("spectra"):
            for side, frequencies in zip(movie.sides, marked, strict=True):
                np.testing.assert_array_equal(side.backdrop, np.eye(6)[frequencies][:, 1:])
        else:
            assert movie.sides[0].y_ends == movie.sides[1].y_ends


def test_labels_and_backdrop_are_drawn_on_their_own_side():
    def frame_of(*panels: tuple) -> np.ndarray:
        sides = [gif.Side("run", {0: np.zeros((1, 3))}, {}, *each) for each in panels]
        (frame,) = gif.render(gif.Movie("title", ["note"], sides, [(0, 0)]))
        return frame

    plain, other = (("bars", ["0: k"], (1, 3), (0, 1), np.eye(3)[[k]]) for k in (0, 2))
    labelled = (plain[0], ["0: no k"], *plain[2:])
    middle = 520
    for panels in (other, labelled):
        changed = (frame_of(plain, panels) != frame_of(plain, plain)).any((0, 2))
        assert changed[middle:].any()
        assert not changed[:middle].any()


def movie_of(draw: str, *sides: dict[int, list[list[float]]]) -> gif.Movie:
    values = [{epoch: np.array(value, float) for epoch, value in side.items()} for side in sides]
    ends, _ = gif.symmetric_ends([value for side in values for value in side.values()])
    panels = (draw, ["0: k = 1", "1: k = 2"], (0, 2), ends)
    sides = [gif.Side(f"side {number}", side, {}, *panels) for number, side in enumerate(values)]
    return gif.Movie("title", ["a note"], sides, gif.shown_epochs([list(side) for side in values]))


@pytest.mark.parametrize("draw", ["curves", "bars"])
def test_axes_are_the_same_in_all_frames_and_on_both_sides(draw):
    same, other = [1.0, -1.0, 1.0], [2.0, 2.0, 2.0]
    movie = movie_of(draw, {0: [same, other], 9: [same, [-20.0, 0.0, 20.0]]}, {0: [same, other], 5: [same, [0.1] * 3]})
    frames = list(gif.render(movie))
    assert [frame.shape for frame in frames] == [(720, 1040, 3)] * 3
    first_panels = [np.s_[80:640, 60:285], np.s_[80:640, 575:800]]  # of either side
    for panel in first_panels:
        for frame in frames[1:]:
            np.testing.assert_array_equal(frame[panel], frames[0][panel])
            assert (frame != frames[0]).any()
    inked = [(frames[0][panel] != 255).any(axis=(1, 2)) for panel in first_panels]
    np.testing.assert_array_equal(*inked)


@pytest.mark.parametrize("words", [1, 80])
def test_a_note_of_any_length_stays_clear_of_the_panels(words):
    panels = ("curves", ["0: k"] * 48, (0, 66), (-1, 1))
    side = gif.Side("run", {0: np.zeros((48, 67))}, {}, *panels)
    (frame,) = gif.render(gif.Movie("title", ["several " * words], [side], [(0,)]))
    empty = (frame == 255).all((1, 2))
    rows = np.flatnonzero(~empty)
    assert rows[-1] < 715
    gaps = np.diff(rows[rows > 400]) - 1  # between panels 10, between lines 5
    assert (gaps >= 12).sum() == 1


def test_a_side_without_a_checkpoint_yet_is_empty():
    frames = list(gif.render(movie_of("bars", {0: [[1, 2, 3], [1, 2, 3]]}, {4: [[1, 2, 3], [1, 2, 3]]})))
    ink = [(frame[100:640, 560:] == [0xD5, 0x5E, 0x00]).all(-1).sum() for frame in frames]
    assert ink[0] == 0
    assert ink[1] > 100


def test_few_far_values_do_not_flatten_the_others_and_that_is_said():
    values = [np.full((40, 50), 0.5), np.full((40, 50), -1.0)]
    assert gif.symmetric_ends(values) == ((-1.0, 1.0), "")
    values[0][3, 3] = 30.0
    ends, said = gif.symmetric_ends(values)
    assert ends == (-1.0, 1.0)
    assert said == "; 1 of 4,000 values lie outside, up to ±30, and are drawn on the edge"
    assert gif.symmetric_ends([np.zeros((2, 3))]) == ((-1.0, 1.0), "")


def test_a_gif_of_noise_is_small(tmp_path):
    rng = np.random.default_rng(0)
    panels = ("curves", [str(n) for n in range(48)], (0, 66), (-4, 4))
    sides = [gif.Side("noise", {epoch: rng.normal(size=(48, 67)) for epoch in range(6)}, {}, *panels) for _ in range(2)]
    movie = gif.Movie("worst case", ["note"], sides, [(epoch, epoch) for epoch in range(6)])
    gif.save_gif(list(gif.render(movie)), tmp_path / "noise.gif")
    assert (tmp_path / "noise.gif").stat().st_size < 3e6 * 6 / 20
    assert len(iio.imread(tmp_path / "noise.gif")) == 6


def compared(threshold: float, **folders: Path) -> dict:
    return {name: (read_metrics(folder), read_generalization(folder, threshold)) for name, folder in folders.items()}


def test_curves_and_comparison_are_drawn(mlp, tmp_path):
    _, output, dense, ticket = mlp
    figures.plot_curves(read_metrics(dense), "dense", tmp_path / "curves.png")
    figures.plot_comparison(compared(0.95, dense=dense, ticket=ticket), tmp_path / "comparison.png", 0.95)
    for path in (tmp_path / "curves.png", tmp_path / "comparison.png", output / "entropy.png"):
        picture = iio.imread(path)
        assert min(picture.shape[:2]) > 400
        assert (picture[..., :3] == [0x00, 0x72, 0xB2]).all(-1).sum() > 100


def test_comparison_tells_t_gen_and_censors_a_run_that_never_gets_there(mlp, tmp_path):
    _, _, dense, ticket = mlp
    never = make_run(tmp_path / "never", epochs=(0, 1200), t_gen=5000)
    figures.plot_comparison(compared(0.9, dense=dense, ticket=ticket, never=never), tmp_path / "c.svg", 0.9)
    written = (tmp_path / "c.svg").read_text()
    for text in (
        "dense, test: t_gen 200",
        "ticket, test: t_gen 50",
        "never, test: t_gen &gt; 1,200",
        "stays at 0.9 or above",
    ):
        assert text in written, text


def one_line_error(capsys, arguments: list[str]) -> str:
    assert visualize.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    return captured.err


def test_wrong_runs_and_files_are_told_in_one_line(mlp, tmp_path, capsys):
    _, _, dense, ticket = mlp
    out = tmp_path / "out"
    larger = make_run(tmp_path / "larger", p=11)
    foreign = make_run(tmp_path / "foreign", "diffusion")
    no_checkpoints = make_run(tmp_path / "no_checkpoints")
    mixed = make_run(tmp_path / "mixed")
    unrelated, truncated, diverged = tmp_path / "unrelated.pth", tmp_path / "truncated.pth", tmp_path / "diverged.pth"
    for path in no_checkpoints.glob("*.pth"):
        path.unlink()
    foreign_weights = load_checkpoint(larger / "100.pth")["model"]
    save_tensors({"model": foreign_weights, "epoch": 100, "run": "mixed"}, mixed / "100.pth")
    save_tensors({"model": {"W_in": torch.ones(3, 4)}, "epoch": 1}, unrelated)
    truncated.write_bytes((dense / "final.pth").read_bytes()[:300])
    save_tensors({"model": {n: w * torch.nan for n, w in make_weights("mlp", 5, 7, 1).items()}, "epoch": 1}, diverged)

    def told(*runs, **more):
        return one_line_error(capsys, flags(out, *runs, **more))

    assert "folder of a run?" in told(tmp_path / "nowhere", ticket)
    assert "ticket has 5 neurons of 11 weights at epoch 0, --grok_weight_path has 5 neurons of 7" in told(dense, larger)
    assert "has 5 neurons of 11 weights" in told(dense, ticket, grok=larger / "final.pth")
    assert "foreign has no neurons to show" in told(dense, foreign)
    assert "holds no checkpoints" in told(no_checkpoints, grok=dense / "final.pth")
    assert "dense has 5 neurons of 11 weights at epoch 100" in told(mixed, grok=dense / "final.pth")
    (mixed / "100.pth").write_bytes((larger / "100.pth").read_bytes())
    assert "belongs to another run" in told(mixed)
    assert "has no W_E" in told(dense, grok=unrelated)
    assert "truncated" in told(dense, grok=truncated)
    assert "not finite" in told(dense, grok=diverged)
    assert "is not there" in told(dense, grok=tmp_path / "none.pth")
    assert "num_neurons must be a whole number at least 1" in told(dense, num_neurons=0)
    assert "max_frames must be a whole number at least 2" in told(dense, max_frames=1)
    assert not out.exists(), "nothing is written before all is read"
    taken = tmp_path / "taken"
    taken.write_text("a file")
    assert "taken" in one_line_error(capsys, flags(taken, dense))


def test_figures_refuse_a_run_without_records(tmp_path):
    (tmp_path / "metrics.csv").write_text(",".join(COLUMNS) + "\n")
    with pytest.raises(UserError, match="no records"):
        figures.plot_curves(read_metrics(tmp_path), "run", tmp_path / "curves.png")
    with pytest.raises(UserError, match="dense holds no records"):
        figures.plot_comparison(compared(0.95, dense=tmp_path), tmp_path / "comparison.png", 0.95)
    assert not list(tmp_path.glob("*.png"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--neurons=3"], ["--neurons"]),
        (["--ticket", "runs"], ["--ticket"]),  # no abbreviations
        (["--num_neurons=many"], ["--num_neurons", "'many'"]),
        (["--max_frames=2.5"], ["--max_frames", "'2.5'"]),
        (["--max_frames"], ["--max_frames"]),
        (["runs"], ["runs"]),
    ],
)
def test_flags_that_cannot_be_read_are_told_in_short(mlp, given, words, tmp_path, capsys):
    status = visualize.main([*flags(tmp_path / "out", mlp[2]), *given])
    assert_refused(Outcome(status, *capsys.readouterr()), *words)
    assert not (tmp_path / "out").exists()


def test_missing_flags_are_named(capsys):
    status = visualize.main(["--weight_folder=runs"])
    assert_refused(Outcome(status, *capsys.readouterr()), "--grok_weight_path", "--output_folder")


@pytest.mark.parametrize(
    "given", ["--weight-folder {}", "--weight_folder={}", "----weight_folder {}", "----weight-folder={}"]
)
def test_other_spellings_of_a_flag(given, tmp_path, monkeypatch):
    """With dashes, with "=", and with four dashes, as the paper's README prints the command."""
    asked = []
    monkeypatch.setattr(visualize, "visualize", asked.append)
    rest = "--grok_weight_path final.pth --output_folder pictures --num-neurons 1 --max_frames 2"
    assert visualize.main([*given.format(tmp_path).split(), *rest.split()]) == 0
    (found,) = asked
    assert (found.weight_folder, found.num_neurons, found.max_frames) == (tmp_path, 1, 2)


def test_the_script_explains_itself(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as stop:
        visualize.main(["--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    for field in fields(visualize.Flags):
        assert f" --{field.name} " in shown
    assert not re.search(r"----\w", shown)
