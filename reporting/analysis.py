"""Pairs of runs -> one tidy table, a row a number. What the same code has computed of the same files is reused."""

import hashlib
import json
import sys
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from statistics import median

from common.errors import UserError
from common.files import load_json, save_json
from experiments.code_state import same_code, worst
from experiments.folder import ASIDE
from experiments.pairs import Pair, Run, open_pair
from experiments.source_hash import source_hash
from figures.measured import Shown
from measures import FAMILIES
from measures.row import Row
from reporting.choices import group_of, standing_of
from reporting.results import dense_of, read_result, records
from reporting.tables import table

COLUMNS = ("run", "other_run", "seed", "epoch", "other_epoch", "mask", "pruning_rate", "measure", "part", "value")


def find_pairs(root: Path, pattern: str, seeds: Sequence[int] | None) -> list[Pair]:
    """Every finished ticket and control below ``root`` whose folder is like ``pattern``, with its dense run.

    Those of one setting and other seeds know each other. Damaged runs are named on stderr and left out, and so are those of other
    code, where there are runs of the code of now.
    """
    pairs, groups, codes = {}, {}, {}
    folders = [path.parent for path in sorted(root.glob(f"{pattern}/summary.json")) if ASIDE not in path.parent.name]
    for folder in folders:
        try:
            ticket = read_result(folder)
            is_of_seed = seeds is None or ticket.settings["config"].get("seed") in seeds
            if not ticket.is_ticket or not is_of_seed:
                continue
            beside = root / Path(ticket.settings["dense_run"]).name
            dense = dense_of(ticket, [read_result(beside)] if (beside / "summary.json").exists() else [])
            pairs[folder], groups[folder] = open_pair(dense.path, folder), group_of(ticket.settings)
            states, *rest = zip(*(standing_of(run.settings, run.path) for run in (dense, ticket)), strict=True)
            codes[folder] = worst(states), *rest
        except (UserError, OSError, KeyError, TypeError, AttributeError) as error:
            print(f"left out: {folder.name}: {error}", file=sys.stderr)
    if not pairs:
        raise UserError(
            f"below {root} is no finished ticket like {pattern} beside its dense run; python main.py makes one"
        )
    kept = same_code(codes)
    for one, other in permutations(kept, 2):
        if groups[one] == groups[other]:
            pairs[one].others.append(pairs[other])
    return [pairs[folder] for folder in kept]


def analyze(pairs: Sequence[Pair], families: Sequence[str], output: Path):
    """All that is measured of the pairs at all their saved epochs, a pandas.DataFrame with COLUMNS; says what is left out."""
    import pandas
    from tqdm import tqdm

    tables, notes = [], {}
    steps = len(families) * sum(len(run.checkpoints) for pair in pairs for run in pair.runs)
    with tqdm(total=steps, leave=False, disable=None, unit="epoch") as bar:  # shows on a terminal only
        for pair in pairs:
            rows = [row for run in pair.runs for row in accuracies(run)]
            for family in families:
                bar.set_description(f"{pair.ticket.config.kind} seed {pair.ticket.config.seed}, {family}")
                found = measured(pair, family, output / "cache" / pair.ticket.name / f"{family}.json", bar.update)
                rows += found["rows"]
                notes |= dict.fromkeys(found["left out"])
            table = pandas.DataFrame(rows, columns=list(COLUMNS))
            tables.append(table.assign(draw=table.groupby(list(COLUMNS), dropna=False).cumcount()))
    for note in notes:
        print(note)
    # A dense run of several tickets has what does not depend on them once; of random masks each draw stays, equal or not.
    return pandas.concat(tables).drop_duplicates(ignore_index=True).drop(columns="draw")


def measured(pair: Pair, family: str, cache: Path, progress) -> dict[str, list]:
    """``{"rows": ..., "left out": texts}`` of a family, from ``cache`` where that was made by this code of these files."""
    function, steps = FAMILIES[family], [(run, epoch) for run in pair.runs for epoch in run.checkpoints]
    config = pair.dense.config
    roots = [function, Pair, Run, type(config.task).split, type(config.model).build]
    code = source_hash([*roots, type(pair.ticket.config).trained], {}, config=type(pair.ticket.config))
    key = {"code": code, "files": fingerprint(pair)}
    try:
        stored = load_json(cache, {"key": dict, "rows": list, "left out": list})
    except UserError:
        stored = {"key": None}
    if stored["key"] == key:
        progress(len(steps))
        return stored
    rows, notes = [], {}
    for run, epoch in steps:
        for found in function(pair, run, epoch):
            if isinstance(found, Row):
                rows.append(line(run, epoch, found))
            else:
                notes[found] = None
        progress(1)
    cache.parent.mkdir(parents=True, exist_ok=True)
    made = {"key": key, "left out": list(notes), "rows": rows}
    save_json(made, cache)
    return made


