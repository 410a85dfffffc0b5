"""MNIST through the scripts, on a few hundred real images: the same story as modular addition, batches, and what is measured when."""

import itertools
import json
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import scripts
import torch
import torch.nn.functional as F
from scripts import (
    assert_refused,
    assert_same_run,
    bits,
    call,
    config_file,
    load,
    rows_of,
    run_folders,
    snapshot,
    succeed,
)

import visualize
from benchmarks import mnist as benchmark
from common.randomness import generator
from common.ranges import is_setting
from configs.base import MnistConfig
from configs.ticket import MnistTicketConfig
from data import mnist_files
from data.mnist import Mnist
from experiments import trainer
from experiments.build import build_model, build_split
from experiments.populations import train_population
from experiments.reader import list_checkpoints
from experiments.recorder import Recorder
from experiments.trainer import train_one
from reporting.tables import read_result
from training import loop
from training.loop import Schedule

pytestmark = pytest.mark.numerics

FIXTURES = Path(__file__).resolve().parent / "fixtures" / "mnist"  # 300 training and 200 test images
SIZE = ("--device=cpu", "--threads=1", "--num_epochs=12", "--save_every=5", "--train_size=100", "--d_model=16")
CONFIG = MnistConfig(device="cpu", threads=1, num_epochs=12, save_every=5, train_size=100, d_model=16)


@pytest.fixture(scope="module", autouse=True)
def small_mnist():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNIST_ROOT", str(FIXTURES))
        patch.setattr(mnist_files, "DEFAULT_ROOT", Path("/nonexistent/mnist"))
        patch.setattr(mnist_files, "MIRRORS", ("http://127.0.0.1:9/",))  # the port that discards: nobody answers
        yield


def works(script: str, *flags, **how):
    return succeed(script, *flags, size=SIZE, **how)


def fails(script: str, *flags):
    return call(script, *flags, size=SIZE)


def in_batches(batch_size, folder=Path()) -> list[str]:
    """The flag for batches of that size, which a config file alone can ask for; none for None."""
    return [config_file("MnistTicketConfig", folder / "batches.py", batch_size=batch_size)] if batch_size else []


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """The root of a dense run and its ticket, and what main.py said."""
    root = tmp_path_factory.mktemp("story")
    outcome = works("main", "--dataset=mnist", "--pruning_rate=0.6", "--seed=42", f"--root={root}", draw=True)
    return root, outcome.out


@pytest.fixture(scope="module")
def batched(tmp_path_factory):
    """A run with four batches an epoch."""
    root = tmp_path_factory.mktemp("batched")
    works("train_mnist", *in_batches(32, root.parent), f"--root={root}")
    return run_folders(root)[0][0]


# The commands


def test_the_scripts_share_their_runs(story, place):
    root, _ = story
    before = snapshot(root)
    dense = works("train_mnist", "--config", "configs/config_mnist.py", f"--root={root}")
    ticket = works("prune_mnist", "--config", "configs/config_pruning_mnist.py", f"--root={root}")
    assert dense.out.count("is reused") == ticket.out.count("is reused") == 1
    assert works("main", "--dataset=mnist", "--stage=train_full", f"--root={root}").out.count("is reused") == 1
    assert snapshot(root) == before
    assert [len(folders) for folders in run_folders(root)] == [1, 1]


def test_what_main_says_of_mnist(story):
    _, said = story
    assert "t_gen (test acc >= 0.8)" in said
    assert "dense mnist" not in said.split("run folders")[1]
    assert "frequenc" not in said
    assert "Next: another mask, with the same command and --prune_at=init, or another --pruning_rate" in said


def test_the_neurons_are_shown_by_the_command_that_main_prints(story, place):
    _, said = story
    command = said.partition("python visualize.py ")[2].partition("\nNext")[0].replace("\\\n", " ")
    assert visualize.main(command.split()) == 0
    written = Path(command.split()[-1])
    assert {path.name for path in written.iterdir()} == {"input_images.gif", "input_images.png"}


