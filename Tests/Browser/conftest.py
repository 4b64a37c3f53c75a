"""What the browser tests share: brokers, the dashboard and workers as processes, and pages that are watched for trouble.

ASYNQ_BIN names the folder of the built `asynq` and `TestWorker`; CHROMIUM the browser, unless it is Playwright's own.
"""

import json
import os
import pathlib
import queue
import random
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import pytest
from playwright.sync_api import expect, sync_playwright

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("ASYNQ_BIN", ROOT / ".build" / "debug"))
# In seconds: longer than anything takes, on a busy machine too.
PATIENCE = 60
expect.set_options(timeout=PATIENCE * 1000)


def wait_for(what, condition, seconds=PATIENCE):
    """Asks until it is so: of processes, whose events cannot be waited for."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"still not: {what}")


class Process:
    """A process and the lines it prints."""

    def __init__(self, *command, env=None):
        self.process = subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, **(env or {})},
        )
        self.lines = []
        self.queue = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.queue.put(line.rstrip("\n"))
        self.queue.put(None)

    def wait_for_line(self, beginning):
        for line in self.lines:
            if line.startswith(beginning):
                return line
        while True:
            line = self.queue.get(timeout=PATIENCE)
            if line is None:
                raise AssertionError(f"it ended without a line “{beginning}”: {self.lines}")
            self.lines.append(line)
            if line.startswith(beginning):
                return line

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("the process does not end at SIGTERM")


class Broker:
    """Redis or a file of SQLite, with what fills it."""

    def __init__(self, uri):
        self.uri = uri
        self.processes = []

    @property
    def kind(self):
        return self.uri.split(":")[0]

    def asynq(self, *arguments):
        result = subprocess.run([str(BIN / "asynq"), *map(str, arguments), "--uri", self.uri], capture_output=True, text=True, timeout=PATIENCE)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def enqueue(self, type, payload, queue="default", *options):
        return json.loads(self.asynq("task", "enqueue", "-t", type, "-l", payload, "--queue", queue, "--json", *options))["task"]

    def work(self, queue, concurrency=4):
        """A worker: tasks `email:…` fail unless their payload has an @."""
        worker = Process(BIN / "TestWorker", self.uri, queue, concurrency, 2000)
        self.processes.append(worker)
        worker.wait_for_line("ready")
        return worker

    def ui(self, *options, env=None):
        dashboard = Dashboard(self, options, env)
        self.processes.append(dashboard.process)
        return dashboard

    def stop(self):
        for process in reversed(self.processes):
            process.stop()


class Dashboard:
    """`asynq ui` on a free port."""

    def __init__(self, broker, options, env):
        self.process = Process(BIN / "asynq", "ui", "--uri", broker.uri, "--port", 0, "--refresh", "200ms", *options, env=env)
        self.url = self.process.wait_for_line("serving ").split(" ")[1].rstrip("/")

    def call(self, method, path, body=None):
        request = urllib.request.Request(
            f"{self.url}/api/{path}", method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Origin": "/".join(self.url.split("/")[:3])},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            text = response.read()
            return json.loads(text) if text else None

    def fill(self, queue, count, type="report:build", payload=lambda index: json.dumps({"index": index}), **more):
        """Many tasks, faster than a process for each."""
        for index in range(count):
            self.call("POST", f"queues/{urllib.parse.quote(queue, safe='')}/tasks", {"type": type, "payload": payload(index), **more})

    def queue(self, name):
        found = [one for one in self.call("GET", "queues")["queues"] if one["queue"] == name]
        return found[0] if found else None


def sqlite_file(folder):
    path = folder / "tasks.db"
    # A file that is not there is taken for a mistake in its name.
    path.touch()
    return Broker(f"sqlite:{path}")


def free_port():
    """Below those that systems give to connections on their own: one that looks whether somebody listens could be given the
    same port, and meet itself."""
    for port in random.sample(range(10_000, 32_000), 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no port is free")


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(params=["redis", "sqlite"])
def broker(request, tmp_path):
    """Each test's own; both kinds."""
    if request.param == "sqlite":
        made = sqlite_file(tmp_path)
        yield made
        made.stop()
        return
    if shutil.which("redis-server") is None:
        pytest.fail("there is no redis-server")
    port = free_port()
    redis = Process("redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", tmp_path)
    wait_for("Redis listens", lambda: listens(port))
    assert redis.process.poll() is None, "another server has the port"
    made = Broker(f"redis://127.0.0.1:{port}/0")
    yield made
    made.stop()
    redis.stop()


@pytest.fixture
def sqlite(tmp_path):
    """Where the kind of broker makes no difference to a page."""
    made = sqlite_file(tmp_path)
    yield made
    made.stop()


@pytest.fixture(scope="session")
def chromium():
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Watch:
    """Opens pages, and keeps what goes wrong on them."""

    def __init__(self, browser):
        self.browser = browser
        self.contexts = []
        self.trouble = []
        self.expected = []

    def open(self, url, width=1280, height=900, theme="light", **options):
        context = self.browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, timezone_id="Europe/Berlin",
            reduced_motion="reduce", **options,
        )
        self.contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        page.on("console", lambda message: message.type in ("error", "warning") and self.trouble.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: self.trouble.append(f"error: {error}"))
        page.on("dialog", self._dialog)
        page.on("request", lambda request: request.url.startswith(("http://127.0.0.1:", "data:")) or self.trouble.append(f"asked somebody else: {request.url}"))
        page.goto(url)
        return page

    def _dialog(self, dialog):
        self.trouble.append(f"a script ran: {dialog.message}")
        dialog.dismiss()

    def expect_trouble(self, part):
        """A failed request, which the browser puts on the console."""
        self.expected.append(part)


@pytest.fixture
def browser(chromium):
    watch = Watch(chromium)
    yield watch
    for context in watch.contexts:
        context.close()
    rest = [trouble for trouble in watch.trouble if not any(part in trouble for part in watch.expected)]
    assert rest == []
