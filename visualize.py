"""Watch what the neurons learn: GIFs of a dense run (left) beside its ticket (right).

    python visualize.py --grok_weight_path <weights> --weight_folder <dense run> --ticket_folder <ticket run>
        --output_folder <folder>

writes, with the last frame of each GIF as .png,

    modular arithmetic   input_weights.gif, input_spectra.gif, output_weights.gif, output_spectra.gif: neurons become periodic;
                         and entropy.png, the frequency entropy of both runs over the epochs
    MNIST                input_images.gif: what the strongest neurons look for, as images
"""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while the imports below run ends without a traceback

import sys
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from analysis.fourier import Matrix, effective_input, effective_output, spectrum
from common.errors import UserError, run_script
from common.files import load_json
from common.ranges import Count, Range, check_fields
from configs.load import parse_flags
from experiments.checkpoints import list_checkpoints
from experiments.reading import matrices_of, read_matrices, read_metrics
from figures.curves import Spectra, plot_entropy
from figures.gif import Movie, Side, render, save_gif, shown_epochs, symmetric_ends
from figures.panels import Panels
from figures.views import VIEWS, View


@dataclass(frozen=True, kw_only=True)
class Flags:
    """This script."""

    grok_weight_path: Path
    """Checkpoint that orders the neurons, by frequency or (MNIST) strength: as a rule final.pth of a run that has generalized."""
    weight_folder: Path
    """The dense run, on the left."""
    ticket_folder: Path | None = None
    """The ticket's run, on the right; None: the dense run alone."""
    output_folder: Path
    """Where the pictures are written."""
    num_neurons: Count | None = None
    """The most panels: of more neurons, those evenly spaced in that order, or (MNIST) the strongest; None: 48 (MNIST: 25)."""
    max_frames: Annotated[int, Range(least=2)] = 60
    """The most frames: of more saved epochs, the first, the last, and those between that lie most evenly on a log axis."""

    def __post_init__(self):
        check_fields(self)


@dataclass(frozen=True)
class ShownRun:
    """What is read of a run folder."""

    name: str
    kind: str
    matrices: Mapping[Matrix, Mapping[int, np.ndarray]]  # {function: {epoch: (neurons, inputs)}}
    test_acc: Mapping[int, float]  # {epoch: accuracy}


def functions_of(views: Sequence[View]) -> list[Matrix]:
    """All that ``views`` need to know of a network."""
    return [function for view in views for function in (view.matrix, view.by)]


def read_run(name: str, folder: Path, epochs: Container[int] | None = None) -> ShownRun:
    """A run's matrices at its checkpoints, or at those of ``epochs``. Raises UserError where it cannot be shown."""
    kind = load_json(folder / "config.json").get("kind")
    if kind not in VIEWS:
        raise UserError(f"{folder} is a run of kind {kind!r}; shown are runs of kind {', '.join(VIEWS)}")
    matrices = read_matrices(folder, functions_of(VIEWS[kind]), epochs)
    metrics = read_metrics(folder)
    return ShownRun(name, kind, matrices, dict(zip(metrics["epoch"].astype(int), metrics["test_acc"], strict=True)))


def make_movie(
    view: View,
    runs: Sequence[ShownRun],
    shown: Sequence[tuple[int | None, ...]],
    grok: Mapping[Matrix, np.ndarray],
    grok_name: str,
    num_neurons: int,
) -> Movie:
    """What the GIF of ``view`` draws: at the epochs of ``shown``, the neurons that ``grok`` chooses and orders.

    Labels and backdrop tell what a neuron has become in its own run: a ticket's neuron may end at another frequency.
    """
    neurons = view.choose(grok[view.by], num_neurons)
    values = [
        {epoch: view.values(matrix[neurons]) for epoch, matrix in run.matrices[view.matrix].items()} for run in runs
    ]
    every = [value for of_run in values for value in of_run.values()]
    y_ends, outside = (view.y_ends, "") if view.y_ends else symmetric_ends(every)
    x_ends = view.first_x, view.first_x + every[0].shape[1] - 1
    sides = []
    for run, of_run, last in zip(runs, values, shown[-1], strict=True):
        own = run.matrices[view.by][last][neurons]
        labels = [f"{neuron}: {text}" for neuron, text in zip(neurons, view.tell(own), strict=True)]
        panels = Panels(view.draw, labels, x_ends, y_ends, view.backdrop(own) if view.backdrop else None)
        sides.append(Side(run.name, of_run, run.test_acc, panels))
    number = len(grok[view.by])
    count = f"{len(neurons)} of {number}" if len(neurons) < number else f"all {number}"
    note = [
        f"{count} neurons, ordered by {view.order} ({view.meaning}) in {grok_name}; "
        f"labels: neuron and its {view.order} in the last frame of its run",
        f"{view.axes.format(first=x_ends[0], last=x_ends[1])}; the same in all panels and frames{outside}",
    ]
    return Movie(view.title[0].upper() + view.title[1:], note, sides, shown)