def test_a_ticket_is_the_mask_with_the_dense_init(story):
    (dense,), (ticket,) = run_folders(story[0])
    assert list(list_checkpoints(dense)) == list(list_checkpoints(ticket)) == [0, 5, 10, 12]
    mask, start = load(ticket / "mask.pth")["mask"], load(dense / "init.pth")["model"]
    assert bits(load(ticket / "init.pth")["model"]) == bits({name: start[name] * mask[name] for name in start})
    assert {name: tuple(kept.shape) for name, kept in mask.items()} == {
        "W_in": (16, 784), "W_h.0": (16, 16), "W_out": (10, 16),
    }  # fmt: skip
    for path in list_checkpoints(ticket).values():
        weights = load(path)["model"]
        assert all(not bool(weights[name][~mask[name]].any()) for name in mask), path


def test_the_density_of_each_layer_is_printed(story):
    root, said = story
    _, (ticket,) = run_folders(root)
    mask = load(ticket / "mask.pth")["mask"]
    again = works("prune_mnist", f"--root={root}").out
    for name, kept in mask.items():
        count, total = int(kept.sum()), kept.numel()
        row = rf"\| {name} +\| +{total:,} \| +{count:,} \| +{total - count:,} \| +{count / total:.3f} \|"
        assert re.search(row, said), name
        assert re.search(row, again), name
    total = sum(kept.numel() for kept in mask.values())
    assert sum(int(kept.sum()) for kept in mask.values()) == total - round(0.6 * total)


def test_memorization_is_epoch_1000_and_generalization_the_last(place):
    assert (MnistTicketConfig().memorization_epoch, MnistTicketConfig().generalization_epoch) == (1_000, 100_000)
    flags = ("--num_epochs=1200", "--save_every=1000", "--train_size=20", "--d_model=8", "--weight_scale=1")
    works("train_mnist", *flags)
    (dense,), _ = run_folders("runs")
    assert list(list_checkpoints(dense)) == [0, 100, 200, 500, 1000, 1200]
    for prune_at, epoch in (("init", 0), ("memorization", 1000), ("generalization", 1200)):
        said = works("main", "--dataset=mnist", "--stage=prune", f"--prune_at={prune_at}", *flags).out
        assert f"(epoch {epoch:,}, train acc" in said
    assert {path.name.rsplit("_at", 1)[1] for path in run_folders("runs")[1]} == {"0", "1000", "1200"}


@pytest.mark.parametrize("batch_size", [None, 40])
def test_an_identity_ticket_is_the_dense_run_bit_for_bit(batch_size, place):
    works("main", "--dataset=mnist", "--pruning_rate=0", *in_batches(batch_size))
    (dense,), (ticket,) = run_folders("runs")
    (ticket / "mask.pth").rename(place / "mask.pth")
    assert_same_run(dense, ticket)
    assert all(bool(kept.all()) for kept in load(place / "mask.pth")["mask"].values())


# The data


def read_fixtures():
    """Pixels in [0, 1], flat, and labels of both files."""
    train_x, train_y, test_x, test_y = mnist_files.load_mnist(FIXTURES)
    flat = [images.numpy().reshape(len(images), 784) / np.float64(255) for images in (train_x, test_x)]
    return (flat[0], train_y.numpy()), (flat[1], test_y.numpy())


def slow_row(weights, sides):
    """The losses and accuracies of a network on both sides, in float64 with numpy."""
    losses, accuracies = [], []
    for x, y in sides:
        for name in ("W_in", "W_h.0"):
            x = np.maximum(x @ weights[name].double().numpy().T, 0)
        logits = x @ weights["W_out"].double().numpy().T
        losses.append(((logits - np.eye(10)[y]) ** 2).sum() / (10 * len(y)))
        accuracies.append((logits.argmax(1) == y).mean())
    return [*losses, *accuracies]


