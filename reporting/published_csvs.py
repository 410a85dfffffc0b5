"""The CSVs below assets/results, from which the tables and pictures of README.md and RESULTS.md are made."""

from pathlib import Path

from common.errors import UserError
from reporting.results import T_GEN, t_gen_column

REPOSITORY = Path(__file__).resolve().parents[1]
RESULTS = REPOSITORY / "assets" / "results"


def read(name: str, *thresholds: float):
    """A published CSV as a pandas.DataFrame. Raises UserError where it is not there, or older than its columns."""
    import pandas

    path = RESULTS / name
    if not path.exists():
        raise UserError(f"{name} is not there")
    results = pandas.read_csv(path)
    needed = ["setting", "budget", *(t_gen_column(threshold, own) for threshold in thresholds for own in T_GEN)]
    if missing := [column for column in needed if column not in results]:
        raise UserError(f"{name} has no column {missing[0]!r}: collect it again")
    return results


def collected(sweeps: dict[str, tuple[str, float]]) -> dict[str, tuple]:
    """Their rows, ``{name: (rows, threshold)}``, of those that have been collected. Raises UserError where none has."""
    if not any((RESULTS / sweep / "results.csv").exists() for sweep, _ in sweeps.values()):
        raise UserError("none of its sweeps has been collected")
    return {
        name: (read(f"{sweep}/results.csv", level), level)
        for name, (sweep, level) in sweeps.items()
        if (RESULTS / sweep / "results.csv").exists()
    }
