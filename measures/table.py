"""Pairs of runs -> one tidy table, a row a number; and from it what two runs have learned, compared."""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from statistics import median

from common.errors import UserError
from figures.measured import Shown
from measures import FAMILIES
from measures.pairs import OneRun, Pair
from measures.row import Row
from reporting.results import records
from reporting.tables import table

COLUMNS = ("run", "other_run", "seed", "epoch", "other_epoch", "mask", "pruning_rate", "measure", "part", "value")
SECONDS_BETWEEN_LINES = 15.0
# What two runs have learned, compared at their ends (measures/fourier.py), and what else a comparison says of the ticket.
LEARNED = ("cosine_of_logit_shares", "same_key_frequencies")
OF_TICKET = ("kind", "pruner", "control", "use_mask", "retrain_lr", "retrain_weight_decay")


def analyze(pairs: Sequence[Pair], families: Sequence[str]):
    """All that is measured of the pairs at all their saved epochs, a pandas.DataFrame with COLUMNS; and the pairs that it is of.

    Says what it is going to do, how far it is, and what is left out. Raises UserError where no pair can be measured.
    """
    import pandas

    steps = [
        (pair, family, run, epoch)
        for pair, family in product(pairs, families)
        for run in pair.runs
        for epoch in run.checkpoints
    ]
    print(
        f"measuring {', '.join(families)} of {len(pairs)} pair{'s' * (len(pairs) > 1)} of runs: "
        f"{len(steps) // len(families):,} saved epochs",
        flush=True,
    )
    rows, failed, notes = {pair: [] for pair in pairs}, set(), {}
    for pair, family, run, epoch in with_progress(steps):
        if pair in failed:
            continue
        try:
            if not rows[pair]:
                rows[pair] = [line for one in pair.runs for line in accuracies(one)]
            for found in FAMILIES[family](pair, run, epoch):
                if isinstance(found, Row):
                    rows[pair].append(line_of(run, epoch, found))
                else:
                    notes[found] = None
        except Exception as error:  # a model or a task of one's own may lack what a measure asks for
            reason = f"{error}" if isinstance(error, UserError | OSError) else f"{type(error).__name__}: {error}"
            if len(failed) + 1 == len(pairs):
                raise UserError(f"{pair.ticket.name} cannot be measured: {family}: {reason}") from None
            print(f"left out: {pair.ticket.name}: {family}: {reason}", file=sys.stderr)
            failed.add(pair)
    for note in notes:
        print(note)
    pairs = [pair for pair in pairs if pair not in failed]
    tables = [pandas.DataFrame(rows[pair], columns=list(COLUMNS)) for pair in pairs]
    # A dense run of several tickets has what does not depend on them once; of random masks each draw stays, equal or not.
    tables = [table.assign(draw=table.groupby(list(COLUMNS), dropna=False).cumcount()) for table in tables]
    return pandas.concat(tables).drop_duplicates(ignore_index=True).drop(columns="draw"), pairs


def with_progress(steps: Sequence[tuple]) -> Iterator[tuple]:
    """The steps of ``analyze`` one by one; now and then a line says how many are done, and how long the rest takes."""
    since = printed = time.perf_counter()
    for done, (pair, family, run, epoch) in enumerate(steps):
        if (now := time.perf_counter()) - printed >= SECONDS_BETWEEN_LINES and done:
            printed, left = now, (now - since) * (len(steps) - done) / done
            now_at = f"now {family} of seed {pair.ticket.config.seed}"
            print(f"{done:,} of {len(steps):,} steps done, {now_at}, about {left:.0f} s left", flush=True)
        yield pair, family, run, epoch


def line_of(run: OneRun, epoch: int, row: Row) -> list:
    """A row in the order of COLUMNS."""
    values = row._asdict() | {"run": run.name, "seed": run.config.seed, "epoch": epoch}
    return [values[name] for name in COLUMNS]


