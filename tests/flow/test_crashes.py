# SPDX-License-Identifier: Apache-2.0
"""The collector's process dies, at any moment and at every system call on its journal: what was answered 2xx is one row, nothing
is two rows, and it always starts again."""
import collections
import pathlib
import random
import shutil
import signal
import time

import pytest

from bench import promises
from bench.footfall import LONG, SMALL_SEGMENTS
from bench.load import Load
from bench.segments import segments
from bench.strace import Strace
from servers import ServerError, wait_until

ROUNDS = 3
SAMPLE = 25  # of the kills at system calls
ROLLS = 2


@pytest.mark.parametrize("ack", ["memory", "os", "disk", "kafka"])
def test_killed_at_random_moments_under_load(programs, topic, database, seed, long, ack):
    rng = random.Random(seed)
    collector = programs.collector(topic, journal__ack=ack)
    load = Load(collector.port, seed)
    with load.running():
        for life in range(ROUNDS * long):
            load.chapter = f"life {life}"
            load.wait_taken(1)
            time.sleep(rng.random())
            collector.kill()
            collector.start_again()
    collector.wait_drained()
    collector.stop_well()
    promises.check(programs, topic, database, load, may_lose=ack == "memory")


# ---- At every system call ----

def pool_thread(collector):
    """The one that syncs, makes and removes files; all others but the first have names of their own."""
    tasks = pathlib.Path(f"/proc/{collector.pid}/task")
    name = (tasks / str(collector.pid) / "comm").read_text()
    found = [int(each.name) for each in tasks.iterdir()
             if int(each.name) != collector.pid and (each / "comm").read_text() == name]
    assert len(found) == 1, f"threads that may be the pool's: {found}"
    return found[0]


def begin_start(collector, inject=()):
    """Its first steps, traced, on a journal whose last segment has lost one of its two headers: no hit is lost by that, but
    there is something to put into quarantine."""
    for each in segments(collector.journal)[-1:]:
        each.flip(each.header_bytes // 2)
    collector.start_held()
    tracer = Strace(collector, collector.journal, inject).start()
    collector.send_signal(signal.SIGCONT)
    return tracer


def is_settled(collector):
    """It is dead, or has put away what it found at its start."""
    if not collector.is_running() or not collector.is_ready():
        return not collector.is_running()
    try:
        now = {name.removeprefix("footfall_collector_journal_"): value for name, value in collector.metrics().items()}
    except ServerError:  # killed since it was ready
        return False
    return not now["recovering"] and now["damaged_segments_total"] == now["quarantined_total"]


def count_start(collector):
    """{("start", call): how many one thread makes}"""
    tracer = begin_start(collector)
    wait_until(lambda: is_settled(collector), "it has started")
    tracer.stop()
    counts = collections.Counter((each.thread, each.name) for each in tracer.calls())
    return {("start", name): max(count for (_, other), count in counts.items() if other == name) for _, name in counts}


def until_rolled(calls):
    """The first of them, with so many rolls and a removal; None: they are not enough."""
    names = collections.Counter()
    for count, each in enumerate(calls, 1):
        names[each.name] += 1
        if names["fallocate"] > ROLLS and names["unlinkat"] > 0:
            return calls[:count]
    return None


def count_load(collector):
    """{("loop" or "pool", call): how many}"""
    with Strace(collector, collector.journal) as tracer:
        calls = wait_until(lambda: until_rolled(tracer.calls()), f"{ROLLS} rolls and a removal")
    return collections.Counter(("loop" if each.thread == collector.pid else "pool", each.name) for each in calls)


def choose(counts, most):
    """(where, call, number): all, or so many of them, spread over all numbers, at least one of each call."""
    every = [(*call, number + 1) for call, count in sorted(counts.items()) for number in range(count)]
    first = {each[:2]: each for each in reversed(every)}
    step = max(1, len(every) // most) if most else 1
    return sorted({*every[step // 2::step], *first.values()})


def die(collector, where, call, number):
    """Killed at that call, and started again. False: it was not made."""
    inject = [f"{call}:signal=SIGKILL:when={number}"]
    if where == "start":
        collector.kill()
        tracer = begin_start(collector, inject)
        wait_until(lambda: is_settled(collector), "it is dead or has started")
    else:
        tracer = Strace(collector, collector.journal, inject, collector.pid if where == "loop" else pool_thread(collector)).start()
        wait_until(lambda: not collector.is_running(), f"killed at {call} number {number} of the {where}")
    tracer.stop()
    if collector.is_running():
        return False
    collector.wait_killed()
    collector.start_again()
    return True


def test_killed_at_every_call_on_its_journal(programs, topic, database, seed, long):
    collector = programs.collector(topic, env=SMALL_SEGMENTS)
    load = Load(collector.port, seed, visitors=2, **LONG)
    killed = collections.Counter()
    with load.running():
        load.wait_taken(1)
        counts = count_load(collector)
        collector.kill()
        counts.update(count_start(collector))
        plan = choose(counts, None if long > 1 else SAMPLE)
        for where, call, number in plan:
            load.chapter = f"{where} {call} {number}"
            load.wait_taken(1)
            killed[where, call] += die(collector, where, call, number)
    collector.wait_drained()
    collector.stop_well()
    assert killed.total() > len(plan) // 2, f"{dict(killed)} of {dict(counts)}"
    assert {where for (where, _), times in killed.items() if times} == {"start", "loop", "pool"}
    promises.check(programs, topic, database, load)


def test_killed_at_every_call_of_its_first_start(programs, topic):
    collector = programs.collector(topic, env=SMALL_SEGMENTS)
    calls, killed = ["mkdir", "openat", "fallocate", "fdatasync", "fsync", "pwrite64"], 0
    for call in calls:
        for number in range(1, 20):
            collector.kill()  # with nothing pending: the journal may go
            shutil.rmtree(collector.journal)
            collector.start_held()
            tracer = Strace(collector, collector.journal, [f"{call}:signal=SIGKILL:when={number}"]).start()
            collector.send_signal(signal.SIGCONT)
            wait_until(lambda: not collector.is_running() or collector.is_ready(), "it is dead or has started")
            tracer.stop()
            if collector.is_running():
                break
            killed += 1
            collector.start_again()
            assert collector.post('{"url":"https://shop.example/"}')[0] == 204
            collector.wait_drained()
        assert number > 1, f"it never calls {call}"
    assert topic.count() == killed
