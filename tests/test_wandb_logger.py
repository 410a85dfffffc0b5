"""The wandb logger: it writes what it is given, and nothing that happens to wandb reaches the training.

Most of it is tested in processes of their own, since the way they end matters. A stand-in on 127.0.0.1 plays the server.
"""

import json
import os
import pty
import re
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from scripts import run_folders, succeed

from experiments import trainer, wandb_logger
from experiments.origin import git_commit
from experiments.wandb_logger import WandbLogger
from training.metrics import columns

ROOT = Path(__file__).parents[1]
COLUMNS = columns()
ABOUT = {
    "project": "p",
    "name": "n",
    "group": "g",
    "job_type": "dense",
    "tags": ["a"],
    "config": {"dense": {"lr": 0.1}},
}
EPOCHS = list(range(0, 90, 3))
ROWS = [{"epoch": e, **{column: (e + 1) / (k + 3) for k, column in enumerate(COLUMNS[1:])}} for e in EPOCHS]
LIMIT = 1.5  # seconds, where a test waits for one
CHILD = f"""
import os, signal, sys, time
from pathlib import Path
from experiments import wandb_logger
ROWS = {ROWS}
SUMMARY = {{"status": "completed", "t_mem": None, "t_gen": 57}}

def start(folder="run", resumed=0):
    Path(folder).mkdir(exist_ok=True)
    return wandb_logger.WandbLogger(Path(folder), **{ABOUT}, resumed_rows=ROWS[:resumed])

def log(logger, rows):
    for row in rows:
        logger.log(row)

def log_run(folder):
    logger = start(folder)
    log(logger, ROWS)
    logger.finish(SUMMARY)

def service():
    from wandb.sdk import wandb_setup
    return wandb_setup.singleton().assert_service()._proc._process.pid
"""


@pytest.fixture
def env(tmp_path):
    """An environment without the keys, settings files and modes of whoever runs the tests."""
    (tmp_path / "home").mkdir()
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}


def run_child(body, folder, env, **more):
    command = [sys.executable, "-c", CHILD + body]
    return subprocess.run(command, cwd=folder, env={**env, **more}, capture_output=True, text=True, timeout=60)


def read_records(folder, env):
    """What wandb's own reader finds of the run in a folder, ``{type: [record]}``."""
    (run,) = (folder.parent / "wandb").glob(f"*run-*-{(folder / 'wandb_id').read_text()}")
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(run)]
    text = subprocess.run(
        command, env={**env, "WANDB_ERROR_REPORTING": "false"}, capture_output=True, check=True
    ).stdout
    records = {}
    for record in map(json.loads, text.splitlines()):
        records.setdefault(record["type"], []).append(record[record["type"]])
    return records


def metrics_of(records):
    return [{column: record["item"][column] for column in COLUMNS} for record in records["history"]]


def test_offline_run_holds_what_was_logged_and_the_process_stays_as_it_was(tmp_path, env):
    body = """
def state():
    signals = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]
    return sys.exit, sys.excepthook, sys.stdout, sys.stderr, dict(os.environ), signals
before = state()
logger = start()
log(logger, ROWS)
logger.finish(SUMMARY)
logger.log(ROWS[-1])
assert state() == before
sys.exit(3)
"""
    child = run_child(body, tmp_path, env, WANDB_MODE="offline")
    assert (child.returncode, child.stdout, child.stderr) == (3, "", "")
    records = read_records(tmp_path / "run", env)
    assert metrics_of(records) == ROWS
    assert (records["run"][0]["run_group"], records["run"][0]["job_type"]) == ("g", "dense")
    assert records["run"][0]["config"]["update"]["dense"] == {"lr": 0.1}
    assert {"status": "completed", "t_mem": None, "t_gen": 57} in [record["update"] for record in records["summary"]]
    epoch, others = records["metric"][:2]
    assert epoch["name"] == "epoch"
    assert epoch["options"]["hidden"], "no chart of epoch against epoch"
    assert others | {"glob_name": "*", "step_metric": "epoch"} == others
    assert records["exit"][0]["exit_code"] == 0


def test_offline_run_resumed_after_a_kill_holds_every_row_once(tmp_path, env):
    killed = run_child("log(start(), ROWS[:20]); os.kill(os.getpid(), signal.SIGKILL)", tmp_path, env)
    assert killed.returncode == -9
    resumed = run_child("logger = start(resumed=15); log(logger, ROWS[15:]); logger.finish(SUMMARY)", tmp_path, env)
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert metrics_of(read_records(tmp_path / "run", env)) == ROWS


