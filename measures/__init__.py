"""What is measured of a dense run and its ticket at every saved epoch: a family of measures a file, its formulas and its rows.

A family is a function of a pair, one of its two runs and a saved epoch. It gives a Row for each number, and a text where something
means nothing for such a network and is left out.
"""

from measures.fourier import measure_fourier
from measures.gradients import measure_gradients
from measures.graph import measure_graphs
from measures.norms import measure_norms
from measures.structure import measure_structure

# Whoever adds a family adds it here; --measures then knows its name.
FAMILIES = {
    "fourier": measure_fourier,
    "structure": measure_structure,
    "graph": measure_graphs,
    "norms": measure_norms,
    "gradients": measure_gradients,
}
