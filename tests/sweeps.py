"""What the tests of sweeps share: a small sweep as a module, and how it is called."""

import contextlib
import csv
import json
from pathlib import Path

from scripts import Outcome, call

SMALL = {"device": "cpu", "threads": 1, "p": 7, "frac_train": 0.5, "fn_name": "multiply"}
SMALL |= {"d_emb": 8, "d_model": 6, "lr": 0.01, "num_epochs": 30, "save_every": 10}
GRID = {"axes": {"pruning_rate": [0.3, 0.6], "retrain_weight_decay": [1.0, 0.0]}, "seeds": (0, 1)}


def write(**sweep) -> Path:
    """A sweep's module in the working directory; without arguments two seeds, two rates, two decays: 2 dense runs, 8 tickets."""
    given = ", ".join(f"{name}={value!r}" for name, value in (sweep or GRID).items())
    path = Path("my_sweep.py")
    path.write_text(
        "from configs.sweep import Sweep\nfrom configs.ticket import MLPTicketConfig\n"
        f"sweep = Sweep(MLPTicketConfig(**{SMALL!r}), {given})\n"
    )
    return path


def run_sweep(*flags, module: str | Path = "my_sweep.py") -> Outcome:
    return call("sweep", f"--config={module}", *flags, size=())


def train_sweep(*flags) -> Outcome:
    """The same in one process, and it must end well."""
    outcome = run_sweep("--workers=1", *flags)
    assert outcome.status == 0, outcome
    return outcome


def done(root: str | Path = "runs") -> set[str]:
    return {path.parent.name for path in Path(root).glob("*/summary.json")}


def collected(*flags) -> list[dict]:
    """The rows of the results.csv that --collect writes."""
    outcome = run_sweep("--collect", "--output=out", *flags)
    assert outcome.status == 0, outcome
    with Path("out/my_sweep/results.csv").open() as file:
        return list(csv.DictReader(file))


def changed(path: Path, **values) -> None:
    """Write other values into a file of JSON."""
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def made_by_older_code(folder: Path) -> None:
    code = json.loads((folder / "config.json").read_text())["code"]
    changed(folder / "config.json", code=code | {"training/loop.py": "0123456789abcdef"})


@contextlib.contextmanager
def building_fails(monkeypatch):
    """No data, no network and no mask can be built, as on a laptop to which the runs of a cluster were copied."""
    from data import TASKS
    from experiments import ingredients
    from models import MODELS

    def fail(*_, **__):
        raise AssertionError("something was built")

    with monkeypatch.context() as patched:
        patched.setattr(TASKS["modular"], "split", fail)
        patched.setattr(MODELS["mlp"], "build", fail)
        patched.setattr(ingredients, "mask_of", fail)
        yield