def test_the_metrics_are_squared_error_to_one_hot_over_all_entries(story):
    train_file, test_file = read_fixtures()
    chosen = torch.randperm(300, generator=generator(42, "split"))[:100].numpy()
    sides = tuple(part[chosen] for part in train_file), test_file
    for folder in (*run_folders(story[0])[0], *run_folders(story[0])[1]):
        rows = {int(row[0]): row for row in rows_of(folder)}
        for epoch, path in list_checkpoints(folder).items():
            np.testing.assert_allclose(rows[epoch][1:5], slow_row(load(path)["model"], sides), rtol=1e-5)


def test_the_original_split_learns_from_the_first_test_images(place):
    works("train_mnist", "--original_split=True", "--num_epochs=1")
    (folder,), _ = run_folders("runs")
    train_file, test_file = read_fixtures()
    sides = tuple(part[:100] for part in test_file), train_file
    np.testing.assert_allclose(rows_of(folder)[0][1:5], slow_row(load(folder / "init.pth")["model"], sides), rtol=1e-5)
    assert "original_splitTrue" in folder.name


def test_balanced_has_as_many_images_of_each_class(place):
    works("train_mnist", "--balanced=True", "--num_epochs=1")
    (folder,), _ = run_folders("runs")
    split = Mnist(train_size=100, balanced=True).split(42)
    assert split.train_y.bincount().tolist() == [10] * 10
    assert build_split(CONFIG).train_y.bincount(minlength=10).tolist() != [10] * 10
    sides = (split.train_x.double().numpy(), split.train_y.numpy()), read_fixtures()[1]
    np.testing.assert_allclose(rows_of(folder)[0][1:5], slow_row(load(folder / "init.pth")["model"], sides), rtol=1e-5)


def test_where_the_files_are_is_no_part_of_a_run(story, place, monkeypatch):
    root, _ = story
    assert not is_setting(Mnist, "data_root")
    elsewhere = place / "elsewhere"
    shutil.copytree(FIXTURES, elsewhere)
    monkeypatch.delenv("MNIST_ROOT")
    for script in ("train_mnist", "prune_mnist"):
        assert "is reused" in works(script, f"--data_root={elsewhere}", f"--root={root}").out
    assert [len(folders) for folders in run_folders(root)] == [1, 1]


@pytest.mark.parametrize("present", [(), ("train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")])
def test_missing_files_are_told_in_one_line(present, place, monkeypatch):
    monkeypatch.delenv("MNIST_ROOT")
    (place / "partly").mkdir()
    for name in present:
        shutil.copy(FIXTURES / name, place / "partly")
    outcome = fails("train_mnist", f"--data_root={place / 'partly'}")
    assert outcome.status == 2
    assert outcome.err.startswith("error: MNIST is not complete in ")
    assert outcome.err.count("\n") == 1
    missing = [name for name in mnist_files.OFFICIAL if f"{name}.gz" not in present]
    for told in (*missing, "http://127.0.0.1:9/", str(place / "partly"), "--data_root", "MNIST_ROOT"):
        assert told in outcome.err
    assert {path.name for path in (place / "partly").iterdir()} == set(present)
    assert not (place / "runs").exists(), "no folder of a run that never began"
    monkeypatch.setenv("MNIST_ROOT", str(FIXTURES))
    assert "is reused" not in works("train_mnist").out, "and the run can be made afterwards"


def test_a_damaged_file_is_told_in_one_line(place, monkeypatch):
    shutil.copytree(FIXTURES, place / "damaged")
    path = place / "damaged" / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:9000])
    assert_refused(fails("train_mnist", f"--data_root={place / 'damaged'}"), str(path), "damaged")


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--train_size=301"], "from 1 to 300"),
        (["--train_size=0"], "train_size"),
        (["--balanced=True", "--train_size=101"], "multiple of 10"),
        (["--balanced=True", "--original_split=True"], "drop one of the two"),
        (["--p=7"], "--p"),
        (["--num_heads=1"], "--num_heads"),
    ],
)
def test_bad_flags_are_told_in_one_message(flags, word, place):
    assert_refused(fails("train_mnist", *flags), word)


