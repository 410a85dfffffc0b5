"""Curves in wandb: one row per recorded epoch, online or in a folder, and never in the way of training."""

import atexit
import functools
import os
import secrets
import shutil
import sys
import textwrap
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

START_SECONDS = 15.0  # how long a server may take to answer before runs are logged offline instead
FINISH_SECONDS = 30.0  # how long the last rows may take to arrive before they are left on disk
RESULTS = ("completed", "stopped", "diverged")  # a run whose summary has another status counts as failed


def _never_raises(method):
    """After a failure, told in one line, nothing more is logged and the training goes on."""

    @functools.wraps(method)
    def guarded(self, *args, **kwargs):
        try:
            return None if self._failed else method(self, *args, **kwargs)
        except Exception as error:
            _say_once(f"wandb failed, the training goes on without it: {_in_one_line(error)}")
            self._failed = True

    return guarded


class WandbLogger:
    """Logs one run. ``WANDB_MODE`` decides how, if it is set; else online where a key is configured, offline elsewhere.

    ``folder`` is the run's and holds wandb's id of it, ``wandb_id``. Wandb's files of all runs of a root lie beside them, in
    ``root/wandb``, so that a dense run and its tickets are seen together.
    ``resumed_rows`` were recorded before an interruption: offline they are logged anew, so that one file holds the whole
    history; online those that the server has already are left out. ``about`` goes to wandb.init: project, name, group (the
    dense run), job_type (dense or ticket), tags, config.
    """

    _run, _failed = None, False

    @_never_raises
    def __init__(self, folder: Path, *, resumed_rows: Sequence[dict] = (), **about):
        self._folder, self._files, self._about = Path(folder), Path(folder).parent / "wandb", about
        if os.environ.get("WANDB_MODE") == "disabled":
            return  # and the second that the import takes is saved
        import wandb

        with _contained():
            mode = os.environ.get("WANDB_MODE") or wandb.setup(_settings(wandb)).settings.mode
            if mode == "disabled":  # by wandb's settings file
                return
            self._drop_files()
            if mode not in ("offline", "dryrun"):
                self._run = self._connect(wandb, mode)
            self._run = self._run or self._open(wandb, "offline")
        self._run.define_metric("epoch", hidden=True)  # no chart of epoch against epoch
        self._run.define_metric("*", step_metric="epoch")
        for row in resumed_rows:
            self.log(row)

    @_never_raises
    def log(self, row: dict) -> None:
        """Log the metrics of one recorded epoch, the columns of metrics.csv; epochs only grow."""
        # The epoch is wandb's step, too, so `starting_step` tells where the history on the server ends.
        if self._run is not None and row["epoch"] >= self._run.starting_step:
            self._run.log(row, step=row["epoch"], commit=True)

    @_never_raises
    def finish(self, summary: dict) -> None:
        """Add ``summary`` to the run's, upload what is left and close the run; nothing is logged after it."""
        run, self._run = self._run, None
        if run is None:
            return
        run.summary.update(summary)
        try:
            run.finish(exit_code=int(summary.get("status") not in RESULTS))
        except TimeoutError:
            os.environ["WANDB_MODE"] = "offline"
            upload = f"`wandb sync --include-online {self._files}` uploads what is missing"
            _say_once(f"wandb: the server did not take the last rows within {FINISH_SECONDS:g} s; {upload}")

    def _connect(self, wandb, mode: str):
        """The run online, resumed if the server knows it; None, told in one line, where there is no key or no server."""
        try:
            # Without prompt and verification this only looks for a key: in the environment, wandb's settings and netrc.
            if not wandb.login(prompt=False, verify=False):
                raise ValueError("no API key is configured; `wandb login` does that")
            run = self._open(wandb, mode)
            _say_once(f"wandb: the curves are at {run.project_url}")
            return run
        except Exception as error:
            # wandb goes on using the id and the files of a run that failed to start: begin anew.
            self._drop_files()
            (self._folder / "wandb_id").unlink(missing_ok=True)
            os.environ["WANDB_MODE"] = "offline"  # of the whole process: a dead server is waited for once
            how = f"`wandb leet {self._files}` shows them in the terminal, `wandb sync {self._files}` uploads them"
            _say_once(f"wandb: logging offline ({_in_one_line(error)}), to {self._files}: {how}")
            return None

    def _drop_files(self) -> None:
        """Remove what wandb has written of this run before."""
        path = self._folder / "wandb_id"
        for old in self._files.glob(f"*run-*-{path.read_text().strip()}") if path.exists() else ():
            shutil.rmtree(old, ignore_errors=True)

    def _open(self, wandb, mode: str):
        path = self._folder / "wandb_id"
        known = path.read_text().strip() if path.exists() else ""
        path.write_text(known or secrets.token_hex(4))
        # Only where it matters: `wandb sync` adds the rows of such a run to those on the server, else it replaces them.
        resume = "allow" if known and mode != "offline" else None
        how = {"id": path.read_text(), "mode": mode, "resume": resume, "settings": _settings(wandb)}
        return wandb.init(dir=self._folder.parent, **how, **self._about)


def _settings(wandb):
    """wandb's settings: bounded in time, silent, and gathering nothing that config.json has."""
    return wandb.Settings(
        init_timeout=START_SECONDS,
        x_service_wait=START_SECONDS,
        finish_timeout=FINISH_SECONDS,  # also of what wandb itself does at exit
        finish_timeout_raises=True,
        reinit="create_new",  # several runs may be open at once
        silent=True,  # neither prints nor prompts; what a user needs to know is said here
        console="off",
        stop_fn=lambda: None,  # by default, "stop" in the web page sends a SIGINT
        save_code=False,
        use_dot_wandb=False,
        x_save_requirements=False,
        x_disable_meta=True,
        x_disable_machine_info=True,
        x_disable_stats=True,
    )


@contextmanager
def _contained():
    """Put back what wandb replaces when its service starts, and end the service quietly at exit.

    Its reports on its own errors are off, unless they are asked for: at exit they would wait for a dead server, too.
    """
    functions, variables = (sys.exit, sys.excepthook), {*os.environ, "WANDB_MODE"}
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    try:
        yield
    finally:
        sys.exit, sys.excepthook = functions
        for name in set(os.environ) - variables:
            del os.environ[name]
        atexit.unregister(_tear_down)
        atexit.register(_tear_down)  # later than wandb's own hook, so it runs earlier, and instead of that


def _tear_down() -> None:
    import wandb

    with suppress(Exception, SystemExit):  # wandb's hook shows a traceback if its service was killed
        wandb.teardown()


def _in_one_line(error: Exception) -> str:
    return textwrap.shorten(str(error) or type(error).__name__, 144, placeholder=" ...")


@functools.cache
def _say_once(line: str) -> None:
    print(line, flush=True)
