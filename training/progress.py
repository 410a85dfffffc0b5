"""Progress that suits where it goes: a bar on a terminal, a plain line now and then in a pipe or a log file."""

import sys
import time

from tqdm import tqdm

from training.metrics import METRICS

SECONDS_BETWEEN_LINES = 15.0


class Progress:
    """Shows how far a run is. Call it with the epoch and the rows of metrics of that epoch; ``close`` it in the end."""

    def __init__(self, label: str, start: int, num_epochs: int):
        self.label, self.num_epochs = label, num_epochs
        self.start, self.since = start, time.perf_counter()
        self.printed = self.since
        self.bar = None
        if sys.stderr.isatty():
            self.bar = tqdm(
                total=num_epochs, initial=start, desc=label, unit=" epochs", leave=False, dynamic_ncols=True
            )

    def __call__(self, epoch: int, rows: list[list[float]]) -> None:
        places = [list(METRICS).index(name) for name in ("train_acc", "test_acc")]
        train_acc, test_acc = (sum(row[place] for row in rows) / len(rows) for place in places)
        state = f"train_acc {train_acc:.3f} test_acc {test_acc:.3f}"
        if self.bar is not None:
            self.bar.set_postfix_str(state, refresh=False)
            self.bar.update(epoch - self.bar.n)
        elif (now := time.perf_counter()) - self.printed >= SECONDS_BETWEEN_LINES:
            self.printed = now
            speed = (epoch - self.start) / (now - self.since)
            left = f"{speed:.0f} epochs/s, {(self.num_epochs - epoch) / speed:.0f} s left" if speed else ""
            print(f"{self.label}: epoch {epoch:,} of {self.num_epochs:,}, {state}, {left}", flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