def _check_same_network(views: Sequence[View], networks: Mapping[str, Mapping[Matrix, np.ndarray]]) -> None:
    """Raise UserError unless all of ``{name: {function: (neurons, inputs)}}`` are networks of one size."""
    (first_name, first), *others = networks.items()
    for name, other in others:
        for view in views:
            (neurons, inputs), (other_neurons, other_inputs) = first[view.matrix].shape, other[view.matrix].shape
            if (neurons, inputs) != (other_neurons, other_inputs):
                sizes = f"{neurons} neurons of {inputs} weights, {name} has {other_neurons} of {other_inputs}"
                raise UserError(f"networks of different size cannot be compared: {first_name} has {sizes}")


def visualize(flags: Flags) -> None:
    """Read everything, then write the pictures into ``flags.output_folder``."""
    import imageio.v3 as iio
    from tqdm import tqdm

    folders = {"dense": flags.weight_folder} | ({"ticket": flags.ticket_folder} if flags.ticket_folder else {})
    saved = [list(list_checkpoints(folder)) for folder in folders.values()]
    shown = shown_epochs(saved, flags.max_frames)
    runs = [
        read_run(name, folder, {epochs[side] for epochs in shown})
        for side, (name, folder) in enumerate(folders.items())
    ]
    if len({run.kind for run in runs}) > 1:
        raise UserError(f"the runs are of different kinds: dense is {runs[0].kind}, ticket is {runs[1].kind}")
    views = VIEWS[runs[0].kind]
    grok_path = flags.grok_weight_path.resolve()
    grok = matrices_of(grok_path, functions_of(views))
    some = {run.name: {matrix: next(iter(run.matrices[matrix].values())) for matrix in run.matrices} for run in runs}
    _check_same_network(views, some | {"the checkpoint given by --grok_weight_path": grok})

    output = flags.output_folder
    output.mkdir(parents=True, exist_ok=True)
    if any(view.values is spectrum for view in views):
        spectra = {}
        for run, folder in zip(runs, folders.values(), strict=True):
            of_side = read_matrices(folder, [effective_input, effective_output])
            spectra[run.name] = Spectra(run.test_acc, of_side[effective_input], of_side[effective_output])
        plot_entropy(spectra, output / "entropy.png")
        print(f"wrote {output / 'entropy.png'}")
    if len(shown) < (number := len(set().union(*saved))):
        print(f"{len(shown)} of the {number} saved epochs are shown; --max_frames {number} shows all")
    for view in views:
        grok_name = f"{grok_path.parent.name}/{grok_path.name}"
        movie = make_movie(view, runs, shown, grok, grok_name, flags.num_neurons or view.num_neurons)
        path = output / f"{view.name}.gif"
        # The bar shows on a terminal only.
        frames = list(tqdm(render(movie), path.name, len(shown), leave=False, disable=None, unit="frame"))
        save_gif(frames, path)
        iio.imwrite(path.with_suffix(".png"), frames[-1])
        print(f"wrote {path} ({len(frames)} frames, {path.stat().st_size / 1e6:.2f} MB) and {path.stem}.png")


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    # The command in the README of the paper's code has four dashes here, and is pasted.
    argv = [arg[2:] if arg.startswith("----weight") else arg for arg in (sys.argv[1:] if argv is None else argv)]
    return run_script(lambda: visualize(parse_flags(Flags, argv, prog="visualize.py", description=__doc__)))


if __name__ == "__main__":
    raise SystemExit(main())
