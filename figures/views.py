"""What is shown of a network: matrices, how they are drawn, and which neurons."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.fourier import Matrix, dominant_frequency, effective_input, effective_output, neuron_order, spectrum
from analysis.neurons import input_weights, strength
from figures.gif import Movie, symmetric_ends
from figures.panels import Side


def by_frequency(matrix: np.ndarray, num_neurons: int) -> np.ndarray:
    """Neurons by dominant frequency, then strength; of too many, evenly spaced ones in that order, ``(m, p) -> (panels,) int64``."""
    order = neuron_order(matrix)
    return order[np.linspace(0, len(order) - 1, min(num_neurons, len(order))).round().astype(int)]


def by_strength(strengths: np.ndarray, num_neurons: int) -> np.ndarray:
    """The strongest neurons, the strongest first, ``(m, 1) -> (panels,) int64``."""
    return np.argsort(-strengths[:, 0], stable=True)[:num_neurons]


def tell_frequency(matrix: np.ndarray) -> list[str]:
    """Each neuron's dominant frequency, ``(neurons, p) -> neurons texts``."""
    return [f"k = {k}" if k else "no k" for k in dominant_frequency(matrix)[0]]


def tell_strength(strengths: np.ndarray) -> list[str]:
    """Each neuron's strength, ``(neurons, 1) -> neurons texts``."""
    return [f"{value:.2g}" for value in strengths[:, 0]]


def mark_dominant(matrix: np.ndarray) -> np.ndarray:
    """1 at each neuron's dominant frequency, else 0, ``(neurons, p) -> (neurons, f)``."""
    frequencies = np.arange(1, matrix.shape[1] // 2 + 1)
    return (frequencies == dominant_frequency(matrix)[0][:, None]).astype(float)


@dataclass(frozen=True, kw_only=True)
class View:
    """One way to look at one matrix of a network, a GIF with a panel per neuron."""

    name: str  # of the files
    title: str
    matrix: Matrix  # {name: weight} -> (neurons, inputs)
    values: Callable[[np.ndarray], np.ndarray] = np.asarray  # (neurons, inputs) -> (neurons, x)
    draw: str  # a key of panels.DRAW
    axes: str  # what they are; {first} and {last} are the numbers of the first and last value
    first_x: int = 0
    y_ends: tuple[float, float] | None = None  # None: as far as the values go
    by: Matrix  # what neurons are chosen and labelled by: {name: weight} -> (neurons, numbers)
    choose: Callable[[np.ndarray, int], np.ndarray] = by_frequency  # the most panels -> (panels,) int64
    tell: Callable[[np.ndarray], Sequence[str]] = tell_frequency  # (panels, numbers) -> their labels
    order: str = "k"  # what choose and tell go by
    meaning: str = "the strongest frequency"  # of ``order``
    num_neurons: int = 48  # the most panels
    backdrop: Callable[[np.ndarray], np.ndarray] | None = None  # (panels, numbers) -> (panels, x), in gray


def curves_and_spectra(name: str, title: str, x: str, matrix: Matrix) -> tuple[View, View]:
    """A matrix of which each row is a function of a number 0 ... p-1, and how periodic the rows are."""
    what = {"name": f"{name}_weights", "title": title, "matrix": matrix, "by": matrix}
    curves = View(**what, draw="curves", axes=f"x: {x} = {{first}} … {{last}}; y: weight")
    spectra = replace(
        curves,
        name=f"{name}_spectra",
        title=f"spectra: {title}",
        values=spectrum,
        draw="bars",
        axes="x: frequency = {first} … {last}; y: share of the neuron's power, gray at the label's k",
        first_x=1,
        y_ends=(0.0, 1.0),
        backdrop=mark_dominant,
    )
    return curves, spectra


IMAGES = View(
    name="input_images",
    title=r"input weights $W_\mathrm{in}$ of the strongest neurons",
    matrix=input_weights,
    draw="images",
    axes="colour: weight of a pixel, on a square-root scale, white at 0, where pruned weights stay and unused ones decay to",
    by=strength,
    choose=by_strength,
    tell=tell_strength,
    order="strength",
    meaning="the L2 norm of a neuron's input weights times that of its output weights",
    num_neurons=25,
)

# By what the task of a run shows, as its config.json says.
VIEWS = {
    "frequencies": (
        *curves_and_spectra("input", "effective input weights, what each neuron reads", "input a", effective_input),
        *curves_and_spectra(
            "output", "effective output weights, what each neuron writes", "output c", effective_output
        ),
    ),
    "images": (IMAGES,),
}


@dataclass(frozen=True)
class ShownRun:
    """A run as pictures show it."""

    name: str
    matrices: Mapping[Matrix, Mapping[int, np.ndarray]]  # {function: {epoch: (neurons, inputs)}}
    test_acc: Mapping[int, float]  # {epoch: accuracy}


def functions_of(views: Sequence[View]) -> list[Matrix]:
    """All that ``views`` need to know of a network, each once."""
    return list(dict.fromkeys(function for view in views for function in (view.matrix, view.by)))


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
    epochs = [sorted({epoch for epoch in of_side if epoch is not None}) for of_side in zip(*shown, strict=True)]
    values = [
        {epoch: view.values(run.matrices[view.matrix][epoch][neurons]) for epoch in own}
        for run, own in zip(runs, epochs, strict=True)
    ]
    every = [value for of_run in values for value in of_run.values()]
    y_ends, outside = (view.y_ends, "") if view.y_ends else symmetric_ends(every)
    x_ends = view.first_x, view.first_x + every[0].shape[1] - 1
    sides = []
    for run, of_run, last in zip(runs, values, shown[-1], strict=True):
        own = run.matrices[view.by][last][neurons]
        labels = [f"{neuron}: {text}" for neuron, text in zip(neurons, view.tell(own), strict=True)]
        backdrop = view.backdrop(own) if view.backdrop else None
        sides.append(Side(run.name, of_run, run.test_acc, view.draw, labels, x_ends, y_ends, backdrop))
    number = len(grok[view.by])
    count = f"{len(neurons)} of {number}" if len(neurons) < number else f"all {number}"
    note = [
        f"{count} neurons, ordered by {view.order} ({view.meaning}) in {grok_name}; "
        f"labels: neuron and its {view.order} in the last frame of its run",
        f"{view.axes.format(first=x_ends[0], last=x_ends[1])}; the same in all panels and frames{outside}",
    ]
    return Movie(view.title[0].upper() + view.title[1:], note, sides, shown)
