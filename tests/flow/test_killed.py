# SPDX-License-Identifier: Apache-2.0
"""The aggregator killed or stopped at the worst moments: nothing is doubled, nothing is lost, nothing is stolen."""
import signal

import pytest

from bench import hits, oracle
from bench.footfall import SMALL_BATCHES
from servers import wait_until

SEED = 11
MOMENTS = ["after_fence_check:3", "inside_copy:40", "before_commit:3", "after_commit:3"]


@pytest.fixture(scope="module")
def some(long):
    return hits.make(40_000 * long, SEED)


@pytest.fixture
def filled(topic, some):
    topic.produce(hits.from_collectors(some, topic.partitions, SEED))
    return topic


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed(programs, filled, database, some, moment):
    aggregator = programs.aggregator(filled, database, failpoint=moment, env=SMALL_BATCHES)
    aggregator.wait_killed()
    assert database.value("SELECT count(*) FROM processed_events") < len(some)
    aggregator.start_again()
    database.wait_stored(filled)
    oracle.check(database, some)


def test_killed_again_and_again(programs, filled, database, some, long):
    """Each life ends a little later in a batch than the one before."""
    for life in range(6 * long):
        moment = MOMENTS[life % 4].split(":")[0]
        programs.aggregator(filled, database, failpoint=f"{moment}:{1 + life // 4}", env=SMALL_BATCHES).wait_killed()
    programs.aggregator(filled, database)
    database.wait_stored(filled)
    oracle.check(database, some)


def test_stale_aggregators_write_nothing_and_steal_nothing(programs, topic, database, some):
    """Four at once stand still in a batch, each at another moment, until the group has given all to a fifth; then they go on."""
    half = len(some) // 2
    messages = list(hits.from_collectors(some, topic.partitions, SEED, repeated=0))
    stale = [programs.aggregator(topic, database, failpoint=f"{moment}:stop", env=SMALL_BATCHES) for moment in MOMENTS]
    database.wait_shared(topic, len(stale))
    revocations = [each.metrics()["footfall_revocations_total"] for each in stale]
    topic.produce(messages[:half])
    for each in stale:
        each.wait_stopped()
    assert 0 < database.value("SELECT count(*) FROM processed_events") < half
    successor = programs.aggregator(topic, database, ready=False)
    database.wait_shared(topic, 1)
    database.wait_stored(topic)
    for each in stale:
        each.send_signal(signal.SIGCONT)
    for each, before in zip(stale, revocations):
        wait_until(lambda: each.metrics()["footfall_revocations_total"] > before, "it hears of its loss")
    oracle.check(database, some[:half])
    # They are no members any more, join again, and share what there is: all work, none is fenced off.
    database.wait_shared(topic, len(stale) + 1)
    assert sum(each.metrics()["footfall_hits_total"] for each in (*stale, successor)) == half
    topic.produce(messages[half:])
    database.wait_stored(topic)
    oracle.check(database, some)
    assert successor.metrics()["footfall_batch_failures_total{outcome=\"fenced\"}"] == 0
    assert "fenced" not in successor.log_text()


def test_stale_aggregators_that_are_still_members_meet_the_fence(programs, topic, database, some):
    """Two stop, one inside COPY, one after a COMMIT, and the partitions of both are claimed by another group, of which theirs
    knows nothing: when they go on only the fence is between them and the tables."""
    stale = [programs.aggregator(topic, database, failpoint=f"{moment}:stop", env=SMALL_BATCHES, rdkafka__session__timeout__ms="45000")
             for moment in ("inside_copy:40", "after_commit:3")]
    database.wait_shared(topic, len(stale))
    topic.produce(hits.from_collectors(some, topic.partitions, SEED))
    for each in stale:
        each.wait_stopped()
    programs.aggregator(topic, database, ready=False, kafka__group="another")
    database.wait_shared(topic, 1)
    database.wait_stored(topic)
    for each in stale:
        each.send_signal(signal.SIGCONT)
    wait_until(lambda: "event=postgres_retry" in stale[0].log_text(), "its connection was ended to free the rows")
    wait_until(lambda: "event=fenced" in stale[1].log_text(), "the rows are somebody else's")
    for each in stale:
        each.kill()  # else the groups would take turns
    oracle.check(database, some)


def test_a_stale_aggregator_gets_nothing_while_it_is_no_member(programs, topic, database, some):
    """Stopped from outside while it is idle, and again alive after its partitions went to another."""
    stale = programs.aggregator(topic, database)
    database.wait_shared(topic, 1)
    mine = set(database.holders(topic).values())
    stale.send_signal(signal.SIGSTOP)
    programs.aggregator(topic, database)
    database.wait(lambda: database.holders(topic), lambda now: not mine & set(now.values()) and len(now) == topic.partitions,
                  "all taken over")
    topic.produce(hits.from_collectors(some, topic.partitions, SEED))
    database.wait_stored(topic)
    stale.send_signal(signal.SIGCONT)
    wait_until(lambda: stale.metrics().get("footfall_revocations_total", 0) > 0, "it hears of its loss")
    oracle.check(database, some)


def test_postgres_restarted_under_load(programs, topic, database, postgres, some):
    aggregator = programs.aggregator(topic, database)
    messages = list(hits.from_collectors(some, topic.partitions, SEED))
    step = len(messages) // 5
    for number in range(4):
        topic.produce(messages[number * step:(number + 1) * step])
        postgres.stop(signal.SIGQUIT)  # immediate
        topic.produce(messages[number * step:number * step + step // 10])  # once more: all of it is there already
        postgres.start()
    topic.produce(messages[4 * step:])
    database.wait_stored(topic)
    oracle.check(database, some)
    assert aggregator.metrics()["footfall_assignments_total"] == 1, "it never left the group"


@pytest.mark.parametrize("moment", MOMENTS)
def test_postgres_restarted_in_a_transaction(programs, filled, database, postgres, some, moment):
    aggregator = programs.aggregator(filled, database, failpoint=f"{moment}:stop", env=SMALL_BATCHES)
    aggregator.wait_stopped()
    postgres.stop(signal.SIGQUIT)
    postgres.start()
    aggregator.send_signal(signal.SIGCONT)
    database.wait_stored(filled)
    oracle.check(database, some)


def test_kafka_restarted_under_load(programs, topic, database, kafka, some):
    programs.aggregator(topic, database)
    messages = list(hits.from_collectors(some, topic.partitions, SEED))
    half = len(messages) // 2
    topic.produce(messages[:half])
    kafka.kill()
    kafka.start()
    topic.produce(messages[half:])
    database.wait_stored(topic)
    oracle.check(database, some)
