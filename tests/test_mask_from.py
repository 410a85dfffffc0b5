"""Masks of other tickets on a dense run's own init."""

import pandas
import pytest
from scripts import TINY, assert_refused, bits, call, load, run_folders, succeed

import sweep

FLAGS = ("--prune_at=20", "--retrain_num_epochs=15")
SHORT = FLAGS[1:]  # of a mask that is there


@pytest.fixture
def tickets(place):
    """Two dense runs, seeds 0 and 1, and the ticket of the second."""
    for seed in (0, 1):
        succeed("train", f"--seed={seed}")
    succeed("prune", "--seed=1", *FLAGS)
    (own, _), (other,) = run_folders("runs")
    return own, other


def test_the_mask_is_the_other_s_and_the_init_its_own(tickets):
    dense, other = tickets
    said = succeed("prune", "--seed=0", *SHORT, f"--mask_from={other}").out
    (run,) = [path for path in run_folders("runs")[1] if path != other]
    assert f"mask of {other.name} (from epoch 20, train acc" in said
    assert "mask_from" in run.name
    mask, init = load(run / "mask.pth")["mask"], load(dense / "init.pth")["model"]
    assert bits(mask) == bits(load(other / "mask.pth")["mask"])
    assert bits(load(run / "init.pth")["model"]) == bits({name: init[name] * mask[name] for name in init})
    # In other words it is the same run, and so it is where the other ticket lies elsewhere now.
    assert f"{run} is finished and is reused" in succeed("prune", "--seed=0", *FLAGS, "--mask_from=seed=1").out
    moved = other.rename(other.with_name("elsewhere"))
    assert f"{run} is finished and is reused" in succeed("prune", "--seed=0", *SHORT, f"--mask_from={moved}").out
    shuffled = succeed("prune", "--seed=0", *FLAGS, "--mask_from=seed=1", "--control=shuffled").out
    assert "shuffled" in shuffled


def test_another_rate_and_another_operation_are_others(tickets):
    succeed("train", "--seed=0", "--fn_name=add")
    succeed("prune", "--seed=0", *FLAGS, "--mask_from=fn_name=add")
    succeed("prune", "--seed=0", *FLAGS, "--mask_from=seed=1", "--pruning_rate=0.3")
    succeed("prune", "--seed=0", *FLAGS, "--mask_from=seed=1", "--pruning_rate=0.4")
    masks = [load(run / "mask.pth")["mask"] for run in run_folders("runs")[1]]
    assert (len({str(bits(mask)) for mask in masks}), len(masks)) == (4, 7), (
        "each but the first is also the ticket's it is from"
    )


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--mask_from=nowhere"], ["nowhere is no folder of a run"]),
        (["--mask_from=DENSE"], ["is no ticket with a mask"]),
        (["--mask_from=seed=x"], ["seed must be a whole number"]),
        (["--mask_from=sed=1"], ["sed is no field"]),
        (["--mask_from=task=parity"], ["task is no field in which"]),
        (["--mask_from=control=same_l2"], ["control is no field in which"]),
        (["--mask_from=seed=0"], ["is this very ticket"]),
        (["--mask_from=OTHER", "--seed=1"], ["is this very ticket"]),
        (["--mask_from=seed=7"], ["there is no finished dense run", "train.py"]),
        (["--mask_from=OTHER", "--d_model=5"], ["the mask is for another model", "(6,"]),
        (
            ["--mask_from=OTHER", "--pruning_rate=0.3"],
            ["is a ticket, whose mask is as it is: leave --pruning_rate out"],
        ),
        (["--mask_from=OTHER", "--pruning_iterations=2"], ["leave pruning_iterations"]),
        (["--mask_from=OTHER", "--use_mask=False"], ["leave pruning_iterations, use_mask and learn out"]),
    ],
)
def test_what_gives_no_mask_is_one_line(tickets, flags, words):
    dense, other = tickets
    if "--d_model=5" in flags:
        succeed("train", "--seed=0", "--d_model=5")
    before = sorted(path.name for path in other.parent.iterdir())
    named = [flag.replace("DENSE", str(dense)).replace("OTHER", str(other)) for flag in flags]
    assert_refused(call("prune", "--seed=0", *(SHORT if "OTHER" in flags[0] else FLAGS), *named), *words)
    assert sorted(path.name for path in other.parent.iterdir()) == before, "nothing is written"


def test_a_sweep_trains_what_the_masks_are_from(place, capsys):
    (place / "carried.py").write_text(
        "from configs.sweep import Sweep\nfrom configs.ticket import MLPTicketConfig\n"
        "sweep = Sweep(MLPTicketConfig(prune_at='20', retrain_num_epochs=15),"
        " settings=[{}, {'mask_from': 'seed=5'}, {'mask_from': 'fn_name=add'}], seeds=(0, 1))\n"
    )
    flags = ["--config=carried.py", *TINY, "--workers=1"]
    succeed("train", "--seed=0")
    assert sweep.main([*flags, "--list"]) == 0
    said = capsys.readouterr().out
    assert "cannot" not in said, "what waits for a run that waits for another one waits"
    assert said.count("ready ") == 5
    assert sweep.main(flags) == 0
    assert "14 of 14 runs are done, 0 failed" in capsys.readouterr().out
    assert sweep.main([*flags, "--collect"]) == 0
    said = capsys.readouterr()
    assert "mask_from seed=5" in said.out
    assert "trained again" not in said.out + said.err, "that the mask is another run's is no change of the code"
    rows = pandas.read_csv("runs/carried/results.csv")
    assert rows["dense run"].notna().all()
    dense, tickets = run_folders("runs")
    assert len([run for run in dense if run.name != "carried"]) == 5, "seeds 0 and 1, seed 5, and addition twice"
    assert len(tickets) == 9, "own and two others' for each seed, and the three they are from but one that is the same"
    one = next(path for path in tickets if "mask_from_seed5" in path.name)
    assert (one / "summary.json").exists()
