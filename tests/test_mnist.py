"""MNIST through the scripts, on a few hundred real images: the same story as modular addition, batches, and what is measured when."""

import json
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scripts import (
    assert_refused,
    assert_same_run,
    bits,
    call,
    config_file,
    dying,
    load,
    rows_of,
    run_folders,
    signalled,
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
from experiments.build import build_model, build_split
from experiments.reader import list_checkpoints

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
    assert (MnistTicketConfig().memorization_epoch, MnistTicketConfig().generalization_epoch) == (1_000, 100_000)
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


@pytest.mark.parametrize("batch_size", [None, 40])
def test_an_identity_ticket_is_the_dense_run_bit_for_bit(batch_size, place):
    works("main", "--dataset=mnist", "--pruning_rate=0", *in_batches(batch_size))
    (dense,), (ticket,) = run_folders("runs")
    (ticket / "mask.pth").rename(place / "mask.pth")
    assert_same_run(dense, ticket)
    assert all(bool(kept.all()) for kept in load(place / "mask.pth")["mask"].values())


# The data


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
    train_x, train_y, test_x, test_y = (part.numpy() for part in mnist_files.load_mnist(FIXTURES))
    chosen = torch.randperm(300, generator=generator(42, "split"))[:100].numpy()
    train_x, test_x = (images.reshape(len(images), 784) / np.float64(255) for images in (train_x[chosen], test_x))
    for folder in (*run_folders(story[0])[0], *run_folders(story[0])[1]):
        rows = {int(row[0]): row for row in rows_of(folder)}
        for epoch, path in list_checkpoints(folder).items():
            expected = slow_row(load(path)["model"], ((train_x, train_y[chosen]), (test_x, test_y)))
            np.testing.assert_allclose(rows[epoch][1:5], expected, rtol=1e-5)


def test_missing_and_damaged_files_are_told_in_one_line(place, monkeypatch):
    monkeypatch.delenv("MNIST_ROOT")
    (place / "partly").mkdir()
    present = "t10k-labels-idx1-ubyte.gz"
    shutil.copy(FIXTURES / present, place / "partly")
    missing = [name for name in mnist_files.OFFICIAL if f"{name}.gz" != present]
    outcome = fails("train_mnist", f"--data_root={place / 'partly'}")
    assert outcome.status == 2
    assert outcome.err.startswith("error: MNIST is not complete in ")
    assert outcome.err.count("\n") == 1
    for told in (*missing, "http://127.0.0.1:9/", str(place / "partly"), "--data_root", "MNIST_ROOT"):
        assert told in outcome.err
    assert [path.name for path in (place / "partly").iterdir()] == [present]
    assert not (place / "runs").exists(), "no folder of a run that never began"
    shutil.copytree(FIXTURES, place / "damaged")
    path = place / "damaged" / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:9000])
    assert_refused(fails("train_mnist", f"--data_root={place / 'damaged'}"), str(path), "damaged")
    monkeypatch.setenv("MNIST_ROOT", str(FIXTURES))
    assert "is reused" not in works("train_mnist").out, "and the run can be made afterwards"


def test_bad_flags_are_told_in_one_message(place):
    no_batches = config_file("MnistTicketConfig", batch_size=0)
    for flag, word in (("--train_size=301", "from 1 to 300"), ("--p=7", "--p"), (no_batches, "batch_size must be")):
        assert_refused(fails("train_mnist", flag), word)


def test_where_the_files_are_is_no_part_of_a_run(story, place, monkeypatch):
    root, _ = story
    assert not is_setting(Mnist, "data_root")
    elsewhere = place / "elsewhere"
    shutil.copytree(FIXTURES, elsewhere)
    monkeypatch.delenv("MNIST_ROOT")
    for script in ("train_mnist", "prune_mnist"):
        assert "is reused" in works(script, f"--data_root={elsewhere}", f"--root={root}").out
    assert [len(folders) for folders in run_folders(root)] == [1, 1]


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


def test_an_epoch_of_batches_is_one_pass_and_several_updates(batched):
    assert [row[0] for row in rows_of(batched)] == list(range(13))
    assert list(list_checkpoints(batched)) == [0, 5, 10, 12]
    assert load(batched / "state.pth")["optimizer"]["step"].item() == 12 * 4
    assert json.loads((batched / "summary.json").read_text())["epochs"] == 12


def test_one_batch_of_all_images_is_full_batch(story, place):
    for batch_size in (100, 5000):
        works("train_mnist", *in_batches(batch_size), f"--root=runs{batch_size}")
        assert_same_run(run_folders(f"runs{batch_size}")[0][0], run_folders(story[0])[0][0])


@pytest.mark.parametrize("batch_size", [None, 32])
def test_a_resumed_run_equals_an_uninterrupted_one(batch_size, story, batched, place):
    flags = in_batches(batch_size)
    with dying(epoch=8):
        fails("train_mnist", *flags)
    with signalled(signal.SIGTERM, rows=3):
        assert fails("train_mnist", *flags).status == 143
    ((folder,), _) = run_folders("runs")
    assert load(folder / "state.pth")["epoch"] == 7, "5, of the last checkpoint, and two more"
    assert "goes on from epoch 7" in works("train_mnist", *flags).out
    assert_same_run(folder, batched if batch_size else run_folders(story[0])[0][0])


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
