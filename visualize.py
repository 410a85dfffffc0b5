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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from analysis.fourier import Matrix, effective_input, effective_output
from common.errors import UserError, run_script
from common.files import load_json
from common.ranges import Count, Range, check_fields
from configs.flags import parse_flags
from experiments.reader import read_metrics
from figures.curves import plot_entropy
from figures.gif import render, save_gif, shown_epochs
from figures.views import VIEWS, ShownRun, View, functions_of, make_movie
from measures.matrices import matrices_of, read_matrices


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


def shows(folder: Path) -> str:
    """What there is to see of a run, a key of VIEWS, from its config.json. Raises UserError where that is nothing."""
    found = load_json(folder / "config.json").get("shows")
    if found not in VIEWS:
        raise UserError(f"{folder} has no neurons to show: its task has neither frequencies nor images")
    return found


def read_run(name: str, folder: Path, views: Sequence[View]) -> ShownRun:
    """A run's matrices at its checkpoints."""
    matrices = read_matrices(folder, functions_of(views))
    metrics = read_metrics(folder)
    return ShownRun(name, matrices, dict(zip(metrics["epoch"].astype(int), metrics["test_acc"], strict=True)))


def check_same_size(runs: Sequence[ShownRun], grok: Mapping[Matrix, np.ndarray]) -> None:
    """Raise UserError unless every network is as large as the one that orders the neurons."""
    for run in runs:
        for function, of_epoch in run.matrices.items():
            for epoch, matrix in of_epoch.items():
                if matrix.shape != grok[function].shape:
                    own, other = ("{} neurons of {} weights".format(*one.shape) for one in (matrix, grok[function]))
                    told = f"{run.name} has {own} at epoch {epoch:,}, --grok_weight_path has {other}"
                    raise UserError(f"networks of different size cannot be compared: {told}")


def visualize(flags: Flags) -> None:
    """Read everything, then write the pictures into ``flags.output_folder``."""
    import imageio.v3 as iio
    from tqdm import tqdm

    folders = {"dense": flags.weight_folder}
    if flags.ticket_folder:
        folders["ticket"] = flags.ticket_folder
    kind, *others = (shows(folder) for folder in folders.values())
    if others not in ([], [kind]):
        raise UserError(f"the runs are of different kinds: dense shows {kind}, ticket shows {others[0]}")
    views = VIEWS[kind]
    runs = [read_run(name, folder, views) for name, folder in folders.items()]
    grok_path = flags.grok_weight_path.resolve()
    grok = matrices_of(grok_path, functions_of(views))
    check_same_size(runs, grok)

    output = flags.output_folder
    output.mkdir(parents=True, exist_ok=True)
    if kind == "frequencies":
        sides = {}
        for run in runs:
            sides[run.name] = run.test_acc, run.matrices[effective_input], run.matrices[effective_output]
        plot_entropy(sides, output / "entropy.png")
        print(f"wrote {output / 'entropy.png'}")
    saved = [list(run.matrices[views[0].matrix]) for run in runs]
    epochs = shown_epochs(saved, flags.max_frames)
    if len(epochs) < (number := len(set().union(*saved))):
        print(f"{len(epochs)} of the {number} saved epochs are shown; --max_frames {number} shows all")
    for view in views:
        grok_name = f"{grok_path.parent.name}/{grok_path.name}"
        movie = make_movie(view, runs, epochs, grok, grok_name, flags.num_neurons or view.num_neurons)
        path = output / f"{view.name}.gif"
        # The bar shows on a terminal only.
        frames = list(tqdm(render(movie), path.name, len(epochs), leave=False, disable=None, unit="frame"))
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
