"""report.py: every ticket beside its dense run, medians over seeds, censored runs later than all others."""

import csv
from pathlib import Path

import numpy as np
import pytest
from scripts import succeed

import report

THRESHOLDS = (0.3, 0.6, 1.0)


@pytest.fixture
def pairs(place):
    """Dense runs of three seeds with a ticket each, and one ticket at another rate."""
    for seed in (0, 1, 2):
        succeed("main", f"--seed={seed}")
    succeed("main", "--seed=1", "--pruning_rate=0.3")
    return place


def first(folder: Path, threshold: float) -> int | None:
    """The first epoch with the test accuracy, read without the project's code."""
    with (folder / "metrics.csv").open() as file:
        epochs = [int(row["epoch"]) for row in csv.DictReader(file) if float(row["test_acc"]) >= threshold]
    return min(epochs, default=None)


def written(*flags: str) -> tuple[list[str], list[list[str]]]:
    assert report.main(["--csv=report.csv", "--gen_thresholds", *map(str, THRESHOLDS), *flags]) == 0
    with open("report.csv", newline="") as file:
        head, *rows = csv.reader(file)
    return head, rows


def test_the_table_says_what_metrics_csv_says(pairs):
    head, rows = written()
    assert len(rows) == 3 + 1 + 1, "three seeds, their median, and the other ticket"
    ticket_folders = {int(path.name.split("seed")[1][0]): path for path in Path("runs").glob("*__magnitude0.6*")}
    dense_folders = {seed: path.with_name(path.name.split("__")[0]) for seed, path in ticket_folders.items()}
    assert len(ticket_folders) == 3
    for row in rows:
        if "magnitude0.6" not in row[0] or row[1].startswith("median"):
            continue
        for threshold in THRESHOLDS:
            column = head.index(f"dense t_gen (test acc >= {threshold:g})")
            for folders, cell in zip((dense_folders, ticket_folders), row[column : column + 2], strict=True):
                epoch = first(folders[int(row[1])], threshold)
                assert cell == (f"{epoch:,}" if epoch is not None else "> 30")
    median = next(row for row in rows if row[1].startswith("median"))
    for threshold in THRESHOLDS:
        column = head.index(f"dense t_gen (test acc >= {threshold:g})")
        epochs = [first(folder, threshold) for folder in dense_folders.values()]
        middle = sorted(np.inf if epoch is None else epoch for epoch in epochs)[1]
        assert median[column].split(" (")[0] == ("> 30" if middle == np.inf else f"{middle:,.0f}")


def test_only_the_tickets_that_are_asked_for(pairs):
    _, rows = written("--tickets=*magnitude0.3*")
    assert [row[1] for row in rows] == ["1"]
    assert "magnitude0.3" in rows[0][0]
    assert report.main(["--tickets=*magnitude0.7*"]) == 2