def line(run: Run, epoch: int, row: Row) -> list:
    """A row in the order of COLUMNS."""
    values = row._asdict() | {"run": run.name, "seed": run.config.seed, "epoch": epoch}
    return [values[name] for name in COLUMNS]


def accuracies(run: Run) -> list[list]:
    """Train and test accuracy at the saved epochs, beside which the rest is read."""
    epochs = run.metrics["epoch"].tolist()
    saved = [(int(epoch), at) for at, epoch in enumerate(epochs) if epoch in run.checkpoints]
    names = ("train_acc", "test_acc")
    return [line(run, epoch, Row(name, float(run.metrics[name][at]))) for name in names for epoch, at in saved]


def fingerprint(pair: Pair) -> str:
    """Changes where a file of a pair, or of those of other seeds, does."""
    runs = [run for one in (pair, *pair.others) for run in one.runs]
    files = [
        path
        for run in runs
        for path in sorted(run.folder.glob("*"))
        if path.suffix in (".pth", ".csv") or path.name == "config.json"
    ]
    stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(json.dumps(stats).encode()).hexdigest()


# What two runs have learned, compared at their ends (measures/fourier.py), and what else a comparison says of the ticket.
LEARNED = ("cosine_of_logit_shares", "same_key_frequencies")
OF_TICKET = ("kind", "pruner", "control", "use_mask", "retrain_lr", "retrain_weight_decay")


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
        about = {"setting": setting_of(pair), "seed": config.seed}
        about |= {name: getattr(config, name, None) for name in OF_TICKET}
        kinds = {"ticket with its dense run": (pair.ticket, [pair.dense])}
        kinds["ticket with another seed's"] = pair.ticket, [other.ticket for other in pair.others]
        kinds["dense run with another seed's"] = pair.dense, [other.dense for other in pair.others]
        for compared, (run, others) in kinds.items():
            for other in others:
                own = rows[rows["run"].eq(run.name) & rows["other_run"].eq(other.name)]
                values = dict(zip(own["measure"], own["value"], strict=True))
                is_once = run.name < other.name or other is pair.dense
                if is_once and values.keys() >= set(LEARNED):
                    lines.append(about | {"compared": compared, "run": run.name, "other_run": other.name} | values)
                    lines[-1]["test_acc"] = min(ends[run.name], ends[other.name])
    return pandas.DataFrame(lines)


def learned_table(learned) -> str:
    """``comparisons`` over seeds: of each kind and setting the median, and the range, of both measures.

    Of runs that both generalize, to a test accuracy of one half at least; the others have learned nothing that could be alike.
    """

    def name(row: dict) -> str:
        if row["compared"].startswith("dense"):
            return f"{row['kind']}: {row['compared']}"  # whatever the tickets' setting
        named = {True: "ticket", False: "no mask", None: "trained again"}
        what = row["control"] or named[row["use_mask"]]
        retrained = ((field, row[f"retrain_{field}"]) for field in ("lr", "weight_decay"))
        settings = [f"{field} {value:g}" for field, value in retrained if value is not None]
        return ", ".join([f"{row['kind']}: {row['compared'].replace('ticket', what, 1)}", *settings])

    groups: dict[str, dict] = {}
    for row in records(learned[learned["test_acc"] >= 0.5]):
        is_dense = row["compared"].startswith("dense")
        groups.setdefault((name(row), None if is_dense else row["setting"]), {})[row["run"], row["other_run"]] = (
            row  # two dense runs stand there for each setting
        )
    lines = []
    for (label, _), own in groups.items():
        values = ([row[measure] for row in own.values()] for measure in LEARNED)
        cells = [f"{median(one):.2f} ({min(one):.2f} to {max(one):.2f})" for one in values]
        lines.append([label, str(len(own)), *cells])
    return table(["compared", "pairs of runs", *(measure.replace("_", " ") for measure in LEARNED)], lines)


def setting_of(pair: Pair) -> str:
    """One name for the pairs of a setting, whatever their seed: a long folder's name ends with a hash of its own."""
    first = min((pair, *pair.others), key=lambda one: one.ticket.name).ticket
    return first.name.replace(f"_seed{first.config.seed}", "", 1)


def curves_of(pairs: Sequence[Pair]) -> list[Shown]:
    """The pairs by setting, as pictures show them."""
    settings: dict[str, list[Pair]] = {}
    for pair in pairs:
        settings.setdefault(setting_of(pair), []).append(pair)
    return [
        Shown(
            setting,
            {pair.dense.name: pair.dense.metrics for pair in own},
            {pair.ticket.name: pair.ticket.metrics for pair in own},
            own[0].pruning_rate,
        )
        for setting, own in settings.items()
    ]
