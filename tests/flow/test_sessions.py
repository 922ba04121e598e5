# SPDX-License-Identifier: Apache-2.0
"""Hits and sessions in Postgres are exactly those of the messages in Kafka, whatever happens on the way."""
import random
import time

import pytest

from bench import hits, oracle
from bench.footfall import SMALL_BATCHES
from servers import wait_until

COUNT = 200_000
SEED = 20250202
CHANGES, MOST_CHANGES, CHANGE_S = 8, 80, 2


@pytest.fixture(scope="module")
def some(long):
    return hits.make(COUNT * long, SEED)


@pytest.fixture(params=["collectors", "old producers"])
def messages(request, some, topic):
    """As three collectors publish them, some twice; or with seven fields, without a key, round and round."""
    made = (hits.from_collectors(some, topic.partitions, SEED) if request.param == "collectors"
            else hits.from_old_producers(some, topic.partitions))
    return list(made)


def check(database, topic, some):
    database.wait_stored(topic)
    oracle.check(database, some)


def test_one_aggregator(programs, topic, database, some, messages):
    topic.produce(messages)
    programs.aggregator(topic, database)
    check(database, topic, some)
    oracle.wait_all_closed(database)
    oracle.check(database, some)
    assert database.value("SELECT count(*) FROM rejected_hits") == 0


def test_three_aggregators(programs, topic, database, some, messages):
    three = [programs.aggregator(topic, database) for _ in range(3)]
    database.wait_shared(topic, 3)
    topic.produce(messages)
    check(database, topic, some)
    assert all(each.metrics()["footfall_hits_total"] > 0 for each in three)


def test_ended_and_started_in_the_middle(programs, topic, database, some, messages):
    topic.produce(messages)
    aggregator = programs.aggregator(topic, database, failpoint="before_commit:6:stop", env=SMALL_BATCHES)
    aggregator.wait_stopped()
    assert 0 < database.value("SELECT count(*) FROM processed_events") < len(some)
    aggregator.stop_well()  # a transaction is under way
    aggregator.start_again()
    check(database, topic, some)


def test_members_come_and_go(programs, topic, database, some, messages):
    first = programs.aggregator(topic, database)
    database.wait_shared(topic, 1)
    half = len(messages) // 2
    topic.produce(messages[:half])
    second = programs.aggregator(topic, database)
    database.wait_shared(topic, 2)
    topic.produce(messages[half:])
    first.stop_well()
    third = programs.aggregator(topic, database)
    second.kill()
    wait_until(lambda: third.metrics()["footfall_partitions_held"] == topic.partitions, "the third holds all")
    check(database, topic, some)


def is_stored(database, topic):
    positions = database.positions(topic)
    return all(positions.get(partition, -2) >= end for partition, (first, end) in enumerate(topic.watermarks()) if end > first)


def test_members_join_and_leave_every_two_seconds(programs, topic, database, long, seed):
    """Under load, until all is stored: so there is progress though the group never comes to rest."""
    rng = random.Random(seed)
    some = hits.make(10_000 * long, SEED)
    messages = list(hits.from_collectors(some, topic.partitions, SEED))
    step = len(messages) // (CHANGES * long)

    def join():
        members.append(programs.aggregator(topic, database, ready=False, rdkafka__session__timeout__ms="2000",
                                           rdkafka__heartbeat__interval__ms="500"))

    members, changes = [], 0
    join()
    while not is_stored(database, topic) or topic.count() < len(messages):
        topic.produce(messages[changes * step:(changes + 1) * step])
        changes += 1
        assert changes < MOST_CHANGES * long, f"{database.positions(topic)} of {topic.watermarks()}"
        time.sleep(CHANGE_S)
        if len(members) == 1 or len(members) < 4 and rng.random() < 0.6:
            join()
        else:
            leaving = members.pop(rng.randrange(len(members)))
            rng.choice((leaving.kill, leaving.stop_well))()
    check(database, topic, some)


def test_late_hits_amend_sessions_that_are_stored(programs, topic, database):
    """Every second hit comes when all sessions of the first ones are closed."""
    some = sorted(hits.make(20_000, SEED))
    early, late = some[::2], some[1::2]
    programs.aggregator(topic, database)
    topic.produce(hits.from_collectors(early, topic.partitions, 1))
    database.wait_stored(topic)
    oracle.wait_all_closed(database)
    oracle.check(database, early)
    topic.produce(hits.from_collectors(late, topic.partitions, 2))
    check(database, topic, some)
    oracle.wait_all_closed(database)
    oracle.check(database, some)
