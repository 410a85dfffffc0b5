"""Takes from the analysis.csv that analyze.py has written what the verdicts of this study need: measures.csv.

python -m studies.algorithm.measures studies/algorithm/mlp/analysis.csv
"""

import sys
from pathlib import Path

import pandas


def main(analysis: str) -> None:
    table = pandas.read_csv(analysis)
    is_dense, part = ~table["run"].str.contains("__"), table["part"].fillna("all")
    is_mask = is_dense & table["mask"].eq("magnitude") & table["pruning_rate"].eq(0.6)
    wanted = table["measure"].eq("logit_share") & part.eq("all")
    wanted |= table["measure"].eq("test_acc") & is_dense & table["epoch"].mod(2_000).eq(0)
    beside = (table["epoch"] - table["other_epoch"]).eq(2_000)
    wanted |= table["measure"].eq("jaccard_distance") & is_mask & part.eq("all") & beside
    of_matrix = table["measure"].isin(["path_length", "clustering"]) & part.ne("all")
    wanted |= of_matrix & is_mask & table["epoch"].isin([2_000, 28_000])
    table["run"] = is_dense.map({True: "dense", False: "ticket"})
    kept = table[wanted][["run", "seed", "epoch", "measure", "part", "value"]].drop_duplicates()
    kept.to_csv(Path(__file__).with_name("measures.csv"), index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    main(sys.argv[1])
