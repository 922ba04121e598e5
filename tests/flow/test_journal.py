# SPDX-License-Identifier: Apache-2.0
"""The journal's folder over several lives and in several hands: ended and started again while Kafka is away, copied, put back as
it was before, beside others. In all of them what was answered 204 is one row, and nothing is two."""
import json
import pathlib
import shutil
import uuid

import pytest

from bench.load import REFUSED, TAKEN
from bench.published import Published
from servers import wait_until

RATE = 300
EX_CONFIG = 78
MIB = 1 << 20
LARGE_BODIES = {"http__max_body": "64KiB", "http__max_connections": 1000}
LARGE_HITS = {"padding": 3800, "most": 15}


def folder_of(collector):
    return collector.folder / "journal"


@pytest.mark.parametrize("end, lives", [("stop_well", 1), ("kill", 3)])  # to stop well takes as long as it may wait for Kafka
def test_ended_and_started_again_while_kafka_is_away(programs, topic, database, kafka, visit, long, end, lives):
    collector = programs.collector(topic)
    programs.aggregator(topic, database)
    visitors = visit(collector.port, rate=RATE)
    visitors.wait_taken(RATE)
    with kafka.paused():
        for life in range(lives * long):
            visitors.chapter = f"outage, life {life}"
            visitors.wait_taken(RATE)
            getattr(collector, end)()
            collector.start_again(wait=False)
            wait_until(lambda: collector.fetch("/healthz")[0] == 200, "it runs again")
            wait_until(lambda: collector.figure("journal_pending") >= RATE, "what was not delivered has stayed in the journal")
        visitors.wait_taken(RATE)
    visitors.chapter = "afterwards"
    visitors.wait_taken(RATE)
    visitors.stop()
    assert set(visitors.statuses) <= {204, 0}, f"answers: {visitors.statuses}"
    collector.wait_drained()
    visitors.check_all(database, topic)


def test_a_second_collector_on_one_folder_is_refused(programs, topic):
    first = programs.collector(topic)
    second = programs.collector(topic, ready=False, journal__directory=folder_of(first))
    assert second.wait_left() == EX_CONFIG
    assert f"journal.directory = {folder_of(first)}: another collector uses this folder" in second.log_text()
    assert first.fetch("/readyz")[0] == 200


def copy_of_a_running(collector, to):
    """As a snapshot of its machine would hold it."""
    with collector.paused():
        shutil.copytree(folder_of(collector), to)
    return to


def test_a_machine_and_its_clone(programs, topic, database, kafka, visit, own_folder):
    """Both have the same undelivered hits, deliver them, and take others."""
    collector = programs.collector(topic)
    programs.aggregator(topic, database)
    visitors = visit(collector.port, rate=RATE)
    visitors.wait_taken(RATE)
    with kafka.paused():
        visitors.chapter = "outage"
        visitors.wait_taken(RATE)
        clone = programs.collector(topic, ready=False, journal__directory=copy_of_a_running(collector, own_folder / "clone"))
        wait_until(lambda: clone.fetch("/healthz")[0] == 200, "the clone runs")
        visitors.stop()
        visitors.ports.append(clone.port)
        visitors.chapter = "both"
        visitors.start()
        visitors.wait_taken(2 * RATE)
    visitors.chapter = "afterwards"
    visitors.wait_taken(RATE)
    visitors.stop()
    collector.wait_drained()
    clone.wait_drained()
    assert clone.figure("journal_recovered_total") > 0
    published = Published(topic)
    assert published.copies > 0, "both delivered the same hits: else this shows nothing"
    visitors.check_all(database, topic)