def accuracies(run: OneRun) -> list[list]:
    """Train and test accuracy at the saved epochs, beside which the rest is read."""
    epochs = run.metrics["epoch"].tolist()
    saved = [(int(epoch), at) for at, epoch in enumerate(epochs) if epoch in run.checkpoints]
    names = ("train_acc", "test_acc")
    return [line_of(run, epoch, Row(name, float(run.metrics[name][at]))) for name in names for epoch, at in saved]


def comparisons(rows, pairs: Sequence[Pair]):
    """The rows of the table that compare what two runs have learned, a line for two runs, a pandas.DataFrame.

    ``compared``: "ticket with its dense run", "ticket with another seed's" or "dense run with another seed's"; the settings are
    the ticket's.
    """
    import pandas

    ends = rows[rows["measure"].eq("test_acc")].sort_values("epoch").groupby("run")["value"].last()
    rows, lines = rows[rows["measure"].isin(LEARNED)], []
    for pair in pairs:
        config = pair.ticket.config
        about = {"setting": pair.setting, "seed": config.seed}
        about |= {name: getattr(config, name, None) for name in OF_TICKET}
        kinds = {"ticket with its dense run": (pair.ticket, [pair.dense])}
        kinds["ticket with another seed's"] = pair.ticket, [other.ticket for other in pair.others]
        kinds["dense run with another seed's"] = pair.dense, [other.dense for other in pair.others]
        for compared, (run, others) in kinds.items():
            for other in others:
                own = rows[rows["run"].eq(run.name) & rows["other_run"].eq(other.name)]
                values = dict(zip(own["measure"], own["value"], strict=True))
                is_once = run.name < other.name or other is pair.dense
                if is_once and other.name in ends and values.keys() >= set(LEARNED):
                    lines.append(about | {"compared": compared, "run": run.name, "other_run": other.name} | values)
                    lines[-1]["test_acc"] = min(ends[run.name], ends[other.name])
    return pandas.DataFrame(lines)


def shown(pairs: Sequence[Pair]) -> list[Shown]:
    """The pairs by setting, as pictures show them."""
    settings: dict[str, list[Pair]] = {}
    for pair in pairs:
        settings.setdefault(pair.setting, []).append(pair)
    return [
        Shown(
            setting,
            {pair.dense.name: pair.dense.metrics for pair in own},
            {pair.ticket.name: pair.ticket.metrics for pair in own},
            own[0].pruning_rate,
        )
        for setting, own in settings.items()
    ]


NAMED = {True: "ticket", False: "no mask", None: "trained again"}


def learned_table(learned) -> str:
    """``comparisons`` over seeds: of each kind and setting the median, and the range, of both measures.

    Of runs that both generalize, to a test accuracy of one half at least; the others have learned nothing that could be alike.
    """
    groups: dict[tuple[str, str], dict] = {}
    for row in records(learned[learned["test_acc"] >= 0.5]):
        # Two dense runs stand there for each setting of their tickets, whose name goes on after the dense run's.
        of_dense = row["compared"].startswith("dense")
        setting = row["setting"].partition("__")[0] if of_dense else row["setting"]
        groups.setdefault((_label(row), setting), {})[row["run"], row["other_run"]] = row
    times, lines = Counter(label for label, _ in groups), []
    for (label, setting), own in groups.items():
        values = ([row[measure] for row in own.values()] for measure in LEARNED)
        cells = [f"{median(one):.2f} ({min(one):.2f} to {max(one):.2f})" for one in values]
        lines.append([label if times[label] == 1 else f"{label} ({setting})", str(len(own)), *cells])
    return table(["compared", "pairs of runs", *(measure.replace("_", " ") for measure in LEARNED)], lines)


def _label(row: dict) -> str:
    """Which two runs are compared, and how the ticket was retrained."""
    if row["compared"].startswith("dense"):
        return f"{row['kind']}: {row['compared']}"
    compared = row["compared"].replace("ticket", row["control"] or NAMED[row["use_mask"]], 1)
    retrained = ((field, row[f"retrain_{field}"]) for field in ("lr", "weight_decay"))
    return ", ".join(
        [f"{row['kind']}: {compared}", *(f"{name} {value:g}" for name, value in retrained if value is not None)]
    )