def test_without_a_key_two_runs_of_a_process_are_offline_and_one_line_says_so(tmp_path, env):
    body = """
log_run("dense")
first = service()
log_run("ticket")
assert service() == first
"""
    child = run_child(body, tmp_path, env)
    assert (child.returncode, child.stderr) == (0, "")
    expected = r"wandb: logging offline \(no API key is configured.*`wandb leet wandb` .*`wandb sync wandb` .*\n"
    assert re.fullmatch(expected, child.stdout)
    for folder in ("dense", "ticket"):
        assert metrics_of(read_records(tmp_path / folder, env)) == ROWS


def test_no_prompt_on_a_terminal(tmp_path, env):
    """Online asked for, no key, and a terminal to ask on: one line all the same."""
    shown, terminal = pty.openpty()
    command = [sys.executable, "-c", CHILD + "log_run('run')"]
    more = {"WANDB_MODE": "online", "TERM": "xterm"}
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), terminal)
    assert subprocess.run(command, cwd=tmp_path, env={**env, **more}, timeout=60, **streams).returncode == 0
    text = os.read(shown, 10_000).decode()
    assert text.startswith("wandb: logging offline (no API key is configured")
    assert text.count("\n") == 1


def test_disabled_does_not_even_import_wandb(tmp_path, env):
    child = run_child("log_run('run'); assert 'wandb' not in sys.modules", tmp_path, env, WANDB_MODE="disabled")
    assert (child.returncode, child.stdout, child.stderr) == (0, "", "")
    assert list((tmp_path / "run").iterdir()) == []


def test_a_server_that_never_answers_costs_its_limit_once_and_the_runs_are_offline(tmp_path, env):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        more = {"WANDB_BASE_URL": f"http://127.0.0.1:{listener.getsockname()[1]}", "WANDB_API_KEY": "a" * 40}
        start = time.monotonic()
        body = f"wandb_logger.START_SECONDS = {LIMIT}; log_run('dense'); log_run('ticket')"
        child = run_child(body, tmp_path, env, **more)
        seconds = time.monotonic() - start
    assert (child.returncode, child.stderr) == (0, "")
    assert child.stdout.startswith("wandb: logging offline (")
    assert child.stdout.count("\n") == 1
    assert seconds < LIMIT + 10  # with the import, and the end of the process
    assert metrics_of(read_records(tmp_path / "ticket", env)) == ROWS


class Server(ThreadingHTTPServer):
    """As much of wandb's server as a run needs: it keeps the lines of its history. Once ``dead``, it never answers."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.history, self.dead = [], threading.Event()
        self.env = {"WANDB_BASE_URL": f"http://127.0.0.1:{self.server_port}", "WANDB_API_KEY": "a" * 40}

    def handle_error(self, request, client_address):
        """A client that goes away is no error."""

    def answer(self, path, asked):
        project = {"id": "p", "name": "p", "entity": {"id": "e", "name": "e"}}
        if path.endswith("/file_stream"):
            chunk = asked.get("files", {}).get("wandb-history.jsonl")
            if chunk:
                self.history[chunk["offset"] :] = chunk["content"]
        elif "RunResumeStatus" in asked.get("query", ""):
            tail = json.dumps([json.dumps(json.loads(line)) for line in self.history[-1:]])
            counts = {"historyLineCount": len(self.history), "eventsLineCount": 0, "logLineCount": 0}
            texts = {
                "historyTail": tail,
                "eventsTail": "[]",
                "summaryMetrics": "{}",
                "config": "{}",
                "wandbConfig": "{}",
            }
            bucket = {"id": "b", "name": asked["variables"]["name"], "tags": [], **counts, **texts}
            return {"data": {"model": {**project, "bucket": bucket}}}
        elif "UpsertBucket" in asked.get("query", ""):
            bucket = {"id": "b", "name": asked["variables"]["name"], "displayName": "n", "project": project}
            return {"data": {"upsertBucket": {"bucket": bucket, "inserted": True}}}
        elif "CreateRunFiles" in asked.get("query", ""):
            return {"data": {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": []}}}
        return {"data": {}}


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        if self.server.dead.is_set():
            time.sleep(60)
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "{}")
        text = json.dumps(self.server.answer(self.path, asked)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        """The tests have nothing to say about each request."""


@pytest.fixture
def server():
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_online_run_is_resumed_without_repeating_what_the_server_has(tmp_path, env, server):
    interrupted = run_child("logger = start(); log(logger, ROWS[:20]); logger.finish({})", tmp_path, env, **server.env)
    assert re.fullmatch(r"wandb: the curves are at http://127.0.0.1:\d+/e/p\n", interrupted.stdout)
    assert [json.loads(line)["epoch"] for line in server.history] == EPOCHS[:20]
    body = "logger = start(resumed=15); log(logger, ROWS[15:]); logger.finish(SUMMARY)"
    resumed = run_child(body, tmp_path, env, **server.env)
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert [{column: json.loads(line)[column] for column in COLUMNS} for line in server.history] == ROWS


def test_server_that_dies_during_a_run_costs_its_limit_and_no_row(tmp_path, env, server):
    body = f"""
