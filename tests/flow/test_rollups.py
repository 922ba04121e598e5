# SPDX-License-Identifier: Apache-2.0
"""Rollups are what counting the hits gives, at any moment: while batches and folds run beside each other, and whatever dies."""
import pytest

from bench import hits, oracle
from servers import wait_until

SEED = 31
OFTEN = {"FOOTFALL_FAILPOINT_NUMBERS": "fold_every_ms=1"}  # with every tick
OFTEN_AND_SMALL = {"FOOTFALL_FAILPOINT_NUMBERS": "fold_every_ms=1,batch_messages=500"}  # batches, too
MOMENTS = ["inside_fold:2", "after_fold:2", "inside_copy:40", "before_commit:4", "after_commit:4"]


@pytest.fixture(scope="module")
def some(long):
    return hits.make(40_000 * long, SEED)


def waiting(database):
    return database.value("SELECT count(*) FROM footfall.rollup_sums")


def check_all_folded(database, some):
    """All is folded at last, which changes nothing."""
    database.wait(lambda: waiting(database), lambda now: now == 0, "all sums folded")
    oracle.check(database, some)
    assert database.value("SELECT sum(hits) FROM footfall.folded_traffic") == len(some)


def test_right_at_any_moment(programs, topic, database, some):
    """Looked at while three aggregators write and fold; none of them ever waits for another one or gives up."""
    three = [programs.aggregator(topic, database, env=OFTEN) for _ in range(3)]
    database.wait_shared(topic, 3)
    oracle.check(database, [])
    before = database.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    messages = list(hits.from_collectors(some, topic.partitions, SEED))
    looks = 0
    for at in range(0, len(messages), 4000):
        topic.produce(messages[at:at + 4000])
        for _ in range(5):
            oracle.check_rollups(database)
            looks += database.value("SELECT count(*) BETWEEN 1 AND %s FROM processed_events", len(some) - 1)
    database.wait_stored(topic)
    assert looks > 0, "never looked in the middle"
    check_all_folded(database, some)
    metrics = [each.metrics() for each in three]
    assert all(each["footfall_rollup_fold_failures_total"] == 0 for each in metrics)
    assert all(value == 0 for each in metrics for name, value in each.items() if name.startswith("footfall_batch_failures_total"))
    assert sum(each["footfall_rollup_sums_folded_total"] for each in metrics) == sum(
        each["footfall_rollup_sums_total"] for each in metrics) > 0
    database.execute("SELECT pg_stat_clear_snapshot()")
    assert database.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == before


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed(programs, topic, database, some, moment):
    """In a fold, before and after its commit; and in a batch, with folds between."""
    aggregator = programs.aggregator(topic, database, failpoint=moment, env=OFTEN_AND_SMALL)
    topic.produce(hits.from_collectors(some, topic.partitions, SEED))
    aggregator.wait_killed()
    aggregator.start_again()
    database.wait_stored(topic)
    check_all_folded(database, some)


def test_a_folder_that_stands_still_holds_nobody_up(programs, topic, database, some):
    """Stopped in the middle of its transaction; others write on, and one of them folds when Postgres has ended it."""
    stale = programs.aggregator(topic, database, failpoint="inside_fold:2:stop", env=OFTEN)
    half = len(some) // 2
    messages = list(hits.from_collectors(some, topic.partitions, SEED, repeated=0))
    topic.produce(messages[:half])
    stale.wait_stopped()
    successor = programs.aggregator(topic, database, env=OFTEN)
    topic.produce(messages[half:])
    database.wait_stored(topic)
    oracle.check(database, some)
    wait_until(lambda: successor.metrics()["footfall_rollup_sums_folded_total"] > 0, "the successor folds")
    check_all_folded(database, some)
    stale.kill()
