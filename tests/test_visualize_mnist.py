"""The GIF of an image network: its strongest neurons' input weights, from small run folders made here."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from PIL import Image
from test_visualize import COLUMNS, flags, make_run, one_line_error, write_config

import visualize
from analysis.neurons import input_weights, strength
from common.errors import UserError
from common.files import save_tensors
from experiments.reader import list_checkpoints
from figures import gif
from figures.panels import DRAW, SHADES_A_SIDE, shade_of, shades
from figures.views import IMAGES, VIEWS, by_strength

D_MODEL = 7


def make_weights(seed: int, d_model: int = D_MODEL, num_layers: int = 1) -> dict[str, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    shapes = {"W_in": (d_model, 784), "W_out": (10, d_model)}
    shapes |= {f"W_h.{layer}": (d_model, d_model) for layer in range(num_layers)}
    return {name: torch.randn(shape, generator=source) * 0.3 for name, shape in shapes.items()}


def make_image_run(folder: Path, epochs=(0, 100, 300), kept: float = 1.0, **sizes) -> Path:
    """A run whose weights shrink; of a ticket a share of ``kept`` weights is left."""
    folder.mkdir(parents=True)
    write_config(folder, "mnist", "images")
    rows = []
    for number, epoch in enumerate(epochs):
        weights = {name: weight / (1 + number) for name, weight in make_weights(0, **sizes).items()}
        weights["W_in"] *= torch.rand(weights["W_in"].shape, generator=torch.Generator().manual_seed(1)) < kept
        name = "init" if number == 0 else "final" if epoch == epochs[-1] else str(epoch)
        save_tensors({"model": weights, "epoch": epoch, "run": folder.name}, folder / f"{name}.pth")
        rows.append(f"{epoch},0.1,0.1,1.0,{epoch / 1000},0.9,0.5,50,7")
    (folder / "metrics.csv").write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("mnist")
    return make_image_run(root / "dense"), make_image_run(root / "ticket", epochs=(0, 50, 100), kept=0.4)


def movie_of(dense: Path, ticket: Path, num_neurons: int = 25) -> gif.Movie:
    both = [visualize.read_run("dense", dense, [IMAGES]), visualize.read_run("ticket", ticket, [IMAGES])]
    grok = visualize.matrices_of(dense / "final.pth", visualize.functions_of([IMAGES]))
    shown = gif.shown_epochs([[0, 100, 300], [0, 50, 100]])
    return visualize.make_movie(IMAGES, both, shown, grok, "dense/final.pth", num_neurons)


def test_it_writes_one_gif_of_images(runs, tmp_path, capsys):
    assert visualize.main(flags(tmp_path / "out", *runs)) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"input_images.gif", "input_images.png"}
    frames = iio.imread(tmp_path / "out" / "input_images.gif")
    assert len(frames) == 4  # epochs 0, 50, 100, 300
    assert (tmp_path / "out" / "input_images.gif").stat().st_size < 1e6
    last = iio.imread(tmp_path / "out" / "input_images.png")
    assert np.abs(frames[-1].astype(int) - last).max() <= 255 / (gif.NUM_SHADES - 1)
    assert "saved epochs are shown" not in capsys.readouterr().out


def test_max_frames_leaves_epochs_out_and_says_so(tmp_path, capsys):
    dense = make_image_run(tmp_path / "dense", epochs=(0, *range(10, 100, 10)), d_model=2)
    assert visualize.main(flags(tmp_path / "out", dense, max_frames=3)) == 0
    printed = capsys.readouterr().out
    assert "3 of the 10 saved epochs are shown; --max_frames 10 shows all" in printed
    assert "input_images.gif (3 frames" in printed
    frames = iio.imread(tmp_path / "out" / "input_images.gif")
    assert len(frames) == 3
    last = iio.imread(tmp_path / "out" / "input_images.png")
    assert np.abs(frames[-1].astype(int) - last).max() <= 255 / (gif.NUM_SHADES - 1)


@pytest.mark.parametrize("num_layers", [0, 1, 2])
def test_strength_is_the_norm_of_what_comes_in_times_that_of_what_goes_out(num_layers):
    weights = make_weights(3, num_layers=num_layers)
    following = weights["W_h.0" if num_layers else "W_out"]
    expected = [weights["W_in"][m].norm().item() * following[:, m].norm().item() for m in range(D_MODEL)]
    np.testing.assert_allclose(strength(weights)[:, 0], expected, rtol=1e-6)
    np.testing.assert_array_equal(input_weights(weights), weights["W_in"])
    weights["W_in"][2] *= 8
    following[:, 2] /= 8
    np.testing.assert_allclose(strength(weights)[:, 0], expected, rtol=1e-6)
    following[:, 2] = 0
    assert strength(weights)[:, 0][2] == 0


def test_the_neurons_strongest_in_the_grokked_weights_come_first_and_each_side_tells_its_own_strengths(runs):
    movie = movie_of(*runs, num_neurons=4)

    def strengths(folder: Path) -> list[float]:
        """By loops over the weights of the last checkpoint."""
        weights = torch.load(folder / "final.pth", weights_only=True)["model"]
        return [weights["W_in"][m].norm().item() * weights["W_h.0"][:, m].norm().item() for m in range(D_MODEL)]

    grok = strengths(runs[0])
    order = sorted(range(D_MODEL), key=lambda neuron: -grok[neuron])[:4]
    for side, folder in zip(movie.sides, runs, strict=True):
        own = strengths(folder)
        assert list(side.labels) == [f"{neuron}: {own[neuron]:.2g}" for neuron in order]
        for epoch, path in list_checkpoints(folder).items():
            weights = torch.load(path, weights_only=True)["model"]["W_in"]
            np.testing.assert_array_equal(side.values[epoch], weights[order])
    assert movie.sides[0].labels != movie.sides[1].labels
    assert "4 of 7 neurons, ordered by strength (the L2 norm" in movie.note[0]
    assert "dense/final.pth; labels: neuron and its strength in the last frame of its run" in movie.note[0]
    assert "square-root scale" in movie.note[1]
    ties = np.ones((5, 1))
    assert by_strength(ties, 3).tolist() == [0, 1, 2]


def test_the_colour_scale_is_symmetric_monotone_and_white_at_zero():
    colors = shades()
    assert colors.shape == (2 * SHADES_A_SIDE + 1, 3)
    assert colors[SHADES_A_SIDE].tolist() == [255, 255, 255]
    step = 255 / (gif.NUM_SHADES - 1)
    assert len({tuple(color) for color in np.round(colors / step).astype(int)}) == len(colors), (
        "told apart in the GIF too"
    )
    darkness = 255 * 3 - colors.sum(-1, dtype=int)
    assert (np.diff(darkness[SHADES_A_SIDE:]) > 0).all()
    assert (np.diff(darkness[: SHADES_A_SIDE + 1]) < 0).all()
    values = np.linspace(-3, 3, 1001)
    shade = shade_of(values, 2.0)
    assert (np.diff(shade) >= 0).all()
    np.testing.assert_array_equal(shade, -shade[::-1])
    assert set(shade) == set(range(-SHADES_A_SIDE, SHADES_A_SIDE + 1))
    assert shade_of(np.array([0.0, -0.0, 2.0, -2.0, 99.0, 0.5]), 2.0).tolist() == [
        *(0, 0, SHADES_A_SIDE, -SHADES_A_SIDE, SHADES_A_SIDE), round(SHADES_A_SIDE / 2),
    ]  # fmt: skip


def frames_of(*frames: np.ndarray, end: float = 1.0, num_sides: int = 2) -> list[np.ndarray]:
    """Frames whose sides all show these values, ``(panels, 784)``."""
    epochs = range(len(frames))
    panels = ("images", [f"{neuron}: 1" for neuron in range(len(frames[0]))], (0, 783), (-end, end))
    sides = [gif.Side("run", dict(zip(epochs, frames, strict=True)), {}, *panels) for _ in range(num_sides)]
    return list(gif.render(gif.Movie("title", ["note"], sides, [(epoch,) * num_sides for epoch in epochs])))


def boxes_of(changed: np.ndarray) -> list[tuple[slice, slice]]:
    """The rectangles of pixels that are True, from left to right, row by row."""
    boxes = []
    rows = np.flatnonzero(np.diff(np.pad(changed.any(1), 1).astype(int)))
    for top, bottom in rows.reshape(-1, 2):
        columns = np.flatnonzero(np.diff(np.pad(changed[top:bottom].any(0), 1).astype(int)))
        boxes += [(slice(top, bottom), slice(left, right)) for left, right in columns.reshape(-1, 2)]
    assert sum(changed[box].size for box in boxes) == changed.sum(), "rectangles"
    return boxes


@pytest.mark.parametrize(("num_panels", "num_sides"), [(1, 1), (7, 2), (25, 2), (60, 1)])
def test_every_weight_is_a_square_of_its_colour_in_its_place(num_panels, num_sides):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(num_panels, 784)) * (rng.random((num_panels, 784)) < 0.5)
    ends = [np.full((num_panels, 784), end) for end in (1.0, -1.0)]
    *solid, frame = frames_of(*ends, values, num_sides=num_sides)
    changed = (solid[0] != solid[1]).any(-1)
    changed[:75] = False  # the captions
    boxes = boxes_of(changed)
    assert len(boxes) == num_panels * num_sides
    height = boxes[0][0].stop - boxes[0][0].start
    assert height % 28 == 0
    assert height >= 28
    expected = shades()[shade_of(values, 1.0) + SHADES_A_SIDE].reshape(-1, 28, 28, 3)
    expected = expected.repeat(height // 28, 1).repeat(height // 28, 2)
    of_sides = [[], []]
    middle = frame.shape[1] / num_sides
    for box in boxes:
        of_sides[int(box[1].start >= middle) if num_sides > 1 else 0].append(frame[box])
    for found in of_sides[:num_sides]:
        np.testing.assert_array_equal(np.stack(found), expected)
    assert (expected == 255).all(-1).mean() > 0.4, "pruned weights are white"
    for y, x in boxes:  # and a gray line runs round them
        ring = frame[y.start - 1 : y.stop + 1, x.start - 1 : x.stop + 1].copy()
        ring[1:-1, 1:-1] = 200
        assert ((ring > 180) & (ring < 220)).all()


def test_nothing_but_images_and_captions_differs_between_frames_and_sides(runs):
    movie = movie_of(*runs)
    frames = list(gif.render(movie))
    solid = frames_of(*(np.full((D_MODEL, 784), end) for end in (1.0, -1.0)))
    images = (solid[0] != solid[1]).any(-1)
    images[:75] = False
    captions = np.zeros_like(images)
    captions[:75] = True
    for frame in frames[1:]:
        assert (frame[~images] != frames[0][~images]).any(), "the captions"
        np.testing.assert_array_equal(frame[~images & ~captions], frames[0][~images & ~captions])
    # One scale for all: at epoch 0 the dense run's weights are the ticket's, where those are not pruned.
    dense_ends, ticket_ends = (side.y_ends for side in movie.sides)
    assert dense_ends == ticket_ends == (-dense_ends[1], dense_ends[1])
    boxes = sorted(boxes_of(images), key=lambda box: box[1].start > 520)
    for dense, ticket in zip(boxes[:D_MODEL], boxes[D_MODEL:], strict=True):
        dense, ticket = frames[0][dense], frames[0][ticket]
        kept = (ticket != 255).any(-1)
        assert 0.2 < kept.mean() < 0.5
        np.testing.assert_array_equal(ticket[kept], dense[kept])


def test_too_many_images_are_refused_with_the_number_that_fits():
    with pytest.raises(UserError, match="300 images do not fit") as error:
        frames_of(np.zeros((300, 784)))
    most = int(str(error.value).split("--num_neurons ")[1].split()[0])
    assert len(frames_of(np.zeros((most, 784)))) == 1


def test_a_gif_of_many_frames_is_small(tmp_path):
    """Noise that fades, a little of it new in every frame, of which the ticket keeps 40 %: worse than a real run."""
    rng = np.random.default_rng(0)
    size = (IMAGES.num_neurons, 784)
    start, mask = rng.normal(size=size), rng.random(size) < 0.4
    dense = {epoch: 0.9**epoch * start + 0.03 * rng.normal(size=size) for epoch in range(6)}
    values = dense, {epoch: value * mask for epoch, value in dense.items()}
    panels = ("images", ["0: 1"] * IMAGES.num_neurons, (0, 783), (-4, 4))
    sides = [gif.Side("noise", side, {}, *panels) for side in values]
    movie = gif.Movie("title", ["note"], sides, [(epoch, epoch) for epoch in range(6)])
    gif.save_gif(list(gif.render(movie)), tmp_path / "noise.gif")
    assert (tmp_path / "noise.gif").stat().st_size < 3e6 * 6 / 60


def test_many_frames_go_faster(tmp_path):
    gif.save_gif([np.full((4, 4, 3), 4 * i, np.uint8) for i in range(60)], tmp_path / "long.gif")
    with Image.open(tmp_path / "long.gif") as image:
        durations = []
        for frame in range(image.n_frames):
            image.seek(frame)
            durations.append(image.info["duration"])
    assert sum(durations) == 59 * 200 + 3000
    assert durations[-1] >= 3000


def test_wrong_runs_and_files_are_told_in_one_line(runs, tmp_path, capsys):
    dense, ticket = runs
    modular = make_run(tmp_path / "modular")
    wider = make_image_run(tmp_path / "wider", d_model=9)
    small = tmp_path / "small.pth"
    save_tensors({"model": {**make_weights(0), "W_in": torch.ones(D_MODEL, 100)}, "epoch": 1}, small)

    def told(*given, **more):
        return one_line_error(capsys, flags(tmp_path / "out", *given, **more))

    assert "different kinds: dense shows images, ticket shows frequencies" in told(dense, modular)
    assert "different kinds: dense shows frequencies, ticket shows images" in told(modular, ticket)
    assert "has no W_in" in told(dense, ticket, grok=modular / "final.pth")
    assert "ticket has 9 neurons of 784 weights at epoch 0, --grok_weight_path has 7 neurons of 784" in told(
        dense, wider
    )
    assert "do not fit together" in told(dense, ticket, grok=small)
    assert not (tmp_path / "out").exists()


def test_views_that_are_shown_together_have_names_of_their_own():
    for views in VIEWS.values():
        names = [view.name for view in views]
        assert len(set(names)) == len(names)
        assert all(view.draw in DRAW for view in views)