wandb_logger.FINISH_SECONDS = {LIMIT}
logger = start()
print("started", flush=True)
sys.stdin.readline()
log(logger, ROWS)
logger.finish(SUMMARY)
"""
    command = [sys.executable, "-c", CHILD + body]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    child = subprocess.Popen(command, cwd=tmp_path, env={**env, **server.env}, text=True, **pipes)
    assert child.stdout.readline().startswith("wandb: the curves are at")
    assert child.stdout.readline() == "started\n"
    server.dead.set()
    output, errors = child.communicate("\n", timeout=LIMIT + 10)
    assert (child.returncode, errors) == (0, "")
    assert re.fullmatch(r"wandb: the server did not take .*`wandb sync --include-online wandb`.*\n", output)
    assert metrics_of(read_records(tmp_path / "run", env)) == ROWS


def test_killed_service_is_one_line_and_no_failure(tmp_path, env):
    body = """
logger = start()
log(logger, ROWS[:5])
os.kill(service(), signal.SIGKILL)
time.sleep(0.5)
log(logger, ROWS[5:])
logger.finish(SUMMARY)
"""
    child = run_child(body, tmp_path, env, WANDB_MODE="offline")
    assert (child.returncode, child.stderr) == (0, "")
    assert re.fullmatch(r"wandb failed, the training goes on without it: .*\n", child.stdout)


@pytest.mark.parametrize("works_until", [0, 1, 2])
def test_a_wandb_that_raises_does_not_raise_here(works_until, tmp_path, monkeypatch, capsys):
    """The import itself fails, or the first row, or the end of the run; more than one line would be a nuisance."""

    class Run:
        starting_step, summary = 0, {}

        def define_metric(self, *args, **kwargs):
            pass

        def log(self, *args, **kwargs):
            if works_until == 1:
                raise ValueError("broken\nin two lines")

        def finish(self, **kwargs):
            raise OSError("broken at the end")

    class Wandb:
        Settings = staticmethod(lambda **settings: None)
        setup = staticmethod(lambda settings: type("Setup", (), {"settings": type("S", (), {"mode": "offline"})}))
        init = staticmethod(lambda **about: Run())
        teardown = staticmethod(lambda *args: None)

    monkeypatch.setitem(sys.modules, "wandb", Wandb if works_until else None)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    wandb_logger._say_once.cache_clear()
    logger = WandbLogger(tmp_path, **ABOUT)
    for row in ROWS:
        logger.log(row)
    logger.finish({"status": "completed"})
    logger.finish({})
    output = capsys.readouterr()
    assert output.err == ""
    assert re.fullmatch(r"wandb failed, the training goes on without it: .*\n", output.out)


def test_a_run_s_config_has_the_commit_and_a_ticket_s_the_source_of_its_mask(place, monkeypatch):
    told = []
    logger = SimpleNamespace(log=lambda row: None, finish=lambda summary: None)
    monkeypatch.setattr(trainer, "WandbLogger", lambda folder, **about: told.append(about["config"]) or logger)
    succeed("main")
    dense, ticket = told
    assert dense["git_commit"] == ticket["git_commit"] == git_commit()
    assert ticket["mask_source"]["epoch"] == 30
    assert Path(ticket["dense_run"]).exists()
    assert dense["p"] == ticket["p"] == 7


def test_seconds_do_not_count_the_wait_for_a_server(place, monkeypatch):
    """Nor does the time that the logger takes to finish."""
    logger = SimpleNamespace(log=lambda row: None, finish=lambda summary: time.sleep(0.5))
    monkeypatch.setattr(trainer, "WandbLogger", lambda *_, **__: time.sleep(0.5) or logger)
    start = time.perf_counter()
    succeed("train")
    ((folder,), _) = run_folders("runs")
    assert json.loads((folder / "summary.json").read_text())["seconds"] < time.perf_counter() - start - 0.9
