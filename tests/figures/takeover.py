# SPDX-License-Identifier: Apache-2.0
"""The part `takeover` of measure: how long the partitions of an aggregator stand still when it is killed, or stopped as by SIGSTOP.

From the signal to the first commit of a successor, for the first and the last of its partitions. 500 hits a second go on, so each
partition has something to commit; none may be lost or doubled."""
import random
import signal
import statistics
import threading
import time

import backlog
from servers import Program, free_ports, wait_until

RATE = 500
NAMES = ("first", "second")
WAIT_S = 120


def _aggregator(pipe, tools, name):
    return Program(pipe.folder / name, tools.binary, {
        "kafka.brokers": pipe.kafka.brokers, "postgres.conninfo": f"{pipe.postgres.conninfo()} application_name={name}"},
        free_ports(1)[0], name=name)


class Traffic:
    def __init__(self, tools):
        self.tools, self.sent, self.is_over = tools, 0, threading.Event()
        self.thread = threading.Thread(target=self._send, daemon=True)

    def _send(self):
        rng, begin = random.Random(1), time.monotonic()
        while not self.is_over.is_set():
            self.tools.send(f"81.2.{rng.randrange(256)}.{rng.randrange(256)}", self.sent)
            self.sent += 1
            time.sleep(max(0, begin + self.sent / RATE - time.monotonic()))

    def end(self):
        self.is_over.set()
        self.thread.join()
        self.tools.flush()


def _rows(cursor):
    """{partition: (owner, version, name of its aggregator)}"""
    cursor.execute("SELECT partition, owner::text, version, application_name FROM footfall.partitions"
                   " LEFT JOIN pg_stat_activity ON pid = owner_pid AND backend_start = owner_started")
    return {partition: tuple(rest) for partition, *rest in cursor.fetchall()}


def _wait_shared(cursor, partitions):
    def is_shared():
        names = [name for _, _, name in _rows(cursor).values()]
        return len(names) == partitions and all(names.count(name) == partitions // 2 for name in NAMES)
    wait_until(is_shared, "both have half of the partitions", WAIT_S)
    time.sleep(3)  # under way as usual


def _watch(cursor, victim, end):
    """Seconds from end(), until the first and until the last of the victim's partitions have a commit of another owner."""
    waiting = {partition: row for partition, row in _rows(cursor).items() if row[2] == victim}
    end()
    begin, took = time.monotonic(), []
    while waiting:
        assert time.monotonic() - begin < WAIT_S, f"partitions {sorted(waiting)} are not taken over"
        for partition, (owner, version, _) in _rows(cursor).items():
            if partition not in waiting:
                continue
            if owner == waiting[partition][0]:
                waiting[partition] = owner, version, victim  # its last commits, told late
            elif version > waiting[partition][1]:
                took.append(time.monotonic() - begin)
                del waiting[partition]
        time.sleep(0.005)
    return took[0], took[-1]


def _say(what, figures):
    print(f"takeover: {what}: first commit of a successor after "
          + ", ".join(f"{first:.1f}" for first, _ in figures) + f" s (median {statistics.median(first for first, _ in figures):.1f}),"
          " of the last partition after " + ", ".join(f"{last:.1f}" for _, last in figures) + " s", flush=True)


def measure_takeover(pipe, tools, partitions, rounds=5):
    """tools: binary, send(ip, number), flush()."""
    aggregators = {name: _aggregator(pipe, tools, name).start() for name in NAMES}
    traffic = Traffic(tools)
    traffic.thread.start()
    killed, stopped = [], []
    with backlog.cursor_of(pipe, "footfall") as cursor:
        for number in range(rounds):
            victim = NAMES[number % 2]
            _wait_shared(cursor, partitions)
            killed.append(_watch(cursor, victim, aggregators[victim].kill))
            aggregators[victim].start()
            _wait_shared(cursor, partitions)
            stopped.append(_watch(cursor, victim, lambda: aggregators[victim].send_signal(signal.SIGSTOP)))
            aggregators[victim].send_signal(signal.SIGCONT)
    traffic.end()
    wait_until(lambda: pipe.rows() >= traffic.sent, f"{traffic.sent} rows", WAIT_S)
    for each in aggregators.values():
        each.stop()
    assert pipe.rows() == traffic.sent, "rows were lost or doubled"
    _say("kill -9", killed)
    _say("SIGSTOP", stopped)
