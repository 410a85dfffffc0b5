"""Finished runs of a sweep -> one CSV, a printed table and a picture."""

from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from common.errors import UserError
from configs.base import Dense
from configs.sweep import Sweep
from experiments.code_state import same_code
from experiments.parents import parent_folder
from figures.sweeps import plot_settings, plot_sweep
from reporting.at_epochs import at_epochs
from reporting.cells import accuracy, kept, median_of, outcome, t_gen
from reporting.choices import settings_columns, standing_as, stored_as
from reporting.results import (
    MASKED,
    NORM,
    Levels,
    Result,
    dense_columns,
    frame,
    read_result,
    row_of,
    t_gen_column,
    t_gen_columns,
    write_csv,
)
from reporting.tables import seeds_table, with_legend
from training.generalization import Generalization

EARLY = 0.5  # the threshold that the printed table shows beside gen_threshold
LOST = "dense diverged"  # the status of a ticket that can never be


def is_lost(config: Dense) -> bool:
    """Whether a ticket can never be, since its dense run diverged."""
    try:
        dense = parent_folder(config.dense(), config)
        return dense.is_finished and dense.summary()["status"] == "diverged"
    except UserError:
        return False


def collect(sweep: Sweep, finished: list[tuple[Dense, Path]], lost: list[Dense], output: Path) -> None:
    """Write ``results.csv`` and ``t_gen.png`` into ``output`` and print the table over seeds.

    ``finished``: the sweep's configs, which say what a row stands for (its folder may have been made by another command), and
    the folders of their runs; ``lost``: tickets without a dense run to take the mask from, which never generalize. Settings that
    mean one run are one row, and runs of different code are not mixed.
    """
    if not finished and not lost:
        raise UserError("no run of this sweep is finished; run it first, without --collect")
    for path, count in Counter(path for _, path in finished).items():
        if count > 1:
            print(f"note: {count} settings mean one and the same run, {path.name}; the first of them stands for it")
    runs: dict[Dense, Result] = {}  # of a lost ticket its dense run
    for config, path in finished:
        if all(path != run.path for run in runs.values()):
            with left_out_if_damaged(path):
                runs[config] = read_result(path)
    runs |= {config: read_result(parent_folder(config.dense(), config).path) for config in lost}
    codes = {run.path: standing_as(run.settings, c.dense() if c in lost else c) for c, run in runs.items()}
    trained = same_code(codes)
    shown = {config: runs[config] for config in sweep.configs() if config in runs and runs[config].path in trained}
    rows = []
    for config, run in shown.items():
        with left_out_if_damaged(run.path):
            rows.append(row_in(sweep, config, run, config in lost))
    if not rows:
        raise UserError("no run of this sweep can be read; move the damaged ones away, and run it again")
    results = frame(rows)
    write_csv(results, output / "results.csv")

    threshold = sweep.base.gen_threshold
    early = t_gen(EARLY) if threshold != EARLY else {}
    more = accuracy("best_test_acc") | median_of(NORM, 1) | kept(results)
    print(with_legend(seeds_table(results, ["setting"], early | outcome(threshold) | more, [sweep.heading])))
    total = len(sweep.configs())
    print(f"{len(finished)} of {total} runs are finished; written: {output / 'results.csv'}, {len(rows)} rows")
    if sweep.varying:
        groups: dict[str, list[dict]] = {}
        for row in rows:
            groups.setdefault(row["setting"], []).append(row)
        draw = plot_sweep if sweep.axes else plot_settings
        draw(groups, t_gen_column(threshold), output / "t_gen.png", *([sweep.varying] if sweep.axes else []))
        print(f"written: {output / 't_gen.png'}")


@contextmanager
def left_out_if_damaged(path: Path):
    """Say that a run is left out, and why, where a file of it is damaged."""
    try:
        yield
    except (UserError, OSError) as error:
        print(f"left out: {path.name}: {error}")


def row_in(sweep: Sweep, config: Dense, run: Result, without_run: bool) -> dict:
    """A run as a row, with the settings by which the sweep calls it; of a lost ticket ``run`` is the dense run."""
    levels = Levels((*Levels().gen, sweep.base.gen_threshold), sweep.base.mem_threshold)
    asked = settings_columns(stored_as(config))
    if without_run:
        budget = config.retraining()["num_epochs"]
        row = {"run": None} | asked | dict.fromkeys(MASKED) | {"status": LOST, "last_epoch": 0, "budget": budget}
        for threshold in sorted(set(levels.gen)):
            row |= t_gen_columns(Generalization(None, None, "never", budget, None), threshold)
        row |= dense_columns(run, None, levels)
    else:
        row = row_of(run, levels) | {name: asked[name] for name in sweep.varying}
        row |= dense_columns(
            read_result(parent_folder(config.dense(), config).path) if sweep.has_tickets else None, run, levels
        )
        row |= at_epochs(run, sweep.at) if sweep.at else {}
    return {"run": row.pop("run"), "setting": sweep.label(config)} | row
