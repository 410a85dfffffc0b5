"""analyze.py at a tiny size: what it writes, what it leaves out, what it refuses."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas
import pytest
from scripts import REPOSITORY, TINY, TINY_TRANSFORMER, assert_refused, call, load, rows_of, succeed

from figures.measured import draw
from measures import FAMILIES
from measures.pairs import OneRun, find_pairs
from measures.table import COLUMNS, learned_table

ADD = (*TINY, "--fn_name=add")
TRANSFORMER = (*TINY_TRANSFORMER, "--config=configs/config_pruning_transformer.py", "--fn_name=add", "--p=8")
MNIST = (f"--data_root={REPOSITORY / 'tests' / 'fixtures' / 'mnist'}", "--dataset=mnist", "--device=cpu")
MNIST += ("--train_size=20", "--d_model=9", "--num_epochs=20", "--save_every=10")


def pair_of(root: Path, kind: str = "mlp", seed: int = 42) -> list[str]:
    """The flags that name a dense run and its ticket."""
    (ticket,) = (path.parent for path in root.glob(f"{kind}*seed{seed}_*/mask.pth"))
    dense = root / Path(json.loads((ticket / "config.json").read_text())["dense_run"]).name
    return [f"--dense_run={dense}", f"--ticket_run={ticket}"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Two seeds, and a control that trains all weights."""
    root = tmp_path_factory.mktemp("made") / "runs"
    for flags in (["--seed=42"], ["--seed=1"], ["--seed=1", "--control=same_l2"]):
        succeed("main", f"--root={root}", *flags, size=ADD)
    return root


@pytest.fixture(scope="module")
def written(runs, tmp_path_factory):
    """What a pair gives, and where."""
    output = tmp_path_factory.mktemp("output")
    said = succeed("analyze", *pair_of(runs), f"--output_folder={output}", size=(), draw=True).out
    return pandas.read_csv(output / "analysis.csv"), output, said


def value(rows, **where) -> float:
    """The only value of the rows that are asked for."""
    for name, wanted in where.items():
        rows = rows[rows[name].eq(wanted)]
    assert len(rows) == 1, rows
    return rows["value"].iloc[0]


def test_a_row_a_number(written, runs):
    rows, output, said = written
    assert tuple(rows) == COLUMNS
    repeated = rows[rows.duplicated([name for name in COLUMNS if name != "value"])]
    assert set(repeated["mask"]) <= {"random", "shuffled", "shuffled_degrees"}, "only these are drawn several times"
    dense, ticket = (Path(flag.partition("=")[2]) for flag in pair_of(runs))
    for run in (dense, ticket):
        own = rows[rows["run"].eq(run.name)]
        assert sorted(own["epoch"].unique()) == [0, 10, 20, 30]
        last = rows_of(run)[-1]
        assert value(own, measure="test_acc", epoch=30) == last[4]
        assert value(own, measure="l1norm", part="all", epoch=30) == pytest.approx(last[7], rel=1e-5)
        assert value(own, measure="l2norm", part="all", epoch=30) == pytest.approx(last[8], rel=1e-5)
        assert value(own, measure="logit_std", epoch=30) == pytest.approx(last[9], rel=1e-4)
        assert value(own, measure="cosine", epoch=0) == pytest.approx(1)
        assert 0 < value(own, measure="logit_share", part="all", epoch=30) <= 1
    assert "measuring fourier, structure, graph, norms, gradients of 1 pair of runs: 8 saved epochs" in said
    pictures = [*output.glob("*.png")]
    assert sorted(path.stem for path in pictures) == sorted(
        ["fourier", "frequencies", "gradients", "graph", "masks", "norms", "structure"]
    )
    for path in pictures:
        assert path.read_bytes().startswith(b"\x89PNG")
        assert f"wrote {path}" in said


def test_masks_are_those_that_were_taken(written, runs):
    rows, _, _ = written
    dense, ticket = (Path(flag.partition("=")[2]).name for flag in pair_of(runs))
    of_dense = rows[rows["run"].eq(dense)]
    assert value(of_dense, measure="overlap", epoch=30, other_run=ticket) == 1, "magnitude, from epoch 30"
    assert value(of_dense, measure="overlap", epoch=0, other_run=ticket) < 1
    mask = load(runs / ticket / "mask.pth")["mask"]
    for name, kept in mask.items():
        for run, label in ((dense, "magnitude"), (ticket, "ticket")):
            epoch = 30 if run == dense else 0
            density = value(rows, run=run, measure="density", part=name, epoch=epoch, mask=label)
            assert density == pytest.approx(kept.double().mean())
    first, last = (load(runs / dense / f"{name}.pth")["model"] for name in ("init", "final"))
    one, other = [
        np.sort(np.argsort(np.concatenate([w.abs().numpy().ravel() for w in weights.values()]))[-83:])
        for weights in (first, last)
    ]
    both = len(np.intersect1d(one, other))
    found = value(of_dense, measure="jaccard_distance", part="all", epoch=30, other_epoch=0, pruning_rate=0.6)
    assert found == pytest.approx(1 - both / (2 * 83 - both))
    drawn = rows[rows["measure"].eq("isolated_nodes") & rows["mask"].eq("shuffled_degrees") & rows["part"].eq("W_E")]
    assert drawn.groupby("epoch").size().to_dict() == {0: 3, 30: 3}, "each draw, though the degrees are the same"
    assert drawn.groupby("epoch")["value"].nunique().eq(1).all()


