"""Watch the neurons become periodic: GIFs of a dense run (left) beside its ticket (right).

    python visualize.py --grok_weight_path <weights> --weight_folder <dense run> --ticket_folder <ticket run>
        --output_folder <folder>

writes input_weights.gif, input_spectra.gif, output_weights.gif and output_spectra.gif, the last frame of each as .png,
and entropy.png, the frequency entropy of both runs over the epochs.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.fourier import dominant_frequency, effective_input, effective_output, neuron_order, spectrum
from errors import UserError, run_script
from figures import Matrix, matrices_of, plot_entropy, read_matrices
from gif import Movie, Side, render, save_gif, symmetric_ends
from training.checkpoints import load_json
from training.metrics import read_metrics


@dataclass(frozen=True)
class View:
    """One way to look at one matrix of a network, a GIF with a panel per neuron."""

    name: str  # of the files
    title: str
    matrix: Matrix  # {name: weight} -> (neurons, inputs)
    values: Callable[[np.ndarray], np.ndarray]  # (neurons, inputs) -> (neurons, x)
    draw: str  # a key of gif.DRAW
    x: str
    first_x: int
    y: str
    y_ends: tuple[float, float] | None = None  # None: as far as the values go


def _curves_and_spectra(name: str, title: str, x: str, matrix: Matrix) -> tuple[View, View]:
    share = "share of the neuron's power, at k in gray"
    return (
        View(f"{name}_weights", title, matrix, np.asarray, "curves", x, 0, "weight"),
        View(f"{name}_spectra", f"Spectra: {title}", matrix, spectrum, "bars", "frequency", 1, share, (0.0, 1.0)),
    )


def _periodic(input_symbol: str, output_symbol: str) -> tuple[View, ...]:
    return (
        *_curves_and_spectra("input", f"effective input weights {input_symbol}", "input a", effective_input),
        *_curves_and_spectra("output", f"effective output weights {output_symbol}", "output c", effective_output),
    )


# What is shown of a network, by the "kind" in its config.json: the one place that knows the kinds.
VIEWS = {
    "mlp": _periodic(r"$W_\mathrm{inproj}\,W_E$", r"$W_\mathrm{outproj}^\top\,W_U$"),
    "transformer": _periodic("$W_E$", "$W_U$"),
}


@dataclass(frozen=True)
class Run:
    """What is read of a run folder."""

    name: str
    kind: str
    matrices: Mapping[Matrix, Mapping[int, np.ndarray]]  # {function: {epoch: (neurons, inputs)}}
    test_acc: Mapping[int, float]  # {epoch: accuracy}


def read_run(name: str, folder: Path) -> Run:
    """A run's matrices at all its checkpoints. Raises UserError where ``folder`` is no run that can be shown."""
    kind = load_json(folder / "config.json").get("kind")
    if kind not in VIEWS:
        raise UserError(f"{folder} is a run of kind {kind!r}; shown are runs of kind {', '.join(VIEWS)}")
    matrices = read_matrices(folder, [view.matrix for view in VIEWS[kind]])
    metrics = read_metrics(folder)
    return Run(name, kind, matrices, dict(zip(metrics["epoch"].astype(int), metrics["test_acc"], strict=True)))


def choose_neurons(grok: np.ndarray, num_neurons: int) -> np.ndarray:
    """Neurons in the order of the panels, ``(neurons, inputs) -> (panels,) int64``; of too many, evenly spaced ones."""
    order = neuron_order(grok)
    return order[np.linspace(0, len(order) - 1, min(num_neurons, len(order))).round().astype(int)]


def make_movie(view: View, runs: Sequence[Run], grok: np.ndarray, grok_name: str, num_neurons: int) -> Movie:
    """What the GIF of ``view`` draws; ``grok``, ``(neurons, inputs)``, chooses and orders the neurons."""
    order = choose_neurons(grok, num_neurons)
    frequency = dominant_frequency(grok)[0][order]
    sides = []
    for run in runs:
        values = {epoch: view.values(matrix[order]) for epoch, matrix in run.matrices[view.matrix].items()}
        sides.append(Side(run.name, values, run.test_acc))
    shown = [value for side in sides for value in side.values.values()]
    y_ends, outside = (view.y_ends, "") if view.y_ends else symmetric_ends(shown)
    x_ends = view.first_x, view.first_x + shown[0].shape[1] - 1
    number = f"{len(order)} of {len(grok)}" if len(order) < len(grok) else f"all {len(grok)}"
    note = [
        f"{number} neurons, labelled and ordered by k, their strongest frequency in {grok_name}",
        f"x: {view.x} = {x_ends[0]} … {x_ends[1]}; y: {view.y}; the same axes in all panels and frames{outside}",
    ]
    labels = [f"{neuron}: k = {k}" if k else f"{neuron}: no k" for neuron, k in zip(order, frequency, strict=True)]
    at_k = (np.arange(1, shown[0].shape[1] + 1) == frequency[:, None]).astype(float) if view.draw == "bars" else None
    return Movie(view.title[0].upper() + view.title[1:], note, view.draw, sides, labels, x_ends, y_ends, at_k)


