"""The one exception for what a user can get wrong.

Every script runs its body through :func:`run_script`, the only place that turns an error into a message and an exit status.
"""

import os
import signal
import sys
from collections.abc import Callable


class UserError(Exception):
    """A mistake that the user can mend; the message says what is wrong and how to mend it, in one line."""


class NothingToDo(Exception):
    """What was asked for means nothing here, and nothing is trained; the message says why, in one line. No mistake: exit status 0."""


class Interrupted(Exception):
    """A run was asked to stop (Ctrl-C, SIGTERM, SIGUSR1) and has saved its state."""

    def __init__(self, message: str, exit_status: int):
        super().__init__(message)
        self.exit_status = exit_status


def mend_streams() -> None:
    """Make sure that something can be printed: a stream may be closed, as after ``2>&-``, or its encoding may lack a letter."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or stream.closed:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def run_script(body: Callable[[], int | None]) -> int:
    """Call ``body``; report what the user can mend in one line on stderr.

    Returns the exit status: 0, 2 for a mistake or a failing disk, 130 or 143 after an interruption, 141 for a closed pipe.
    """
    mend_streams()
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # as the scripts set it while they import
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return body() or 0
    except BrokenPipeError:  # the reader of our output has gone, as `| head` does
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # or Python complains once more at exit
        return 141
    except NothingToDo as reason:
        print(reason)
        return 0
    except (UserError, OSError) as error:
        print("error:", *str(error).split(), file=sys.stderr)  # on one line, whatever a message quotes
        return 2
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        return stop.exit_status
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
