# SPDX-License-Identifier: Apache-2.0
"""The disk under the collector's journal is full, or broken: where nothing is safe the answer is 503, a log line says what to do,
it heals by itself, nothing is lost and nothing is doubled."""
import contextlib
import json
import signal
import subprocess
import tempfile
import uuid

import pytest

from bench import promises
from bench.footfall import LONG, SEGMENT_BYTES, SMALL_SEGMENTS
from bench.load import TAKEN
from bench.published import Published
from bench.strace import Strace
from servers import can_connect, wait_until


def faults(collector, *inject):
    return Strace(collector, collector.journal, inject)


def finish(collector, visitors):
    visitors.stop()
    collector.wait_drained()
    collector.stop_well()
    assert set(visitors.statuses) <= {204, 503}, f"answers: {visitors.statuses}"


def page(**more):
    return json.dumps({"url": "https://shop.example/", **more})


def is_refused(collector, **more):
    status, headers, _ = collector.post(page(**more))
    assert status in (204, 503) and (status == 204 or int(headers["retry-after"]) > 0)
    return status == 503


@pytest.mark.parametrize("error", ["EIO", "EINTR"])
def test_a_file_whose_sync_failed_is_never_touched_again(programs, topic, database, load, error):
    collector = programs.collector(topic, env=SMALL_SEGMENTS)
    visitors = load(collector, **LONG, repeats=True)
    with faults(collector, f"fdatasync:error={error}:when=3+7") as tracer:
        wait_until(lambda: collector.figure("journal_sync_errors_total") >= 5, "failed syncs")
        visitors.wait_taken(100)
    calls = [each for each in tracer.calls() if each.name in ("fdatasync", "pwrite64")]
    failed = [number for number, each in enumerate(calls) if each.error == error]
    assert len(failed) >= 5
    for number in failed:
        later = [each for each in calls[number + 1:] if each.path == calls[number].path]
        assert not [each for each in later if each.name == "fdatasync"], later
    assert "event=sync_failed" in collector.log_text()
    visitors.wait_taken(100)
    finish(collector, visitors)
    promises.check(programs, topic, database, visitors)


def test_no_sync_succeeds_for_long(programs, topic, database, load):
    """A page's hit is written, cannot be made safe, is answered 503 and comes again with its id: one row."""
    collector = programs.collector(topic, env=SMALL_SEGMENTS)
    visitors = load(collector, **LONG, repeats=True)
    visitors.wait_taken(10)
    mine = str(uuid.uuid4())
    with faults(collector, "fdatasync:error=EIO"):
        wait_until(lambda: collector.figure("journal_sync_errors_total") > 0, "failed syncs")
        assert is_refused(collector, id=mine) and is_refused(collector, id=mine)
        wait_until(lambda: collector.fetch("/readyz")[0] == 503, "it says that it is not ready")
        assert collector.figure("journal_takes_hits") == 0
        assert collector.fetch("/healthz")[0] == 200
        before = visitors.count()
    wait_until(lambda: collector.post(page(id=mine))[0] == 204, "hits are taken again")
    visitors.note([mine], TAKEN)
    visitors.wait_taken(10)
    assert visitors.count() > before and collector.is_ready()
    finish(collector, visitors)
    published = Published(topic)
    assert published.ids().count(mine) == 1


def test_a_sync_takes_longer_than_the_page_waits_and_fails(programs, topic, database):
    """Its hit is written, answered 503, and written again elsewhere; the page comes again with the id: one row."""
    collector = programs.collector(topic, env=SMALL_SEGMENTS)
    mine = str(uuid.uuid4())
    with faults(collector, "fdatasync:error=EIO:delay_enter=7000000"):
        status, headers, reason = collector.post(page(id=mine))
        assert status == 503 and int(headers["retry-after"]) > 0 and b"the disk did not confirm in time" in reason
        wait_until(lambda: collector.figure("journal_sync_errors_total") > 0, "the sync fails")
    wait_until(lambda: collector.post(page(id=mine))[0] == 204, "it is safe")
    assert collector.figure("journal_appended_total") == 1 and collector.figure("hits_repeated_total") > 0
    assert collector.metrics()['footfall_collector_requests_refused_total{reason="unconfirmed"}'] > 0
    assert "event=unconfirmed" in collector.log_text() and "event=sync_failed" in collector.log_text()
    collector.wait_drained()
    assert Published(topic).ids() == [mine]
    programs.aggregator(topic, database)
    database.wait(lambda: database.value("SELECT count(*) FROM processed_events"), lambda rows: rows > 0, "the row")
    assert database.value("SELECT count(*) FROM processed_events") == 1


def test_writes_fail(programs, topic, database, load):
    collector = programs.collector(topic, env=SMALL_SEGMENTS)
    visitors = load(collector, **LONG, repeats=True)
    with faults(collector, "pwrite64:error=EIO:when=3+7"):
        wait_until(lambda: collector.figure("journal_write_errors_total") >= 5, "failed writes")
        visitors.wait_taken(100)
    visitors.wait_taken(100)
    finish(collector, visitors)
    promises.check(programs, topic, database, visitors)


def test_calls_are_interrupted(programs, topic, database, load):
    """They are made again, and that is all."""
    collector = programs.collector(topic, env=SMALL_SEGMENTS)
    visitors = load(collector, **LONG, repeats=True)
    calls = ("pwrite64", "fallocate", "openat")
    with faults(collector, *(f"{call}:error=EINTR:when=1+2" for call in calls)) as tracer:
        visitors.wait_taken(600)
        visitors.stop()
        collector.wait_drained()  # nothing is under way when it is let go of
    assert {each.name for each in tracer.calls() if each.is_injected} == set(calls)
    assert collector.figure("journal_write_errors_total") == collector.figure("journal_sync_errors_total") == 0
    finish(collector, visitors)
    assert collector.log_text().count("level=error") == 0
    promises.check(programs, topic, database, visitors)


