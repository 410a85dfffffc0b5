"""The tables in README.md and RESULTS.md that are made from the CSVs below assets/results, written between their markers.

python -m reporting.published        # or: make results
"""

import csv
import re
from collections.abc import Callable
from pathlib import Path

from configs.base import MLPConfig, TransformerConfig
from reporting.tables import median_and_range, speedup, table
from training.generalization import Generalization

REPOSITORY = Path(__file__).resolve().parents[1]
RESULTS = REPOSITORY / "assets" / "results"
PAGES = ("README.md", "RESULTS.md")
DENSE = {"mlp": MLPConfig, "transformer": TransformerConfig}
NAMES = {"mlp": "MLP", "transformer": "Transformer"}
TUNED = 0.95  # the threshold of the tuned comparison


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def found_in(row: dict[str, str], threshold: float, prefix: str = "") -> Generalization:
    """What a row of a CSV says of t_gen."""

    def cell(name: str) -> str:
        return row[f"{prefix}{name} (test acc >= {threshold:g})"]

    t_gen, first, known_until = (
        int(cell(name)) if cell(name) else None for name in ("t_gen", "t_gen_first", "t_gen_known_until")
    )
    share = float(cell("below_after")) if cell("below_after") else None
    return Generalization(t_gen, first, cell("t_gen_status"), known_until, share)


def pairs_by_kind() -> dict[str, list[tuple[dict[str, str], Generalization, Generalization]]]:
    """``{kind: [(row, dense, ticket)]}`` of seeds.csv, each kind at its own threshold."""
    kinds: dict[str, list] = {}
    for row in rows_of(RESULTS / "seeds.csv"):
        kind = row["ticket"].split("_")[0]
        both = (found_in(row, DENSE[kind]().gen_threshold, f"{side} ") for side in ("dense", "ticket"))
        kinds.setdefault(kind, []).append((row, *both))
    return kinds


def tuned_settings(name: str, prefix: str = "") -> dict[tuple[float, float], list[Generalization]]:
    """``{(lr, weight decay): [what is known of each seed]}``."""
    settings: dict[tuple[float, float], list[Generalization]] = {}
    for row in rows_of(RESULTS / name / "results.csv"):
        place = float(row[f"{prefix}lr"]), float(row[f"{prefix}weight_decay"])
        settings.setdefault(place, []).append(found_in(row, TUNED))
    return settings


def both_tuned() -> tuple[dict, dict]:
    return tuned_settings("sweep_tuned_dense"), tuned_settings("sweep_tuned_ticket", "retrain_")


def with_range(found: list[Generalization]) -> str:
    return "{} ({})".format(*median_and_range(found))


def best(settings: dict[tuple[float, float], list[Generalization]]) -> list[Generalization]:
    """The seeds of the setting that holds for most of them, and of those of the one with the smallest median."""

    def order(found: list[Generalization]) -> tuple[int, float]:
        epochs = sorted(one.known_until for one in found)
        return sum(one.t_gen is None for one in found), epochs[len(epochs) // 2]

    return min(settings.values(), key=order)


def headline() -> str:
    """Both models at the paper's settings, and the MLP with both sides tuned."""
    rows = []
    for kind, pairs in pairs_by_kind().items():
        dense, ticket = ([pair[side] for pair in pairs] for side in (1, 2))
        ratios = [float(speedup(*pair)) for pair in zip(dense, ticket, strict=True)]
        name = f"{NAMES[kind]}, test acc >= {DENSE[kind]().gen_threshold:.2f}"
        rows.append([name, with_range(dense), with_range(ticket), f"{min(ratios):g} to {max(ratios):g}"])
    rows.append(["MLP, lr and weight decay tuned for each", *(with_range(best(side)) for side in both_tuned()), ""])
    return table(["", "dense", "ticket", "speedup, seed by seed"], rows)


def seeds() -> str:
    """Every seed of both models, dense run and ticket."""
    rows = []
    for kind, pairs in pairs_by_kind().items():
        name = f"{NAMES[kind]} ({DENSE[kind]().gen_threshold:.2f})"
        for row, dense, ticket in pairs:
            accuracies = " / ".join(f"{float(row[f'{side} final_test_acc']):.3f}" for side in ("dense", "ticket"))
            rows.append([name, row["seed"], str(dense), str(ticket), speedup(dense, ticket), accuracies])
        medians = (median_and_range([pair[side] for pair in pairs])[0] for side in (1, 2))
        rows.append([name, "median", *medians, "", ""])
    return table(["", "seed", "dense t_gen", "ticket t_gen", "speedup", "final test acc, dense / ticket"], rows)


def tuned() -> str:
    """Dense network and ticket over learning rate and weight decay; the ratio is of medians, a bound if the first is censored."""
    rows = []
    dense, ticket = both_tuned()
    for (lr, weight_decay), found in dense.items():
        cells = [f"{lr:g}", f"{weight_decay:g}"]
        medians = []
        for side in (found, ticket[lr, weight_decay]):
            middle, extent = median_and_range(side)
            medians.append(middle)
            cells += [
                middle,
                extent,
                str(sum(one.t_gen is None for one in side)),
                str(sum(one.is_unstable for one in side)),
            ]
        slow, fast = (float(middle.removeprefix("> ").replace(",", "")) for middle in medians)
        bound = "> " if medians[0].startswith("> ") else ""
        rows.append([*cells, "" if medians[1].startswith("> ") else f"{bound}{float(f'{slow / fast:.2g}'):g}"])
    own = ["t_gen", "range", "without t_gen", "unstable"]
    head = [
        "lr",
        "weight decay",
        *(f"{side}: {name}" for side in ("dense", "ticket") for name in own),
        "dense / ticket",
    ]
    return table(head, rows)


TABLES: dict[str, Callable[[], str]] = {"headline": headline, "seeds": seeds, "tuned": tuned}


def filled(page: str) -> str:
    """A page with its tables made anew: ``<!-- table NAME -->`` ... ``<!-- end -->``."""

    def make(match: re.Match) -> str:
        return f"<!-- table {match[1]} -->\n{TABLES[match[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- table (\w+) -->\n.*?<!-- end -->", make, page, flags=re.DOTALL)


def main() -> None:
    for name in PAGES:
        path = REPOSITORY / name
        path.write_text(filled(path.read_text()))
        print(f"written: the tables of {name}")


if __name__ == "__main__":
    main()
