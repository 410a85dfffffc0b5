"""What is measured of a dense run and its ticket at every saved epoch: a family of measures a file. Definitions are in analysis/.

A family is a function of a pair, one of its two runs and a saved epoch. It gives a Row for each number, and a text where something
means nothing for such a network and is left out.
"""

from measures.fourier import fourier
from measures.gradients import gradients
from measures.graph import graph
from measures.norms import norms
from measures.structure import structure

# Whoever adds a family adds it here; --measures then knows its name.
FAMILIES = {"fourier": fourier, "structure": structure, "graph": graph, "norms": norms, "gradients": gradients}
