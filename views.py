"""What is shown of a network: matrices, how they are drawn, and which neurons. The one place that knows the kinds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.fourier import dominant_frequency, effective_input, effective_output, neuron_order, spectrum
from analysis.neurons import input_weights, norms_in_and_out, strength
from figures import Matrix


@dataclass(frozen=True)
class Choice:
    """Which neurons are shown, in the order of the panels."""

    neurons: np.ndarray  # (panels,) int64
    labels: Sequence[str]


def by_frequency(matrix: np.ndarray, num_neurons: int) -> Choice:
    """Neurons by dominant frequency, then strength; of too many, evenly spaced ones in that order."""
    order = neuron_order(matrix)
    chosen = order[np.linspace(0, len(order) - 1, min(num_neurons, len(order))).round().astype(int)]
    frequencies = dominant_frequency(matrix)[0][chosen]
    labels = [f"{neuron}: k = {k}" if k else f"{neuron}: no k" for neuron, k in zip(chosen, frequencies, strict=True)]
    return Choice(chosen, labels)


def by_strength(norms: np.ndarray, num_neurons: int) -> Choice:
    """The strongest neurons, the strongest first."""
    strengths = strength(norms)
    chosen = np.argsort(-strengths, stable=True)[:num_neurons]
    return Choice(chosen, [f"{neuron}: {strengths[neuron]:.2g}" for neuron in chosen])


def mark_dominant(matrix: np.ndarray) -> np.ndarray:
    """1 at each neuron's dominant frequency, else 0, ``(neurons, p) -> (neurons, f)``."""
    frequencies = np.arange(1, matrix.shape[1] // 2 + 1)
    return (frequencies == dominant_frequency(matrix)[0][:, None]).astype(float)


@dataclass(frozen=True)
class View:
    """One way to look at one matrix of a network, a GIF with a panel per neuron."""

    name: str  # of the files
    title: str
    matrix: Matrix  # {name: weight} -> (neurons, inputs)
    values: Callable[[np.ndarray], np.ndarray]  # (neurons, inputs) -> (neurons, x)
    draw: str  # a key of panels.DRAW
    axes: str  # what they are; {first} and {last} are the numbers of the first and last value
    first_x: int
    y_ends: tuple[float, float] | None  # None: as far as the values go
    by: Matrix  # of the network that chooses the neurons: {name: weight} -> (neurons, numbers)
    choose: Callable[[np.ndarray, int], Choice]  # (neurons, numbers), the most panels -> the neurons
    order: str  # how they are labelled and ordered
    num_neurons: int = 48  # the most panels
    backdrop: Callable[[np.ndarray], np.ndarray] | None = None  # (neurons, numbers) -> (neurons, x), in gray


def _curves_and_spectra(name: str, title: str, x: str, matrix: Matrix) -> tuple[View, View]:
    choice = {"by": matrix, "choose": by_frequency, "order": "k, their strongest frequency"}
    curve = f"x: {x} = {{first}} … {{last}}; y: weight"
    share = "x: frequency = {first} … {last}; y: share of the neuron's power, at k in gray"
    curves = View(f"{name}_weights", title, matrix, np.asarray, "curves", curve, 0, None, **choice)
    choice["backdrop"] = mark_dominant
    return curves, View(
        f"{name}_spectra", f"spectra: {title}", matrix, spectrum, "bars", share, 1, (0.0, 1.0), **choice
    )


def _periodic(input_symbol: str, output_symbol: str) -> tuple[View, ...]:
    return (
        *_curves_and_spectra("input", f"effective input weights {input_symbol}", "input a", effective_input),
        *_curves_and_spectra("output", f"effective output weights {output_symbol}", "output c", effective_output),
    )


IMAGES = View(
    "input_images",
    r"input weights $W_\mathrm{in}$ of the strongest neurons",
    input_weights,
    np.asarray,
    "images",
    "colour: weight of a pixel, on a square-root scale, white at 0, where pruned weights stay and unused ones decay to",
    first_x=0,
    y_ends=None,
    by=norms_in_and_out,
    choose=by_strength,
    order="strength, the L2 norm of a neuron's input weights times that of its output weights,",
    num_neurons=25,
)

# By the "kind" in a run's config.json.
VIEWS = {
    "mlp": _periodic(r"$W_\mathrm{inproj}\,W_E$", r"$W_\mathrm{outproj}^\top\,W_U$"),
    "transformer": _periodic("$W_E$", "$W_U$"),
    "mnist": (IMAGES,),
}