def test_a_disk_that_lies(programs, topic, load):
    """It says that three bytes were written, and keeps none of them. What was lost by that is known, the rest is there."""
    collector = programs.collector(topic, env=SMALL_SEGMENTS)
    visitors = load(collector, **LONG)
    with faults(collector, "pwrite64:retval=3:when=5+40"):
        visitors.wait_taken(300)
    visitors.wait_taken(100)
    finish(collector, visitors)
    published = Published(topic)
    missing = visitors.check(published.ids(), may_lose=True)
    assert missing == len(published.holes() | published.skipped()) > 0
    assert "event=frame_lost" in collector.log_text()


# ---- No space ----

class InjectedDisk:
    """It is full as long as strace says so."""

    def __init__(self, folder):
        self.folder = folder
        self.tracer = None

    def fill(self, collector):
        if self.tracer is None:
            self.tracer = faults(collector, "fallocate:error=ENOSPC", "pwrite64:error=ENOSPC:when=5+5").start()

    def free(self):
        if self.tracer is not None:
            self.tracer.stop()

    close = free


class SmallDisk:
    """A file system of eight segments, with a file that takes all that is left."""

    def __init__(self, folder):
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={8 * SEGMENT_BYTES}", "none", folder], check=True)
        self.folder = folder
        self.ballast = folder / "ballast"

    def fill(self, _):
        with contextlib.suppress(OSError), open(self.ballast, "ab", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    def free(self):
        self.ballast.unlink(missing_ok=True)

    def close(self):
        subprocess.run(["umount", "-l", self.folder], check=True)


def can_mount():
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["mount", "-t", "tmpfs", "none", folder], stderr=subprocess.DEVNULL, check=False)
        return done.returncode == 0 and subprocess.run(["umount", folder], check=True).returncode == 0


@pytest.fixture(params=[InjectedDisk, SmallDisk] if can_mount() else [InjectedDisk])
def disk(request, own_folder, programs):
    folder = own_folder / "disk"
    folder.mkdir()
    disk = request.param(folder)
    yield disk
    programs.kill()
    disk.close()


@pytest.fixture
def kafka_stopped(kafka):
    """Stops and goes on with it, and leaves it running."""
    yield kafka
    kafka.send_signal(signal.SIGCONT)


def test_the_disk_is_full(programs, topic, database, kafka_stopped, load, disk):
    collector = programs.collector(topic, env=SMALL_SEGMENTS, journal__directory=disk.folder / "journal",
                                   journal__min_free_bytes="0")
    visitors = load(collector, **LONG)
    visitors.wait_taken(10)
    kafka_stopped.send_signal(signal.SIGSTOP)
    disk.fill(collector)
    wait_until(lambda: collector.figure("journal_takes_hits") == 0 and is_refused(collector) and not collector.is_ready(),
               "no hit is taken any more")
    assert "event=journal_full" in collector.log_text() and "journal.min_free_bytes" in collector.log_text()
    disk.free()
    visitors.wait_taken(100)
    kafka_stopped.send_signal(signal.SIGCONT)
    wait_until(collector.is_ready, "ready again")
    finish(collector, visitors)
    published = Published(topic)
    visitors.check([each for each in published.ids() if each in visitors.told])
    assert not published.holes()


def test_the_budget_is_reached_and_the_process_killed(programs, topic, database, kafka_stopped, load):
    """Kafka stands still until 64 MiB are full; then the collector is killed, and starts with a full journal."""
    collector = programs.collector(topic, http__max_body="64KiB", http__max_connections=1000, journal__max_bytes="64MiB")
    visitors = load(collector, most=14, padding=3900)
    visitors.wait_taken(1)
    kafka_stopped.send_signal(signal.SIGSTOP)
    wait_until(lambda: collector.figure("journal_takes_hits") == 0, "no hit is taken any more")
    assert is_refused(collector) and collector.figure("journal_full_in_seconds") == 0
    visitors.stop()
    assert collector.figure("journal_room_bytes") < 16 * 1024 * 1024 and collector.figure("journal_bytes") <= 64 * 1024 * 1024
    assert collector.figure("journal_oldest_pending_seconds") > 0 and collector.figure("journal_pending") > 5000
    assert "journal.max_bytes is reached" in collector.log_text()
    collector.kill()
    collector.start_again(wait=False)
    wait_until(lambda: can_connect(collector.port), "it listens")
    assert is_refused(collector)
    kafka_stopped.send_signal(signal.SIGCONT)
    with visitors.running():
        visitors.wait_taken(100)
        wait_until(collector.is_ready, "ready again")
    finish(collector, visitors)
    promises.check(programs, topic, database, visitors)


def test_sigterm_leaves_what_kafka_does_not_take_to_the_next_start(programs, topic, database, kafka_stopped, load):
    collector = programs.collector(topic)
    visitors = load(collector)
    visitors.wait_taken(1)
    kafka_stopped.send_signal(signal.SIGSTOP)
    visitors.wait_taken(100)
    collector.send_signal(signal.SIGTERM)
    assert collector.wait_left() == 0
    kafka_stopped.send_signal(signal.SIGCONT)
    visitors.stop()
    visitors.statuses.pop(0, None)  # posts on connections that were closed at that moment
    assert list(collector.journal.glob("*.segment"))
    collector.start_again()
    assert collector.figure("journal_recovered_total") >= 100
    finish(collector, visitors)
    promises.check(programs, topic, database, visitors)
