"""What is made of the weights in the checkpoints of a run, for pictures and the notebook."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from analysis.fourier import Matrix
from common.errors import UserError
from experiments.reader import list_checkpoints, load_checkpoint


def matrices_of(path: Path, functions: Sequence[Matrix]) -> dict[Matrix, np.ndarray]:
    """What each of ``functions`` makes of the weights in one checkpoint, ``{function: (neurons, values)}``."""
    weights = load_checkpoint(path)["model"]
    try:
        matrices = {function: function(weights) for function in dict.fromkeys(functions)}
    except KeyError as error:
        raise UserError(f"{path} holds the weights of another kind of network: it has no {error.args[0]}") from None
    except (TypeError, ValueError):
        matrices = None
    if matrices is None or any(matrix.ndim != 2 or not matrix.size for matrix in matrices.values()):
        raise UserError(f"{path} is no checkpoint of this project: the shapes of its weights do not fit together")
    if not all(np.isfinite(matrix).all() for matrix in matrices.values()):
        raise UserError(f"{path} holds weights that are not finite; choose a run that did not diverge")
    return matrices


def read_matrices(folder: Path, functions: Sequence[Matrix]) -> dict[Matrix, dict[int, np.ndarray]]:
    """The same for all checkpoints of a run, ``{function: {epoch: (neurons, values)}}``, in order."""
    found = {epoch: matrices_of(path, functions) for epoch, path in list_checkpoints(folder).items()}
    if not found:
        raise UserError(f"{folder} holds no checkpoints: is it the folder of a run?")
    return {function: {epoch: found[epoch][function] for epoch in found} for function in functions}