def test_every_pair_below_a_root(runs, tmp_path):
    flags = [f"--root={runs}", f"--output_folder={tmp_path}"]
    said = succeed("analyze", *flags, "--measures", "structure", "fourier", size=()).out
    assert "3 pairs of runs" in said
    assert said.count("structure is left out where a run has no mask") == 1
    rows = pandas.read_csv(tmp_path / "analysis.csv")
    between = rows[rows["measure"].isin(["overlap", "same_key_frequencies"]) & rows["other_run"].notna()]
    pairs = {tuple(sorted((row.run, row.other_run))) for row in between.itertuples()}
    assert len(pairs) == 5, "dense and ticket of each seed, dense and control, the two dense runs, the two tickets"
    only_frequencies = rows[rows["measure"].eq("logit_share") & rows["part"].str.isdigit()]
    both_seeds = find_pairs(runs, "*global_at30")
    assert tmp_path / "frequencies.png" in draw(only_frequencies, both_seeds, tmp_path), "both are of one setting"
    assert (
        "2 pairs of runs"
        in succeed("analyze", *flags, "--tickets=*seed1_*", "--measures", "norms", size=(), draw=True).out
    )
    assert len([*tmp_path.glob("*/norms.png")]) == 2, "a ticket and a control"


def test_a_pair_that_cannot_be_measured_takes_no_other_away(runs, tmp_path, monkeypatch):
    weights = OneRun.weights

    def of_my_own_model(run: OneRun, epoch: int) -> dict:
        return {n: w for n, w in weights(run, epoch).items() if n != "W_U" or "control" not in run.name}

    monkeypatch.setattr(OneRun, "weights", of_my_own_model)
    flags = [f"--root={runs}", f"--output_folder={tmp_path}", "--measures", "fourier", "norms"]
    outcome = succeed("analyze", *flags, "--tickets=*seed1_*", size=())
    assert outcome.err.count("left out") == 1
    assert "same_l2: fourier: its network has no W_U; norms: its network has no W_U" in outcome.err
    rows = pandas.read_csv(tmp_path / "analysis.csv")
    assert set(rows["run"].str.contains("control")) == {False}
    assert {"l2norm", "logit_share", "same_key_frequencies"} <= set(rows["measure"])
    alone = call("analyze", *flags, "--tickets=*control*", size=())
    assert_refused(alone, "nothing can be measured of", "fourier: its network has no W_U")


def test_what_a_model_lacks_takes_no_other_measure_away(runs, tmp_path, monkeypatch):
    weights = OneRun.weights

    def of_my_own_model(run: OneRun, epoch: int) -> dict:
        return {name: weight for name, weight in weights(run, epoch).items() if name != "W_U"}

    monkeypatch.setattr(OneRun, "weights", of_my_own_model)
    flags = [*pair_of(runs), f"--output_folder={tmp_path}", "--measures", "fourier", "gradients"]
    (line,) = succeed("analyze", *flags, size=()).err.splitlines()
    assert line.startswith("left out: mlp_add")
    assert line.endswith(": fourier: its network has no W_U")
    measures = set(pandas.read_csv(tmp_path / "analysis.csv")["measure"])
    assert {"test_acc", "gradient_share_in_mask"} <= measures
    assert "frequency_entropy" not in measures


def test_no_two_rows_of_a_table_have_one_name():
    shared = {"kind": "mlp", "control": None, "use_mask": True, "retrain_lr": None, "retrain_weight_decay": None}
    shared |= {"test_acc": 1.0, "cosine_of_logit_shares": 0.5, "same_key_frequencies": 1.0}
    rows = []
    for setting in ("mlp_add__magnitude0.6_global_at28000", "mlp_add__magnitude0.6_global_at20000", "mlp_add_lr0.1__x"):
        for compared in ("ticket with its dense run", "dense run with another seed's"):
            runs = {"run": setting.partition("__")[0], "other_run": "another"}
            rows.append(shared | runs | {"setting": setting, "compared": compared})
    told = [line.split("|")[1].strip() for line in learned_table(pandas.DataFrame(rows)).splitlines()[2:]]
    assert len(set(told)) == len(told) == 5, "two tickets of one dense run are compared with it, it with others once"
    assert "mlp: ticket with its dense run (mlp_add__magnitude0.6_global_at20000)" in told


