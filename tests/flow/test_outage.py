# SPDX-License-Identifier: Apache-2.0
"""Kafka, or the way to it, fails while hits arrive: none that was answered 2xx is lost, none is stored twice, and with a journal
nobody who visits a site notices."""
import contextlib
import signal
import time

import pytest

from bench.load import Load
from bench.published import Published
from bench.wire import Wire

RATE = 300            # hits a second
OUTAGE_S = 4          # longer than a broker's session, so that leaders change
LOSS = 0.3


@pytest.fixture(scope="module")
def kafka(cluster):
    """All in this file happens to the cluster."""
    return cluster


@pytest.fixture(autouse=True)
def mended(cluster):
    cluster.start()
    yield
    cluster.mend()


@pytest.fixture
def wire(cluster):
    wire = Wire(cluster)
    yield wire
    wire.close()


@pytest.fixture
def load(seed):
    """Makes visitors; none stays when the test ends."""
    with contextlib.ExitStack() as stack:
        yield lambda port, **options: stack.enter_context(Load(port, seed, rate=RATE, **options).running())


# ---- What fails, until it is well again ----

@contextlib.contextmanager
def leader_killed(cluster, topic, _):
    leader = cluster.leader(topic)
    leader.kill()
    yield
    cluster.start()


@contextlib.contextmanager
def leader_wiped(cluster, topic, _):
    leader = cluster.leader(topic)
    leader.kill()
    leader.wipe()
    yield
    cluster.start()


@contextlib.contextmanager
def leader_stopped(cluster, topic, _):
    leader = cluster.leader(topic)
    leader.send_signal(signal.SIGSTOP)
    yield
    leader.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def all_killed(cluster, *_):
    cluster.kill()
    yield
    cluster.start()


@contextlib.contextmanager
def all_stopped(cluster, *_):
    cluster.send_signal(signal.SIGSTOP)
    yield
    cluster.send_signal(signal.SIGCONT)


def on_the_wire(state, *arguments):
    @contextlib.contextmanager
    def fault(_cluster, _topic, wire):
        getattr(wire, state)(*arguments)
        yield
        wire.heal()
    return fault


FAULTS = {
    "leader killed": leader_killed, "leader killed and wiped": leader_wiped, "leader stopped": leader_stopped,
    "all killed": all_killed, "all stopped": all_stopped,
    "cut off": on_the_wire("cut"), "packets lost": on_the_wire("lose", LOSS), "answers lost": on_the_wire("lose_answers"),
    "connections refused": on_the_wire("refuse")}


def check_all(topic, database, visitors):
    """Every promise is one row, and no number of a stream is missing."""
    database.wait_stored(topic)
    visitors.check_rows(database)
    assert not Published(topic).holes(), "numbers that neither came nor were said to be lost"
    assert database.value("SELECT count(*) FROM rejected_hits") == 0


@pytest.mark.parametrize("fault", FAULTS)
def test_who_waits_for_kafka_is_told_the_truth(programs, topic, database, cluster, wire, load, long, fault):
    """ack = kafka: answers are late or 503, and then the visitor comes again with the same id."""
    collector = programs.collector(topic, kafka__brokers=wire.brokers, journal__ack="kafka")
    programs.aggregator(topic, database)
    visitors = load(collector.port, repeats=True)
    visitors.wait_taken(RATE)
    visitors.chapter = fault
    with FAULTS[fault](cluster, topic, wire):
        time.sleep(OUTAGE_S * long)
    visitors.chapter = "afterwards"
    visitors.wait_taken(RATE)
    visitors.stop()
    assert set(visitors.statuses) <= {204, 503}, f"answers: {visitors.statuses}"
    check_all(topic, database, visitors)
