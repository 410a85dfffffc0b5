"""What is shown of a network: matrices, how they are drawn, and which neurons. The one place that knows the kinds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.fourier import Matrix, dominant_frequency, effective_input, effective_output, neuron_order, spectrum
from analysis.neurons import input_weights, norms_in_and_out, strength


def by_frequency(matrix: np.ndarray, num_neurons: int) -> np.ndarray:
    """Neurons by dominant frequency, then strength; of too many, evenly spaced ones in that order, ``(m, p) -> (panels,) int64``."""
    order = neuron_order(matrix)
    return order[np.linspace(0, len(order) - 1, min(num_neurons, len(order))).round().astype(int)]


def by_strength(norms: np.ndarray, num_neurons: int) -> np.ndarray:
    """The strongest neurons, the strongest first, ``(m, 2) -> (panels,) int64``."""
    return np.argsort(-strength(norms), stable=True)[:num_neurons]


def tell_frequency(matrix: np.ndarray) -> list[str]:
    """Each neuron's dominant frequency, ``(neurons, p) -> neurons texts``."""
    return [f"k = {k}" if k else "no k" for k in dominant_frequency(matrix)[0]]


def tell_strength(norms: np.ndarray) -> list[str]:
    """Each neuron's strength, ``(neurons, 2) -> neurons texts``."""
    return [f"{value:.2g}" for value in strength(norms)]


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
    by: Matrix  # what neurons are chosen and labelled by: {name: weight} -> (neurons, numbers)
    choose: Callable[[np.ndarray, int], np.ndarray]  # (neurons, numbers), the most panels -> (panels,) int64
    tell: Callable[[np.ndarray], Sequence[str]]  # (panels, numbers) -> their labels
    order: str  # what choose and tell go by
    meaning: str  # of ``order``
    num_neurons: int = 48  # the most panels
    backdrop: Callable[[np.ndarray], np.ndarray] | None = None  # (panels, numbers) -> (panels, x), in gray


def _curves_and_spectra(name: str, title: str, x: str, matrix: Matrix) -> tuple[View, View]:
    choice = {"by": matrix, "choose": by_frequency, "tell": tell_frequency}
    choice |= {"order": "k", "meaning": "the strongest frequency"}
    curve = f"x: {x} = {{first}} … {{last}}; y: weight"
    share = "x: frequency = {first} … {last}; y: share of the neuron's power, gray at the label's k"
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
    tell=tell_strength,
    order="strength",
    meaning="the L2 norm of a neuron's input weights times that of its output weights",
    num_neurons=25,
)

# By the "kind" in a run's config.json.
VIEWS = {
    "mlp": _periodic(r"$W_\mathrm{inproj}\,W_E$", r"$W_\mathrm{outproj}^\top\,W_U$"),
    "transformer": _periodic("$W_E$", "$W_U$"),
    "mnist": (IMAGES,),
}
VIEWS |= {f"{kind}_own_pairs": VIEWS[kind] for kind in ("mlp", "transformer")}