def test_an_old_copy_is_put_back(programs, topic, database, visit, own_folder):
    """What it holds was delivered long ago."""
    collector = programs.collector(topic)
    programs.aggregator(topic, database)
    visitors = visit(collector.port, rate=RATE)
    visitors.wait_taken(RATE)
    old = copy_of_a_running(collector, own_folder / "old")
    visitors.wait_taken(RATE)
    visitors.stop()
    collector.wait_drained()
    collector.stop_well()
    shutil.rmtree(folder_of(collector))
    old.rename(folder_of(collector))
    collector.start_again()
    visitors.chapter = "after the restore"
    visitors.start()
    visitors.wait_taken(RATE)
    visitors.stop()
    collector.wait_drained()
    assert Published(topic).copies > 0, "it delivered them once more: else this shows nothing"
    visitors.check_all(database, topic)


def test_several_on_one_port_one_of_them_killed(programs, topic, database, visit, long):
    shared = {"http__reuse_port": "true", "http__max_requests": 10}  # new connections all the time, for all of them
    first = programs.collector(topic, **shared)
    three = [first, *(programs.collector(topic, http__listen=f"127.0.0.1:{first.port}", **shared) for _ in range(2))]
    programs.aggregator(topic, database)
    visitors = visit(first.port, visitors=24, most=2, rate=RATE)
    visitors.wait_taken(RATE)
    for life in range(3 * long):
        visitors.chapter = f"life {life}"
        victim = three[life % 3]
        if life < 3:  # later ones may have come when all connections were made
            assert victim.figure("journal_appended_total") > 0, "the kernel gives connections to all of them"
        victim.kill()
        visitors.wait_taken(RATE // 3)
        victim.start_again()
        wait_until(lambda: victim.figure("journal_appended_total") > 0, "it takes its share again")
    visitors.stop()
    for each in three:
        each.wait_drained()
    visitors.check_all(database, topic)


def peak_bytes(collector):
    lines = pathlib.Path(f"/proc/{collector.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def test_memory_does_not_grow_with_an_outage(programs, topic, kafka, visit):
    """More is taken than all the queues on the way to Kafka hold: the rest stays on the disk."""
    collector = programs.collector(topic, **LARGE_BODIES)
    collector.stop_well()
    collector.env["ASAN_OPTIONS"] += ":quarantine_size_mb=8"  # else what is freed counts too
    collector.start_again()
    before = peak_bytes(collector)
    with kafka.paused():
        visitors = visit(collector.port, **LARGE_HITS)
        wait_until(lambda: collector.figure("journal_bytes") > 256 * MIB, "256 MiB are in the journal")
        visitors.stop()
        grown = peak_bytes(collector) - before
        assert set(visitors.statuses) == {204}, f"answers: {visitors.statuses}"
        assert collector.figure("hits_in_flight") < visitors.count() / 2, "Kafka's client holds a part of them only"
    assert grown < 160 * MIB, f"{grown / MIB:.0f} MiB more than at the start"
    collector.wait_drained()
    visitors.check(Published(topic).ids())
    assert peak_bytes(collector) - before < 200 * MIB


def is_refused(collector, visitors):
    mine = str(uuid.uuid4())
    status, headers, _ = collector.post(json.dumps({"url": f"https://shop.example/{'x' * 3800}", "id": mine}))
    visitors.note([mine], TAKEN if status == 204 else REFUSED)
    return status == 503 and int(headers["retry-after"]) > 0


def test_a_full_journal_refuses_and_later_takes_hits_by_itself(programs, topic, kafka, visit):
    collector = programs.collector(topic, journal__max_bytes="64MiB", **LARGE_BODIES)
    visitors = visit(collector.port, repeats=True, **LARGE_HITS)
    with kafka.paused():
        wait_until(lambda: is_refused(collector, visitors), "not even one hit finds room", every_s=0)
        assert collector.fetch("/readyz")[0] == 503
        taken = visitors.count()
        assert collector.figure("journal_bytes") <= 64 * MIB
    visitors.wait_taken(taken)
    visitors.stop()
    collector.wait_drained()
    assert set(visitors.statuses) == {204, 503}, f"answers: {visitors.statuses}"
    visitors.check(Published(topic).ids())
