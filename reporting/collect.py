"""Finished runs of a sweep -> a row each; for a sweep of one's own one CSV, a printed table and a picture."""

from collections import Counter
from pathlib import Path

from common.errors import UserError
from configs.base import Dense
from configs.sweep import Sweep
from experiments.parents import folder_of
from figures.dots import Dots
from reporting.columns import AT_START, BEST, generalization_columns, kept, t_gen
from reporting.results import (
    MASKED,
    Levels,
    dense_columns,
    frame,
    left_out_if_damaged,
    read_result,
    row_of,
    settings_columns,
    t_gen_column,
    t_gen_columns,
    write_csv,
)
from reporting.tables import dots_of, seeds_table, with_legend
from training.generalization import Generalization

EARLY = 0.5  # the threshold that the printed table shows beside gen_threshold
LOST = "dense diverged"  # the status of a ticket that can never be


def is_lost(config: Dense) -> bool:
    """Whether a ticket can never be, since its dense run diverged."""
    try:
        dense = folder_of(config.dense())
        return dense.is_finished and dense.summary()["status"] == "diverged"
    except UserError:
        return False


def rows_of(sweep: Sweep, finished: dict[Dense, Path], lost: list[Dense]):
    """A pandas.DataFrame, a row a run, in the sweep's order.

    ``finished``: the folders of runs, which another command may have made, by the sweep's configs, which say what they stand for.
    ``lost``: tickets that have no dense run to take a mask from, and so never generalize. Settings that mean one run are one row.
    """
    if not finished and not lost:
        raise UserError("no run of this sweep is finished; run it first, without --collect")
    for path, count in Counter(finished.values()).items():
        if count > 1:
            print(f"note: {count} settings mean one and the same run, {path.name}; the first of them stands for it")
    further = {one for one in sweep.reads if isinstance(one, float)}
    levels = Levels(tuple({*Levels().gen, sweep.base.gen_threshold} | further), sweep.base.mem_threshold)
    rows, seen = [], set()
    for config in sweep.configs():
        path = finished.get(config)
        if (path is None and config not in lost) or path in seen:
            continue
        seen |= {path} - {None}
        dense = folder_of(config.dense()).path if sweep.has_tickets else None
        with left_out_if_damaged(path or dense):
            asked = settings_columns(config.as_dict(), config.kind)
            if path is None:
                row = {"run": None} | asked | lost_columns(config, levels)
            else:
                row = row_of(read_result(path), levels) | {name: asked[name] for name in sweep.varying}
            row |= dense_columns(read_result(dense), levels) if dense else {}
            rows.append({"run": row.pop("run"), "setting": sweep.label(config)} | row)
    if not rows:
        raise UserError("no run of this sweep can be read; move the damaged ones away, and run it again")
    return frame(rows)


def lost_columns(config: Dense, levels: Levels) -> dict:
    """What is known of a ticket that can never be."""
    budget = config.training().num_epochs
    row = dict.fromkeys(MASKED) | {"status": LOST, "last_epoch": 0, "budget": budget}
    for threshold in sorted(levels.gen):
        row |= t_gen_columns(Generalization(None, None, "never", budget, None), threshold)
    return row


def write_sweep(sweep: Sweep, results, output: Path) -> None:
    """Write ``results.csv`` and ``t_gen.png`` into ``output`` and print the table over seeds."""
    write_csv(results, output / "results.csv")
    threshold = sweep.base.gen_threshold
    early = t_gen(EARLY) if threshold != EARLY else {}
    columns = early | generalization_columns(threshold) | BEST | AT_START | kept(results)
    print(with_legend(seeds_table(results, columns)))
    print(f"written: {output / 'results.csv'}, {len(results)} rows")
    if sweep.varying:
        panels = {"": dots_of(results, threshold)}
        Dots("When each setting generalizes", panels, f"{t_gen_column(threshold)}, epochs").draw(output / "t_gen.png")
        print(f"written: {output / 't_gen.png'}")
