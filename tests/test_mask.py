"""Masks that are there: of another ticket, of a file, on a dense run's own init."""

import shutil
from pathlib import Path

import pytest
import torch
from scripts import assert_refused, bits, call, config_of, lines, load, run_folders, snapshot, succeed

from experiments.identity import hash_of

REUSED = "is finished and is reused"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two dense runs, seeds 0 and 1, and the ticket of the second."""
    root = tmp_path_factory.mktemp("made") / "runs"
    succeed("train", "--seed=0", f"--root={root}")
    succeed("main", "--seed=1", "--prune_at=20", "--retrain_num_epochs=15", f"--root={root}")
    return root


@pytest.fixture
def runs(made, place):
    shutil.copytree(made, place / "runs")
    (dense, _), (ticket,) = run_folders("runs")
    return dense, ticket


def of_mask(mask, *flags) -> Path:
    """The ticket of seed 0 that has this mask, trained or found."""
    said = succeed("prune", "--seed=0", "--retrain_num_epochs=15", f"--mask={mask}", *flags).out
    return Path(said.split("(ticket)")[0].split()[-1])


def test_the_mask_is_the_other_s_and_the_init_its_own(runs):
    dense, other = runs
    run = of_mask(other)
    mask, init = load(other / "mask.pth")["mask"], load(dense / "init.pth")["model"]
    assert f"__mask_{hash_of(mask)[:8]}_" in run.name
    assert bits(load(run / "mask.pth")["mask"]) == bits(mask)
    assert bits(load(run / "init.pth")["model"]) == bits({name: init[name] * mask[name] for name in init})
    source = config_of(run)["mask_source"]
    assert (source["path"], source["hash"]) == (str(other / "mask.pth"), hash_of(mask))
    assert (source["epoch"], source["pruner"]) == (20, "magnitude"), "as the ticket that it is of says"
    # By its file, and where the other ticket lies elsewhere now, it is the same run.
    before = snapshot(run)
    assert of_mask(other / "mask.pth") == run
    assert of_mask(other.rename("elsewhere")) == run
    assert of_mask(shutil.copy("elsewhere/mask.pth", "a mask.pth")) == run
    assert {name for name, content in snapshot(run).items() if before[name] != content} <= {"comparison.png"}


def test_a_mask_that_somebody_made_trains_and_another_one_is_another_run(runs):
    kept = {name: torch.rand(weight.shape) < 0.5 for name, weight in load(runs[0] / "init.pth")["model"].items()}
    torch.save({"mask": kept}, "mine.pth")
    one = of_mask("mine.pth")
    kept["W_E"][0, 0] = ~kept["W_E"][0, 0]
    torch.save({"mask": kept}, "mine.pth")
    other = of_mask("mine.pth")
    assert one != other
    assert bits(load(other / "mask.pth")["mask"]) == bits(kept)
    assert config_of(one)["config"]["mask"] == "mine.pth"


def test_of_its_own_mask_it_is_the_ticket_that_is_there(runs):
    _, ticket = runs
    flags = ("--seed=1", "--retrain_num_epochs=15")
    said = succeed("prune", *flags, f"--mask={ticket}").out
    assert f"is the same run as {ticket}, by what it contains" in said
    assert f"{ticket} {REUSED}" in said
    assert len(run_folders("runs")[1]) == 1


def test_the_other_settings_of_a_ticket_work_on_it_as_on_any_other(runs):
    dense, other = runs
    run = of_mask(other, "--rewind_to=10")
    mask, later = load(other / "mask.pth")["mask"], load(dense / "10.pth")["model"]
    assert run.name.endswith("_rewind_to10")
    assert bits(load(run / "init.pth")["model"]) == bits({name: later[name] * mask[name] for name in mask})
    assert of_mask(other, "--retrain_lr=0.1").name.endswith("retrain_lr0.1")
    assert "_at20" not in run.name


def test_so_do_controls(runs):
    mask = load(runs[1] / "mask.pth")["mask"]
    shuffled = of_mask(runs[1], "--control=shuffled")
    found = load(shuffled / "mask.pth")["mask"]
    assert bits(found) != bits(mask)
    assert {name: int(kept.sum()) for name, kept in found.items()} == {name: int(m.sum()) for name, m in mask.items()}
    inverted = of_mask(runs[1], "--control=inverted")
    assert bits(load(inverted / "mask.pth")["mask"]) == bits({name: ~kept for name, kept in mask.items()})
    dense = of_mask(runs[1], "--control=same_l2")
    assert not (dense / "mask.pth").exists()
    assert dense.name.endswith("_controlsame_l2")


WRONG = """
    --mask=nowhere: nowhere is not there; give a mask.pth, or the folder of a ticket
    --mask=DENSE: mask.pth is not there
    --mask=DENSE/init.pth: it lacks mask
    --mask=TICKET --d_model=5: the mask is for another model ... (6,
    --mask=TICKET --pruner=random: so --pruner has no meaning; leave one of the two out
    --mask=TICKET --pruning_rate=0.3: so --pruning_rate has no meaning
    --mask=TICKET --scope=local: so --scope has no meaning
    --mask=TICKET --prune_at=20: so --prune_at has no meaning
    --mask=TICKET --pruning_iterations=2: so --pruning_iterations has no meaning
    --mask=TICKET --use_mask=False: so --use_mask has no meaning
    --mask=TICKET --rewind_to=prune_at: none is taken; give an epoch
"""


def test_what_gives_no_mask_is_one_line_and_nothing_is_written(runs):
    dense, ticket = runs
    succeed("train", "--seed=0", "--d_model=5")
    files = lambda: {name for name, content in snapshot(Path("runs")).items() if content is not None}
    before = files()
    for case in lines(WRONG):
        flags, words = case.split(": ", 1)
        flags = flags.replace("DENSE", str(dense)).replace("TICKET", str(ticket)).split()
        assert_refused(call("prune", "--seed=0", *flags), *words.split(" ... "))
    assert files() == before