def _check_same_network(views: Sequence[View], networks: Mapping[str, Mapping[Matrix, np.ndarray]]) -> None:
    """Raise UserError unless all of ``{name: {function: (neurons, inputs)}}`` are networks of one size."""
    (first_name, first), *others = networks.items()
    for name, other in others:
        for view in views:
            (neurons, p), (other_neurons, other_p) = first[view.matrix].shape, other[view.matrix].shape
            if (neurons, p) != (other_neurons, other_p):
                sizes = f"{neurons} neurons and p = {p}, {name} has {other_neurons} and p = {other_p}"
                raise UserError(f"networks of different size cannot be compared: {first_name} has {sizes}")


def visualize(options: argparse.Namespace) -> None:
    """Read everything, then write the pictures into ``options.output_folder``."""
    import imageio.v3 as iio
    from tqdm import tqdm

    folders = {"dense": options.weight_folder} | ({"ticket": options.ticket_folder} if options.ticket_folder else {})
    runs = [read_run(name, folder) for name, folder in folders.items()]
    if len({run.kind for run in runs}) > 1:
        raise UserError(f"the runs are of different kinds: dense is {runs[0].kind}, ticket is {runs[1].kind}")
    views = VIEWS[runs[0].kind]
    grok_path = options.grok_weight_path.resolve()
    grok = matrices_of(grok_path, [view.matrix for view in views])
    some = {run.name: {matrix: next(iter(run.matrices[matrix].values())) for matrix in grok} for run in runs}
    _check_same_network(views, some | {"the checkpoint given by --grok_weight_path": grok})

    output = options.output_folder
    output.mkdir(parents=True, exist_ok=True)
    if any(view.values is spectrum for view in views):
        plot_entropy(options.weight_folder, options.ticket_folder, output / "entropy.png")
        print(f"wrote {output / 'entropy.png'}")
    for view in views:
        grok_name = f"{grok_path.parent.name}/{grok_path.name}"
        movie = make_movie(view, runs, grok[view.matrix], grok_name, options.num_neurons)
        path = output / f"{view.name}.gif"
        # The bar shows on a terminal only.
        frames = list(tqdm(render(movie), path.name, len(movie.epochs), leave=False, disable=None, unit="frame"))
        save_gif(frames, path)
        iio.imwrite(path.with_suffix(".png"), frames[-1])
        print(f"wrote {path} ({len(frames)} frames, {path.stat().st_size / 1e6:.2f} MB) and {path.stem}.png")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise UserError(f"{message}; python visualize.py --help explains the flags")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The flags. Raises UserError for a wrong one."""
    parser = _Parser(
        prog="visualize.py",
        description=__doc__,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--grok_weight_path",
        type=Path,
        required=True,
        metavar="FILE",
        help="the checkpoint that chooses and orders the neurons, by dominant frequency, then strength: "
        "as a rule the final.pth of a run that has generalized",
    )
    folder = {"type": Path, "metavar": "FOLDER"}
    parser.add_argument("--weight_folder", required=True, help="the dense run, on the left", **folder)
    parser.add_argument(
        "--ticket_folder", help="the ticket's run, on the right (default: the dense run alone)", **folder
    )
    parser.add_argument("--output_folder", required=True, help="where the pictures are written", **folder)
    parser.add_argument(
        "--num_neurons",
        type=int,
        default=48,
        metavar="N",
        help="the most panels; of more neurons, N evenly spaced in that order are shown (default: %(default)s)",
    )
    options = parser.parse_args(argv)
    if options.num_neurons < 1:
        raise UserError(f"--num_neurons must be 1 or more, not {options.num_neurons}")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    return run_script(lambda: visualize(parse(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
