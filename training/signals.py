"""Being asked to stop: finish the update, save, then go."""

import signal
import threading
from contextlib import contextmanager
from types import SimpleNamespace

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


@contextmanager
def catch_signals():
    """Gives an object whose ``received`` is None, or the signal that came: Ctrl-C, SIGTERM, or SIGUSR1 (Slurm's warning).

    A second one of the same kind acts as if nothing were caught. Outside the main thread Python can catch none.
    """
    state = SimpleNamespace(received=None)
    if threading.current_thread() is not threading.main_thread():
        yield state
        return

    def note(number, _frame):
        state.received = number
        signal.signal(number, before[number])

    before = {number: signal.getsignal(number) for number in STOPPING}
    for number in STOPPING:
        signal.signal(number, note)
    try:
        yield state
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_status(number: int) -> int:
    """130 after Ctrl-C, 143 after the signals of a batch system."""
    return 130 if number == signal.SIGINT else 143