def test_batches_of_nothing_are_told_in_one_message(place):
    assert_refused(fails("train_mnist", config_file("MnistTicketConfig", batch_size=0)), "batch_size must be")


def test_without_a_dense_run_the_message_says_what_makes_it(place):
    outcome = fails("prune_mnist", "--balanced=True")
    assert_refused(outcome, "there is no finished dense run at", "balancedTrue", "python main.py with the same flags")


# Training


def test_a_run_is_a_textbook_loop_with_squared_error(place, in_float64):
    works("train_mnist")
    (folder,), _ = run_folders("runs")
    split = build_split(CONFIG)
    model = build_model(CONFIG, split).double()
    assert bits(dict(model.state_dict())) == bits(load(folder / "init.pth")["model"])
    criterion, target = torch.nn.MSELoss(), F.one_hot(split.train_y, 10).double()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.1)
    for _ in range(12):
        optimizer.zero_grad()
        criterion(model(split.train_x.double()), target).backward()
        optimizer.step()
    for name, weight in load(folder / "final.pth")["model"].items():
        torch.testing.assert_close(model.state_dict()[name], weight, rtol=1e-9, atol=1e-9)


def orders_of(monkeypatch, *flags) -> list[list[tuple[int, ...]]]:
    """The training images in the order in which a run sees them: for each epoch its batches, as indices."""
    orders = []
    batches = loop.batches

    def noted(split, schedule, epoch):
        place = {row.numpy().tobytes(): number for number, row in enumerate(split.train_x)}
        found = list(batches(split, schedule, epoch))
        orders.append([tuple(place[row.numpy().tobytes()] for row in x) for x, _ in found])
        for (_, y), numbers in zip(found, orders[-1], strict=True):
            assert torch.equal(y, split.train_y[list(numbers)])
        return found

    with monkeypatch.context() as patch:
        patch.setattr(loop, "batches", noted)
        works("train_mnist", *flags)
    return orders


def test_batches_come_in_an_order_that_the_seed_fixes(place, monkeypatch, batched):
    orders = orders_of(monkeypatch, *in_batches(32))
    assert_same_run(run_folders("runs")[0][0], batched)
    assert len(orders) == 12
    for order in orders:
        assert [len(batch) for batch in order] == [32, 32, 32, 4]
        assert sorted(itertools.chain(*order)) == list(range(100)), "every image once an epoch"
    assert len({tuple(order) for order in orders}) == 12, "an order of its own in each epoch"
    again = orders_of(monkeypatch, *in_batches(32), "--root=again", "--num_epochs=3")
    assert again == orders[:3]
    other = orders_of(monkeypatch, *in_batches(32), "--root=other", "--seed=43", "--num_epochs=3")
    assert all(one != another for one, another in zip(other, orders, strict=False))


def test_an_epoch_of_batches_is_one_pass_and_several_updates(batched):
    assert [row[0] for row in rows_of(batched)] == list(range(13))
    assert list(list_checkpoints(batched)) == [0, 5, 10, 12]
    assert load(batched / "state.pth")["optimizer"]["step"].item() == 12 * 4
    assert json.loads((batched / "summary.json").read_text())["epochs"] == 12


def test_one_batch_of_all_images_is_full_batch(story, place):
    for batch_size in (100, 5000):
        works("train_mnist", *in_batches(batch_size), f"--root=runs{batch_size}")
        assert_same_run(run_folders(f"runs{batch_size}")[0][0], run_folders(story[0])[0][0])


class Died(Exception):
    """As if the process had been killed."""


