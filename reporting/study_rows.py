"""A study's rows <-> its results.csv: one file for all parts, a row a run, some forty columns.

Its first line is ``# {part: {column: value}}``. What is the same in all rows of a part stands there, and is put back when the file
is read. So does a column about t_gen that equals another one in all rows, below ``same columns``; and so do the versions of the code,
of which a row has the number. The columns of t_gen at the part's own threshold, which is ``gen_threshold`` there, do not repeat it in
their names.
"""

import json
from pathlib import Path

from common.errors import UserError
from configs.sweep import Sweep
from reporting.results import ACCURACIES, BESIDE, T_GEN, t_gen_column, t_mem_column

SAME, CODES = "same columns", "versions of the code"
MEASURES = ("status", "last_epoch", "budget", "t_mem", *T_GEN, *ACCURACIES[1:], "weights_kept", "mask_epoch")
WHERE = ("seconds", "population", "hardware", "threads", "git_commit", "code")
OF_DENSE = ("status", "last_epoch", "t_mem", *T_GEN, "final_test_acc", "seconds")


def kept_columns(results, sweep: Sweep):
    """Of all that is known of a sweep's runs, a pandas.DataFrame, the columns that a study keeps, by their short names.

    These are what varies, the usual measures and what the sweep reads; and the other settings, which are the same for all.
    """
    long = _long_names(sweep.base.gen_threshold, sweep.base.mem_threshold)
    results = results.rename(columns={name: short for short, name in long.items()})
    names = ["setting", "seed", *sweep.varying, *MEASURES, *WHERE, *(BESIDE + name for name in OF_DENSE)]
    for one in sweep.reads:
        if isinstance(one, str):
            names += [name for name in results if name.startswith(one)]
        else:
            names += [side + t_gen_column(one, name) for name in T_GEN for side in ("", BESIDE)]
    kept = results[[*dict.fromkeys(name for name in names if name in results)]].copy()
    for name, value in sweep.base.as_dict().items():
        if name in results and name not in kept:
            kept[name] = [value] * len(kept)  # it may be a tuple
    return kept.assign(gen_threshold=sweep.base.gen_threshold, mem_threshold=sweep.base.mem_threshold)


def write_rows(parts: dict, path: Path) -> None:
    """``parts``: ``{part: pandas.DataFrame}``, as ``kept_columns`` gives them."""
    import pandas

    head, tables, codes = {}, [], []
    for part, rows in parts.items():
        if "code" in rows:  # long, and few are different
            codes += [one for one in dict.fromkeys(rows["code"]) if one not in codes]
            rows = rows.assign(code=rows["code"].map(codes.index))
        rows = rows.astype(object).where(rows.notna(), None)
        same = [name for name in rows if name not in ("setting", "seed") and rows[name].map(str).nunique() == 1]
        head[part] = {name: rows[name].iloc[0] for name in same}
        tables.append(rows.drop(columns=same))
        tables[-1].insert(0, "part", part)
    table = pandas.concat(tables, ignore_index=True).convert_dtypes()
    names = [name for name in table if name.removeprefix(BESIDE).startswith("t_gen")]
    equal = {name: next(other for other in names if table[name].equals(table[other])) for name in names}
    head[SAME] = {name: other for name, other in equal.items() if name != other}
    head |= {CODES: codes} if codes else {}
    text = table.drop(columns=[*head[SAME]]).to_csv(index=False, lineterminator="\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"# {json.dumps(head, default=lambda number: number.item())}\n{text}")


def read_rows(path: Path) -> dict:
    """``{part: pandas.DataFrame}``, with all constants, and with t_gen's columns called as in all other tables.

    Raises UserError where there is no such file.
    """
    import pandas

    if not path.exists():
        raise UserError(f"{path} is not there; python sweep.py {path.parent.name} trains what it holds")
    with path.open() as file:
        constants = json.loads(file.readline().removeprefix("# "))
    table, codes = pandas.read_csv(path, skiprows=1), constants.pop(CODES, None)
    for name, other in constants.pop(SAME).items():
        table[name] = table[other]
    parts = {}
    for part, same in constants.items():
        rows = table[table["part"] == part].dropna(axis="columns", how="all").reset_index(drop=True)
        for name, value in same.items():
            rows[name] = [tuple(value) if isinstance(value, list) else value] * len(rows)
        if codes is not None:
            rows["code"] = [codes[int(number)] for number in rows["code"]]
        parts[part] = rows.rename(columns=_long_names(rows["gen_threshold"].iloc[0], rows["mem_threshold"].iloc[0]))
    return parts


def _long_names(gen_threshold: float, mem_threshold: float) -> dict[str, str]:
    names = {"t_mem": t_mem_column(mem_threshold)} | {name: t_gen_column(gen_threshold, name) for name in T_GEN}
    return names | {BESIDE + short: BESIDE + long for short, long in names.items()}
