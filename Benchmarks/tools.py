#!/usr/bin/env python3
"""How long the command line and the web dashboard take over 50 queues, one of them with a million tasks.

    make install PREFIX=/tmp/tools
    Benchmarks/tools.py /tmp/tools/bin/asynq

On a Redis and a SQLite file of its own. Prints medians of 20 and the slowest, in milliseconds of wall time, starting the program
included. Needs redis-server and redis-cli.
"""

import http.client
import json
import os
import pathlib
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
ASYNQ = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / ".build" / "release" / "asynq")
QUEUES, TASKS, RUNS = 50, 1_000_000, 20
ZERO = "00000000-0000-0000-0000-000000000000"
PAYLOAD = '{"to":"user@example.org","template":"welcome"}'
# KEYS: none. ARGV: queue, first, last. Copies the queue's first task, each copy with an id of its own.
FILL = """
local base, zero = 'asynq:{' .. ARGV[1] .. '}:', '%s'
local first = redis.call('HMGET', base .. 't:' .. zero, 'msg', 'pending_since')
local from, to = first[1]:find(zero, 1, true)
local head, tail = first[1]:sub(1, from - 1), first[1]:sub(to + 1)
for i = tonumber(ARGV[2]), tonumber(ARGV[3]) do
  local id = string.format('00000000-0000-0000-0000-%%012d', i)
  local own = head:gsub('user@', string.format('%%04x@', i %% 65536))
  redis.call('HSET', base .. 't:' .. id, 'state', 'pending', 'msg', own .. id .. tail, 'pending_since', first[2])
  redis.call('LPUSH', base .. 'pending', id)
end
""" % ZERO


def run(uri, *arguments):
    result = subprocess.run([ASYNQ, *arguments, "-u", uri], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if result.returncode != 0:
        sys.exit(f"asynq {' '.join(arguments)} failed: {result.stderr}")
    return result.stdout


def first_tasks(uri):
    for number in range(QUEUES):
        run(uri, "task", "enqueue", "-t", "email:welcome", "-l", PAYLOAD, "--queue", f"q{number}", "--id", ZERO)


def fill_redis(port, uri):
    first_tasks(uri)
    for number in range(QUEUES):
        last = TASKS if number == 0 else 200
        for first in range(1, last + 1, 20_000):
            subprocess.run(["redis-cli", "-p", str(port), "EVAL", FILL, "0", f"q{number}", str(first), str(min(last, first + 19_999))],
                           check=True, stdout=subprocess.DEVNULL)


def fill_sqlite(path, uri):
    first_tasks(uri)
    file = sqlite3.connect(path)
    cursor = file.execute("SELECT t.* FROM asynq_task t JOIN asynq_queue q ON q.id = t.queue WHERE q.name = 'q0'")
    names = [column[0] for column in cursor.description]
    first = dict(zip(names, cursor.fetchone()))
    last = file.execute("SELECT max(seq) FROM asynq_task").fetchone()[0]

    def row(number):
        return tuple({**first, "seq": last + number, "position": first["position"] + number, "id": f"00000000-0000-0000-0000-{number:012}",
                      "payload": PAYLOAD.replace("user@", f"{number % 65536:04x}@").encode()}[name] for name in names)

    file.executemany(f"INSERT INTO asynq_task VALUES ({','.join('?' * len(names))})", map(row, range(1, TASKS + 1)))
    file.commit()
    file.close()


def report(name, body):
    body()
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        body()
        times.append((time.perf_counter() - start) * 1000)
    print(f"{name:<54} {statistics.median(times):7.1f} {max(times):7.1f}", flush=True)


def process(*arguments):
    def body():
        pid = os.posix_spawn(ASYNQ, [ASYNQ, *arguments], os.environ, file_actions=[
            (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0:
            sys.exit(f"asynq {' '.join(arguments)} failed")
    return body


def commands(uri):
    pages = [("first", 1), ("middle", TASKS // 60), ("last", TASKS // 30)]
    report("stats", process("stats", "-u", uri))
    report("queue ls", process("queue", "ls", "-u", uri))
    for name, page in pages:
        report(f"task ls, {name} page", process("task", "ls", "-q", "q0", "-s", "pending", "--page", str(page), "-u", uri))


def dashboard(uri):
    server = subprocess.Popen([ASYNQ, "ui", "--port", "0", "-u", uri], stdout=subprocess.PIPE, text=True)
    try:
        port = int(server.stdout.readline().rstrip().rstrip("/").rsplit(":", 1)[1])
        connection = http.client.HTTPConnection("127.0.0.1", port)

        def get(path, encoding="gzip"):
            connection.request("GET", path, headers={"Accept-Encoding": encoding})
            response = connection.getresponse()
            body = response.read()
            if response.status != 200:
                sys.exit(f"{path}: {response.status} {body[:200]}")
            return body

        def search_all(text):
            cursor, steps, start = "0", 0, time.perf_counter()
            while cursor is not None:
                answer = json.loads(get(f"/api/queues/q0/search?state=pending&limit=1000&text={text}&cursor={cursor}", "identity"))
                cursor, steps = answer["cursor"], steps + 1
            print(f"{'dashboard: a search of all, ' + str(steps) + ' steps':<54} {(time.perf_counter() - start) * 1000:7.0f}", flush=True)

        def fresh(path):
            # Another question each time: the same within half a second would not be asked of the broker.
            numbers = iter(range(1_000_000))
            return lambda: get(f"{path}{'&' if '?' in path else '?'}n={next(numbers)}")

        report("dashboard: queues", fresh("/api/queues"))
        for name, page in [("first", 1), ("middle", TASKS // 100), ("last", TASKS // 50)]:
            report(f"dashboard: 50 tasks, {name} page", fresh(f"/api/queues/q0/pending_tasks?size=50&page={page}"))
        report("dashboard: 50 tasks found near the beginning", fresh("/api/queues/q0/search?state=pending&text=002a@"))
        report("dashboard: a search that finds nothing, one step", fresh("/api/queues/q0/search?state=pending&text=nowhere"))
        search_all("nowhere")
    finally:
        server.terminate()
        server.wait()


def main():
    print(f"{'':<54} {'median':>7} {'slowest':>7}")
    report("asynq --version", process("--version"))
    report("asynq --help", process("--help"))
    folder = pathlib.Path(tempfile.mkdtemp())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    redis = subprocess.Popen(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)], stdout=subprocess.DEVNULL)
    try:
        while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
            time.sleep(0.05)
        for name, uri, fill in [("Redis", f"redis://127.0.0.1:{port}/0", lambda uri: fill_redis(port, uri)),
                                ("SQLite", f"sqlite:{folder}/tasks.db", lambda uri: fill_sqlite(folder / "tasks.db", uri))]:
            fill(uri)
            print(f"-- {name}")
            commands(uri)
            dashboard(uri)
    finally:
        redis.terminate()
        redis.wait()
        shutil.rmtree(folder)


main()