def test_a_run_that_is_trained_again_is_compared_with_itself(runs, tmp_path):
    dense = Path(pair_of(runs)[0].partition("=")[2])
    shutil.copytree(dense, tmp_path / "again")
    flags = [f"--dense_run={dense}", f"--ticket_run={tmp_path / 'again'}", "--measures", "fourier", "graph"]
    assert "graph is left out" in succeed("analyze", *flags, size=()).out
    rows = pandas.read_csv(tmp_path / "again" / "analysis" / "analysis.csv")
    assert rows[rows["measure"].eq("cosine_of_logit_shares")]["value"].tolist() == pytest.approx([1, 1])


def test_a_damaged_run_below_a_root_is_named_and_left_out(runs, tmp_path):
    shutil.copytree(runs, tmp_path / "runs")
    ticket = Path(pair_of(tmp_path / "runs")[1].partition("=")[2])
    (ticket / "mask.pth").write_bytes(b"no mask")
    outcome = succeed("analyze", f"--root={tmp_path / 'runs'}", "--tickets=*at30", "--measures", "norms", size=())
    assert f"left out: {ticket.name}: {ticket / 'mask.pth'} cannot be read" in outcome.err
    assert "of 1 pair of runs" in outcome.out
    assert (tmp_path / "runs" / "analysis" / "analysis.csv").exists()


@pytest.mark.parametrize(
    ("size", "kind", "left_out", "absent"),
    [
        (TRANSFORMER, "transformer", "only for odd p", "distance_irrelevance"),
        (MNIST, "mnist", "fourier is left out", "logit_share"),
        (TINY, "mlp", "defined for fn_name add alone", "logit_share"),
    ],
)  # fmt: skip
def test_what_means_nothing_is_left_out_and_said_once(place, size, kind, left_out, absent):
    succeed("main", size=size)
    out = succeed("analyze", *pair_of(Path("runs"), kind), size=()).out
    assert out.count(left_out) == 1
    (path,) = Path("runs").glob("*/analysis/analysis.csv")
    measures = set(pandas.read_csv(path)["measure"])
    assert absent not in measures
    assert {"overlap", "clustering", "effective_rank"} <= measures


def test_refusals(runs, tmp_path):
    (dense, ticket), (other, _) = pair_of(runs), pair_of(runs, seed=1)
    ticket_path = Path(ticket.partition("=")[2])
    for flags, words in (
        ([dense, ticket, "--measures", "fourier", "entropy"], ["entropy", *FAMILIES]),
        ([dense, ticket, "--measures"], ["--measures"]),
        ([dense], ["--ticket_run"]),
        ([dense, ticket, f"--root={runs}"], ["--root"]),
        ([], ["--root"]),
        ([other, ticket], ["is no ticket of", "its dense run is"]),
        ([f"--dense_run={ticket_path}", ticket], ["holds a ticket"]),
        ([dense, other.replace("dense_run", "ticket_run")], ["is no ticket of"]),
        ([dense, dense.replace("dense_run", "ticket_run")], ["both runs are called"]),
        ([dense, f"--ticket_run={runs / 'nothing'}"], ["is not there"]),
        ([f"--root={tmp_path}"], ["no finished ticket"]),
    ):
        assert_refused(call("analyze", *flags, size=()), *words)
    assert not (ticket_path / "analysis").exists()


@pytest.mark.parametrize(
    ("name", "words"), [("10.pth", "10.pth"), ("summary.json", "no finished run"), ("metrics.csv", "metrics.csv")]
)
def test_a_damaged_pair_is_refused_in_one_line(runs, tmp_path, name, words):
    shutil.copytree(runs, tmp_path / "runs")
    flags = pair_of(tmp_path / "runs")
    damaged = Path(flags[0].partition("=")[2]) / name
    content = damaged.read_bytes()
    damaged.unlink()
    if name != "summary.json":
        damaged.write_bytes(content[: len(content) // 2])
    assert_refused(call("analyze", *flags, "--measures", "norms", size=()), words)


def test_a_lost_mask_is_no_control_without_one(runs, place):
    dense, ticket = (Path(flag.partition("=")[2]) for flag in pair_of(runs))
    shutil.copytree(ticket, place / ticket.name, ignore=shutil.ignore_patterns("mask.pth"))
    refused = call("analyze", f"--dense_run={dense}", f"--ticket_run={place / ticket.name}", size=())
    assert_refused(refused, "damaged", "mask.pth is not there")
    refused = call("analyze", f"--root={place}", "--tickets=", size=())
    assert_refused(refused, "--tickets is empty")