@pytest.mark.parametrize("batch_size", [None, 32])
@pytest.mark.parametrize("epoch", [1, 5, 12])
@pytest.mark.parametrize("is_killed", [True, False])
def test_a_resumed_run_equals_an_uninterrupted_one(batch_size, epoch, is_killed, story, batched, place, monkeypatch):
    observe = Recorder.observe

    def ended(recorder, at, *more):
        observe(recorder, at, *more)
        if at == epoch:
            if is_killed:
                raise Died
            signal.raise_signal(signal.SIGTERM)

    flags = in_batches(batch_size)
    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "observe", ended)
        if is_killed:
            with pytest.raises(Died):
                fails("train_mnist", *flags)
        else:
            assert fails("train_mnist", *flags).status == 143
    (folder,), _ = run_folders("runs")
    saved = load(folder / "state.pth")["epoch"]
    assert saved == (epoch if not is_killed or epoch == 12 else epoch // 5 * 5)
    said = works("train_mnist", *flags).out
    assert f"goes on from epoch {saved}" in said or "is reused" in said
    assert_same_run(folder, batched if batch_size else run_folders(story[0])[0][0])


def test_the_test_images_are_evaluated_on_schedule_and_cost_little(place, monkeypatch):
    evaluated = []
    measure = loop.measure
    monkeypatch.setattr(loop, "measure", lambda *given: evaluated.append(0) or measure(*given))
    works("train_mnist", "--num_epochs=450", "--save_every=33", "--d_model=2", "--train_size=10")
    due = {epoch for epoch in range(451) if Schedule(450, 33).records(epoch)} | {450}
    assert [row[0] for row in rows_of(run_folders("runs")[0][0])] == sorted(due)
    assert len(evaluated) == len(due)
    # A training step is a forward and two backward products; a record is a forward pass over both sets.
    records = benchmark.counts_of(MnistConfig(), 100_000)["evaluation"]
    assert records * (10_000 + 1_000) < 0.1 * 100_000 * 3 * 1_000


# Many runs at once


@pytest.mark.parametrize("num_layers", [0, 1])
def test_a_population_equals_single_runs(num_layers, tmp_path, monkeypatch, in_float64):
    monkeypatch.setattr(trainer, "plot_curves", scripts._touch)
    settings = {"device": "cpu", "threads": 1, "num_epochs": 100, "train_size": 60, "d_model": 8}

    def raises(config, error):
        raise error

    def configs(root: str):
        for seed, lr, weight_decay in ((0, 1e-3, 0.1), (1, 3e-3, 0.0), (2, 3e-4, 3.0)):
            yield MnistConfig(
                seed=seed,
                lr=lr,
                weight_decay=weight_decay,
                num_layers=num_layers,
                root=str(tmp_path / root),
                **settings,
            )

    alone = [train_one(config) for config in configs("alone")]
    together = train_population(configs("together"), raises)
    assert len(together) == 3
    for one, other in zip(alone, together, strict=True):
        assert one.path.name == other.path.name
        mine, theirs = read_result(one.path).metrics, read_result(other.path).metrics
        for column in mine:
            np.testing.assert_allclose(theirs[column], mine[column], rtol=1e-9, atol=1e-9, err_msg=column)
        assert mine["train_loss"][-1] < mine["train_loss"][0], "and it learned"
        for epoch, path in list_checkpoints(one.path).items():
            weights = load(list_checkpoints(other.path)[epoch])["model"]
            for name, weight in load(path)["model"].items():
                torch.testing.assert_close(weights[name], weight, rtol=1e-9, atol=1e-9)


# The benchmark


def test_the_benchmark_measures_and_counts(capsys, monkeypatch):
    seconds = []
    shares = benchmark.print_shares
    monkeypatch.setattr(benchmark, "print_shares", lambda *given: seconds.append(given[-1]) or shares(*given))
    benchmark.run(["--threads=1", "--rounds=1", "--num_epochs=130", "--steps=2", "--train_size=50"])
    counts = benchmark.counts_of(MnistConfig(), 130)
    assert {part: len(series) for part, series in seconds[0].items()} == {
        part: (counts[part] if part != "steps" else 1) for part in benchmark.PARTS
    }
    printed = capsys.readouterr().out
    for part in ("floor", "textbook", "run", *benchmark.PARTS, "computed for 100,000 epochs"):
        assert part in printed
