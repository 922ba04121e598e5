# SPDX-License-Identifier: Apache-2.0
"""Kafka, or the way to it, fails while hits arrive: none that was answered 2xx is lost, none is stored twice, and with a journal
nobody who visits a site notices."""
import collections
import contextlib
import random
import signal
import time

import pytest

from bench import promises
from bench.new_leaders import NewLeaders
from bench.wire import Wire

LOSS = 0.3
Size = collections.namedtuple("Size", "rate outage_s")
SMALL, LARGE = Size(300, 4), Size(2000, 120)  # hits a second; at least longer than a broker's session, so that leaders change


@pytest.fixture(scope="module")
def size(long):
    return LARGE if long > 1 else SMALL


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
    wire = Wire(cluster.ways())
    yield wire
    wire.close()


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
    with cluster.leader(topic).paused():
        yield


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
PARTIAL = {"leader killed", "leader killed and wiped", "leader stopped", "packets lost"}  # Kafka goes on confirming


@pytest.mark.parametrize("fault", [each for each in FAULTS if each != "leader killed"])
def test_visitors_do_not_notice(programs, topic, database, cluster, wire, load, size, fault):
    collector = programs.collector(topic, kafka__brokers=wire.addresses)
    programs.aggregator(topic, database)
    visitors = load(collector, rate=size.rate)
    visitors.wait_taken(size.rate)
    visitors.chapter = fault
    with FAULTS[fault](cluster, topic, wire):
        time.sleep(size.outage_s)
        visitors.wait_taken(size.rate)
        assert fault in PARTIAL or collector.figure("journal_pending") >= size.rate, "else this shows nothing"
    visitors.chapter = "afterwards"
    visitors.wait_taken(size.rate)
    visitors.stop()
    assert set(visitors.statuses) == {204}, f"answers: {visitors.statuses}"
    collector.wait_drained()
    promises.check_stored(topic, database, visitors)


@pytest.mark.parametrize("fault", ["leader killed", "all stopped", "answers lost"])
def test_who_waits_for_kafka_is_told_the_truth(programs, topic, database, cluster, wire, load, size, fault):
    """ack = kafka: answers are late or 503, and then the visitor comes again with the same id."""
    collector = programs.collector(topic, kafka__brokers=wire.addresses, journal__ack="kafka")
    programs.aggregator(topic, database)
    visitors = load(collector, rate=size.rate, repeats=True)
    visitors.wait_taken(size.rate)
    visitors.chapter = fault
    with FAULTS[fault](cluster, topic, wire):
        time.sleep(size.outage_s)
    visitors.chapter = "afterwards"
    visitors.wait_taken(size.rate)
    visitors.stop()
    assert set(visitors.statuses) <= {204, 503}, f"answers: {visitors.statuses}"
    promises.check_stored(topic, database, visitors)


def test_a_second_batch_does_not_confirm_a_first_that_was_refused(programs, topic, database, cluster, load):
    """A leader that does not know a producer takes its second batch after it has refused the first one (proto/leaders.h)."""
    with contextlib.closing(NewLeaders(cluster.ways())) as leaders:
        collector = programs.collector(topic, kafka__brokers=leaders.addresses)
        programs.aggregator(topic, database)
        visitors = load(collector, rate=SMALL.rate)
        visitors.wait_taken(4 * SMALL.rate)
        visitors.stop()
        assert set(visitors.statuses) == {204}, f"answers: {visitors.statuses}"
        collector.wait_drained()
        assert len(leaders.places) > 1, "partitions that refused a batch"
        promises.check_stored(topic, database, visitors)
        assert leaders.followed == 0, "batches sent while the first is not confirmed"


def test_one_fault_after_another_and_the_collector_killed_in_some(programs, topic, database, cluster, wire, load, long, seed):
    rng = random.Random(seed)
    collector = programs.collector(topic, kafka__brokers=wire.addresses)
    programs.aggregator(topic, database)
    visitors = load(collector, rate=SMALL.rate)
    for number in range(4 * long):
        fault = rng.choice([each for each in FAULTS if long > 1 or "killed" not in each])  # to start a broker takes its time
        visitors.chapter = f"{number}: {fault}"
        with FAULTS[fault](cluster, topic, wire):
            time.sleep(rng.uniform(0, SMALL.outage_s))
            if rng.random() < 0.5:
                collector.kill()
                collector.start_again(wait=False)
            visitors.wait_taken(SMALL.rate // 2)
        time.sleep(rng.uniform(0, 1))
    visitors.stop()
    assert set(visitors.statuses) <= {0, 204}, f"answers: {visitors.statuses}"
    collector.wait_drained()
    promises.check_stored(topic, database, visitors)
