"""Watch what the neurons learn: GIFs of a dense run (left) beside its ticket (right).

    python visualize.py --grok_weight_path <weights> --weight_folder <dense run> --ticket_folder <ticket run>
        --output_folder <folder>

writes, with the last frame of each GIF as .png,

modular arithmetic   input_weights.gif, input_spectra.gif, output_weights.gif, output_spectra.gif: neurons become periodic;
                     and entropy.png, the frequency entropy of both runs over the epochs
MNIST                input_images.gif: what the strongest neurons look for, as images
"""

import argparse
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.fourier import spectrum
from errors import UserError, run_script
from figures import Matrix, matrices_of, plot_entropy, read_matrices
from gif import Movie, Side, render, save_gif, shown_epochs, symmetric_ends
from panels import Panels
from training.checkpoints import list_checkpoints, load_json
from training.metrics import read_metrics
from views import VIEWS, View


@dataclass(frozen=True)
class Run:
    """What is read of a run folder."""

    name: str
    kind: str
    matrices: Mapping[Matrix, Mapping[int, np.ndarray]]  # {function: {epoch: (neurons, inputs)}}
    test_acc: Mapping[int, float]  # {epoch: accuracy}


def read_run(name: str, folder: Path, epochs: Container[int] | None = None) -> Run:
    """A run's matrices at its checkpoints, or at those of ``epochs``. Raises UserError where it cannot be shown."""
    kind = load_json(folder / "config.json").get("kind")
    if kind not in VIEWS:
        raise UserError(f"{folder} is a run of kind {kind!r}; shown are runs of kind {', '.join(VIEWS)}")
    matrices = read_matrices(folder, [view.matrix for view in VIEWS[kind]], epochs)
    metrics = read_metrics(folder)
    return Run(name, kind, matrices, dict(zip(metrics["epoch"].astype(int), metrics["test_acc"], strict=True)))


def make_movie(
    view: View,
    runs: Sequence[Run],
    shown: Sequence[tuple[int | None, ...]],
    grok: Mapping[Matrix, np.ndarray],
    grok_name: str,
    num_neurons: int,
) -> Movie:
    """What the GIF of ``view`` draws: at the epochs of ``shown``, the neurons that ``grok`` chooses and orders."""
    deciding = grok[view.by]
    choice = view.choose(deciding, num_neurons)
    sides = []
    for run in runs:
        values = {epoch: view.values(matrix[choice.neurons]) for epoch, matrix in run.matrices[view.matrix].items()}
        sides.append(Side(run.name, values, run.test_acc))
    values = [value for side in sides for value in side.values.values()]
    y_ends, outside = (view.y_ends, "") if view.y_ends else symmetric_ends(values)
    x_ends = view.first_x, view.first_x + values[0].shape[1] - 1
    shown_of_all, number = len(choice.neurons), len(deciding)
    count = f"{shown_of_all} of {number}" if shown_of_all < number else f"all {number}"
    note = [
        f"{count} neurons, labelled (after their number) and ordered by {view.order} in {grok_name}",
        f"{view.axes.format(first=x_ends[0], last=x_ends[1])}; the same in all panels and frames{outside}",
    ]
    backdrop = view.backdrop(deciding[choice.neurons]) if view.backdrop else None
    panels = Panels(view.draw, choice.labels, x_ends, y_ends, backdrop)
    return Movie(view.title[0].upper() + view.title[1:], note, panels, sides, shown)


def _check_same_network(views: Sequence[View], networks: Mapping[str, Mapping[Matrix, np.ndarray]]) -> None:
    """Raise UserError unless all of ``{name: {function: (neurons, inputs)}}`` are networks of one size."""
    (first_name, first), *others = networks.items()
    for name, other in others:
        for view in views:
            (neurons, inputs), (other_neurons, other_inputs) = first[view.matrix].shape, other[view.matrix].shape
            if (neurons, inputs) != (other_neurons, other_inputs):
                sizes = f"{neurons} neurons of {inputs} weights, {name} has {other_neurons} of {other_inputs}"
                raise UserError(f"networks of different size cannot be compared: {first_name} has {sizes}")


def visualize(options: argparse.Namespace) -> None:
    """Read everything, then write the pictures into ``options.output_folder``."""
    import imageio.v3 as iio
    from tqdm import tqdm

    folders = {"dense": options.weight_folder} | ({"ticket": options.ticket_folder} if options.ticket_folder else {})
    saved = [list(list_checkpoints(folder)) for folder in folders.values()]
    shown = shown_epochs(saved, options.max_frames)
    runs = [
        read_run(name, folder, {epochs[side] for epochs in shown})
        for side, (name, folder) in enumerate(folders.items())
    ]
    if len({run.kind for run in runs}) > 1:
        raise UserError(f"the runs are of different kinds: dense is {runs[0].kind}, ticket is {runs[1].kind}")
    views = VIEWS[runs[0].kind]
    grok_path = options.grok_weight_path.resolve()
    grok = matrices_of(grok_path, [function for view in views for function in (view.matrix, view.by)])
    some = {run.name: {matrix: next(iter(run.matrices[matrix].values())) for matrix in run.matrices} for run in runs}
    _check_same_network(views, some | {"the checkpoint given by --grok_weight_path": grok})

    output = options.output_folder
    output.mkdir(parents=True, exist_ok=True)
    if any(view.values is spectrum for view in views):
        plot_entropy(options.weight_folder, options.ticket_folder, output / "entropy.png")
        print(f"wrote {output / 'entropy.png'}")
    if len(shown) < (number := len(set().union(*saved))):
        print(f"{len(shown)} of the {number} saved epochs are shown; --max_frames {number} shows all")
    for view in views:
        grok_name = f"{grok_path.parent.name}/{grok_path.name}"
        movie = make_movie(view, runs, shown, grok, grok_name, options.num_neurons or view.num_neurons)
        path = output / f"{view.name}.gif"
        # The bar shows on a terminal only.
        frames = list(tqdm(render(movie), path.name, len(shown), leave=False, disable=None, unit="frame"))
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
        help="the checkpoint that chooses and orders the neurons, by dominant frequency, then strength (MNIST: by strength): "
        "as a rule the final.pth of a run that has generalized",
    )
    folder = {"type": Path, "metavar": "FOLDER"}
    parser.add_argument("--weight_folder", required=True, help="the dense run, on the left", **folder)
    parser.add_argument(
        "--ticket_folder", help="the ticket's run, on the right (default: the dense run alone)", **folder
    )
    parser.add_argument("--output_folder", required=True, help="where the pictures are written", **folder)
    number = {"type": int, "metavar": "N"}
    parser.add_argument(
        "--num_neurons",
        help="the most panels: of more neurons, N evenly spaced in that order, or (MNIST) the N strongest "
        "(default: 48; MNIST: 25)",
        **number,
    )
    parser.add_argument(
        "--max_frames",
        default=60,
        help="the most frames: of more saved epochs, the first, the last, and those between that lie most evenly on a "
        "log axis (default: %(default)s)",
        **number,
    )
    options = parser.parse_args(argv)
    for name, least in (("num_neurons", 1), ("max_frames", 2)):
        if getattr(options, name) is not None and getattr(options, name) < least:
            raise UserError(f"--{name} must be {least} or more, not {getattr(options, name)}")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    return run_script(lambda: visualize(parse(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
