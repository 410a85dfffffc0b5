"""Pairs of runs -> one tidy table, a row a number; and from it what two runs have learned, compared."""

import sys
from collections.abc import Sequence
from itertools import product

from common.errors import UserError
from measures import FAMILIES
from measures.pairs import OneRun, Pair, Row
from reporting.tables import table

COLUMNS = ("run", "other_run", "seed", "epoch", "other_epoch", "mask", "pruning_rate", "measure", "part", "value")
# What two runs have learned, compared at their ends (measures/fourier.py), and what else a comparison says of the ticket.
LEARNED = ("cosine_of_logit_shares", "same_key_frequencies")
OF_TICKET = ("kind", "pruner", "control", "use_mask", "retrain_lr", "retrain_weight_decay")


def analyze(pairs: Sequence[Pair], families: Sequence[str]):
    """All that is measured of the pairs at all their saved epochs, a pandas.DataFrame with COLUMNS; and the pairs that it is of.

    Says what it is going to do, and what is left out. Raises UserError where nothing can be measured.
    """
    import pandas
    from tqdm import tqdm

    steps = [
        (pair, family, run, epoch)
        for pair, family in product(pairs, families)
        for run in pair.runs
        for epoch in run.checkpoints
    ]
    many = "s" * (len(pairs) > 1)
    saved = len(steps) // len(families)
    print(f"measuring {', '.join(families)} of {len(pairs)} pair{many} of runs: {saved:,} saved epochs", flush=True)
    rows, notes = {pair: {family: [] for family in families} for pair in pairs}, {}
    failed = {pair: {} for pair in pairs}
    for pair, family, run, epoch in tqdm(steps, "measuring", leave=False, disable=None, unit="step"):
        if family in failed[pair]:
            continue
        try:
            found = [*FAMILIES[family](pair, run, epoch)]
        except Exception as error:  # a model or a task of one's own may lack what a measure asks for
            failed[pair][family] = reason_of(error)
            rows[pair][family] = []
            continue
        rows[pair][family] += [line_of(run, epoch, row) for row in found if isinstance(row, Row)]
        notes |= {note: None for note in found if isinstance(note, str)}
    measured = [pair for pair in pairs if len(failed[pair]) < len(families)]
    for pair, reasons in failed.items():
        told = f"{pair.ticket.name}: " + "; ".join(f"{family}: {reason}" for family, reason in reasons.items())
        if not measured:
            raise UserError(f"nothing can be measured of {told}")
        if reasons:
            print(f"left out: {told}", file=sys.stderr)
    for note in notes:
        print(note)
    tables = []
    for pair in measured:
        lines = [line for run in pair.runs for line in accuracies(run)]
        lines += [line for family in families for line in rows[pair][family]]
        of_pair = pandas.DataFrame(lines, columns=list(COLUMNS))
        # A dense run of several tickets has what does not depend on them once; of random masks each draw stays, equal or not.
        tables.append(of_pair.assign(draw=of_pair.groupby(list(COLUMNS), dropna=False).cumcount()))
    return pandas.concat(tables).drop_duplicates(ignore_index=True).drop(columns="draw"), measured


def reason_of(error: Exception) -> str:
    """Why something cannot be measured, in words."""
    if isinstance(error, KeyError):
        return f"its network has no {error.args[0]}"
    return f"{error}" if isinstance(error, UserError | OSError) else f"{type(error).__name__}: {error}"


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
        compared = [("ticket with its dense run", pair.ticket, pair.dense)]
        compared += [("ticket with another seed's", pair.ticket, other.ticket) for other in pair.others]
        compared += [("dense run with another seed's", pair.dense, other.dense) for other in pair.others]
        for what, run, other in compared:
            own = rows[rows["run"].eq(run.name) & rows["other_run"].eq(other.name)]
            values = dict(zip(own["measure"], own["value"], strict=True))
            is_once = run.name < other.name or other is pair.dense
            if is_once and other.name in ends and values.keys() >= set(LEARNED):
                line = about | {"compared": what, "run": run.name, "other_run": other.name} | values
                lines.append(line | {"test_acc": min(ends[run.name], ends[other.name])})
    return pandas.DataFrame(lines)


def learned_table(learned) -> str:
    """``comparisons`` over seeds: of each kind and setting the median, and the range, of both measures.

    Of runs that both generalize, to a test accuracy of one half at least; the others have learned nothing that could be alike.
    """
    own = learned[learned["test_acc"] >= 0.5]
    # Two dense runs stand there for each setting of their tickets, whose name goes on after the dense run's.
    is_dense = own["compared"].str.startswith("dense")
    own = own.assign(setting=own["setting"].mask(is_dense, own["setting"].str.replace("__.*", "", regex=True)))
    own = own.drop_duplicates(["compared", "setting", "run", "other_run"])
    settings, lines = own.groupby(["kind", "compared"])["setting"].nunique(), []
    for (kind, compared, setting), group in own.groupby(["kind", "compared", "setting"], sort=False):
        values = (group[measure] for measure in LEARNED)
        cells = [f"{one.median():.2f} ({one.min():.2f} to {one.max():.2f})" for one in values]
        name = f" ({setting})" if settings[kind, compared] > 1 else ""
        lines.append([f"{kind}: {compared}{name}", str(len(group)), *cells])
    return table(["compared", "pairs of runs", *(measure.replace("_", " ") for measure in LEARNED)], lines)
