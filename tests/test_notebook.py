"""The guided tour, executed from a clean kernel: it runs, says what it said, and its story is true of the runs that it makes."""

import json
import re

import nbformat
import pytest
from nbclient import NotebookClient
from scripts import REPOSITORY

pytestmark = pytest.mark.slow
NOTEBOOK = REPOSITORY / "notebooks" / "grokking_tickets.ipynb"
# Appended to the notebook: for each run the epoch before which its t_gen is not, and whether it is there.
RESULTS = """
import json
rows = {name: row_of(name) for name in runs}
print(json.dumps({
    "t_mem": int(dense[T_MEM]),
    "later_than": {name: int(row[KNOWN_UNTIL]) for name, row in rows.items()},
    "is_known": {name: bool(pd.notna(row[T_GEN])) for name, row in rows.items()},
    "cosine": {name: float(row["cosine"]) for name, row in rows.items() if pd.notna(row["cosine"])},
    "same_frequencies": {name: float(cosine(shares["dense"], share)) for name, share in shares.items()},
    "entropy": {name: [float(frequency_entropy(of[epoch])) for epoch in (0, max(of))] for name, of in inputs.items()},
}))
"""


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def kinds(cell) -> list:
    """What a cell shows: text, pictures, tables."""
    return [(output.output_type, sorted(output.get("data", ()))) for output in cell.outputs]


@pytest.fixture(scope="module")
def committed():
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The cells after a run of all of them in an empty folder, and the results. Raises CellExecutionError where one fails."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    notebook.cells.append(nbformat.v4.new_code_cell(RESULTS))
    place = tmp_path_factory.mktemp("notebook")
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(place)}}).execute()
    *cells, last = code_cells(notebook)
    return cells, json.loads(last.outputs[0].text)


def test_the_committed_notebook_shows_its_outputs_and_nothing_of_a_machine(committed):
    nbformat.validate(committed)
    first, *others = code_cells(committed)
    assert 10 <= 1 + len(others) <= 18
    assert not first.outputs, "it only imports"
    assert all(cell.outputs for cell in others)
    assert [cell.execution_count for cell in (first, *others)] == list(range(1, len(others) + 2)), (
        "run from top to bottom"
    )
    for cell in others:
        for output in cell.outputs:
            assert output.output_type in ("stream", "display_data", "execute_result"), output
            assert output.get("name") != "stderr", output
            texts = [
                output.get("text", ""),
                *(text for kind, text in output.get("data", {}).items() if kind != "image/png"),
            ]
            for text in texts:
                assert not re.search(
                    r"/(?:work|tmp|root|home|Users|usr|opt|var|mnt)\b|\b[A-Z]:\\|site-packages", text
                ), text
    assert not re.search(r"/(?:work|tmp|root|home|Users)/", "".join(cell.source for cell in committed.cells))
    assert str(REPOSITORY) not in NOTEBOOK.read_text()


def test_it_runs_from_a_clean_kernel_and_shows_what_is_committed(committed, executed):
    cells, _ = executed
    assert [kinds(cell) for cell in cells] == [kinds(cell) for cell in code_cells(committed)]


def test_its_story_is_true_of_the_runs_that_it_makes(executed):
    _, found = executed
    later_than, is_known, same = found["later_than"], found["is_known"], found["same_frequencies"]
    ticket, dense = later_than["ticket"], later_than["dense"]
    assert is_known["dense"]
    assert is_known["ticket"]
    assert 4 * found["t_mem"] < dense, "grokking: a delay"
    assert 3 * ticket < dense, "the ticket has next to none"
    for name in ("same_l2", "shuffled", "reinit", "random_signs"):
        assert later_than[name] > 2 * ticket, f"{name} does not explain it"
    assert later_than["signs"] < later_than["random_signs"]
    assert found["cosine"]["at memorization"] > found["cosine"]["ticket"] > found["cosine"]["decay 3, at 1500"]
    assert later_than["at memorization"] > 2 * ticket, "a start that agrees with weights that do not generalize"
    assert later_than["decay 3, at 1500"] > 2 * ticket, "weights that generalize, and have forgotten the start"
    assert later_than["start at 200"] < ticket, "a later start"
    assert same["ticket"] > 0.7 > max(same["dense, seed 0"], same["reinit"]), "the frequencies are the dense run's"
    for before, after in found["entropy"].values():
        assert after < before / 3, "waves"
