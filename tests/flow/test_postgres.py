# SPDX-License-Identifier: Apache-2.0
"""Postgres ends connections, is locked, slow or full, or refuses a batch for the sake of others: batches are tried again, ever more
rarely, who is behind can be seen, no aggregator leaves the group, and the tables end as they must."""
import contextlib
import os
import random
import signal
import time

import psycopg2
import pytest

from bench import hits, oracle
from bench.strace import Strace
from servers import wait_until

SEED = 41
CHUNKS = 12
ENDINGS = 12
PAUSES, PAUSE_S = 3, 1
ATTEMPTS = 10
BACKED_OFF_S = 2.3  # what that many take at least: 0.1 s, then a quarter longer each time, give or take a tenth


@pytest.fixture(scope="module")
def some(long):
    return hits.make(6000 * long, SEED)


@pytest.fixture
def chunks(topic, some):
    """Of messages, for the topic; all but the first come under the fault."""
    messages = list(hits.from_collectors(some, topic.partitions, SEED))
    size = -(-len(messages) // CHUNKS)
    return [messages[at:at + size] for at in range(0, len(messages), size)]


@contextlib.contextmanager
def nobody_leaves(*aggregators):
    """The group assigns what it has assigned before, and takes nothing."""
    def read():
        return [(each.metrics()["footfall_assignments_total"], each.metrics()["footfall_revocations_total"]) for each in aggregators]
    before = read()
    yield
    assert read() == before


def retries(aggregator):
    return aggregator.metrics()['footfall_batch_failures_total{outcome="retry"}']


@contextlib.contextmanager
def second_session(database):
    """In a transaction of its own."""
    connection = psycopg2.connect(database.conninfo)
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def test_connections_are_ended_at_random(programs, topic, database, some, chunks, seed, long):
    rng = random.Random(seed)
    two = [programs.aggregator(topic, database) for _ in range(2)]
    database.wait_shared(topic, 2)
    with nobody_leaves(*two):
        for number in range(ENDINGS * long):
            topic.produce(chunks[number] if number < len(chunks) else [])
            time.sleep(rng.uniform(0, 0.2))
            backends = database.rows("SELECT pid FROM pg_stat_activity"
                                     " WHERE datname = current_database() AND application_name = 'footfall-aggregator'")
            if backends:
                database.execute("SELECT pg_terminate_backend(%s)", rng.choice(backends)[0])
        database.wait_stored(topic)
        assert sum(retries(each) for each in two) > 0
    oracle.check(database, some)


def wait_for_what_is_documented(aggregator, attempts=2):
    """Batches fail, again and again: it is not ready, alive, and says how far it is behind."""
    wait_until(lambda: retries(aggregator) >= attempts, f"{attempts} attempts")
    wait_until(lambda: aggregator.metrics()["footfall_lag_messages"] > 0, "it is seen to be behind")
    assert aggregator.metrics()["footfall_postgres_up"] == 0
    status, reason = aggregator.fetch("/readyz")
    assert status == 503 and "waiting for Postgres" in reason
    assert aggregator.fetch("/healthz")[0] == 200


def check_well(aggregator, database, topic, some):
    database.wait_stored(topic)
    oracle.check(database, some)
    wait_until(aggregator.is_ready, "ready again")
    wait_until(lambda: aggregator.metrics()["footfall_lag_messages"] == 0, "nothing waits")


def test_a_table_is_locked_and_claims_do_not_end_the_back_off(programs, topic, database, some, chunks):
    """By somebody who changes it, where nobody may wait long for a lock. Claims succeed all the time; that does not make the next
    attempt come sooner."""
    database.execute(f"ALTER DATABASE {database.name} SET lock_timeout = '100ms'")
    aggregator = programs.aggregator(topic, database)
    topic.produce(chunks[0])
    database.wait_stored(topic)
    with nobody_leaves(aggregator):
        with second_session(database) as session:
            session.execute("LOCK TABLE processed_events IN ACCESS EXCLUSIVE MODE")
            begun = time.monotonic()
            for chunk in chunks[1:]:
                topic.produce(chunk)
            wait_for_what_is_documented(aggregator, ATTEMPTS)
            assert time.monotonic() - begun > BACKED_OFF_S
        assert "canceling statement due to lock timeout" in aggregator.log_text()
        check_well(aggregator, database, topic, some)


def test_the_disk_is_full(programs, topic, database, postgres, some, chunks):
    """No table of hits or sessions can grow; all else can be written."""
    aggregator = programs.aggregator(topic, database)
    topic.produce(chunks[0])
    database.wait_stored(topic)
    backend, = set(database.holders(topic).values())
    files = [postgres.data / path for path, in database.rows(
        "SELECT pg_relation_filepath(oid) FROM pg_class WHERE relkind IN ('r', 'i') AND relname LIKE ANY (ARRAY"
        " ['processed_events%', 'session_events%'])")]
    full = [f"{call}:error=ENOSPC" for call in ("pwrite64", "pwritev", "fallocate")]
    with nobody_leaves(aggregator):
        with Strace(postgres, files, full, thread=backend):
            for chunk in chunks[1:]:
                topic.produce(chunk)
            wait_for_what_is_documented(aggregator)
        assert "No space left on device" in aggregator.log_text()
        assert set(database.holders(topic).values()) == {backend}, "the connection was good all the time"
        check_well(aggregator, database, topic, some)


def test_backends_stand_still_for_a_second(programs, topic, database, some, chunks):
    two = [programs.aggregator(topic, database) for _ in range(2)]
    database.wait_shared(topic, 2)
    topic.produce(chunks[0])
    with nobody_leaves(*two):
        for number in range(PAUSES):
            backends = set(database.holders(topic).values())
            for backend in backends:
                os.kill(backend, signal.SIGSTOP)
            stopped_at = database.positions(topic)
            try:
                for chunk in chunks[1 + number::PAUSES]:
                    topic.produce(chunk)
                time.sleep(PAUSE_S)
                wait_until(lambda: all(each.metrics()["footfall_lag_messages"] > 0 for each in two), "they are seen to be behind")
                assert database.positions(topic) == stopped_at
            finally:
                for backend in backends:
                    os.kill(backend, signal.SIGCONT)
            database.wait_stored(topic)
    oracle.check(database, some)


def is_waiting_for_a_lock(database):
    return database.value("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                          "   AND application_name = 'footfall-aggregator' AND wait_event_type = 'Lock'") > 0


HOLD = "UPDATE footfall.received SET ranges = ranges"  # each batch locks its partitions first, then these rows
CLASHES = {
    "deadlock": ("deadlock_timeout = '2s'", "SELECT FROM footfall.partitions FOR UPDATE", "deadlock detected"),
    "serialization": ("default_transaction_isolation = 'repeatable read'", "COMMIT", "could not serialize access"),
}


@pytest.mark.parametrize("clash", CLASHES)
def test_a_batch_loses_against_another_session(programs, topic, database, some, chunks, clash):
    setting, step, message = CLASHES[clash]
    database.execute(f"ALTER DATABASE {database.name} SET {setting}")
    aggregator = programs.aggregator(topic, database)
    topic.produce(chunks[0])
    database.wait_stored(topic)
    with nobody_leaves(aggregator):
        while message not in aggregator.log_text():
            with second_session(database) as session:
                session.execute("SET deadlock_timeout = '1min'")  # so that it is not this one that gives way
                session.execute(HOLD)
                topic.produce(chunks.pop())
                wait_until(lambda: is_waiting_for_a_lock(database), "a batch waits")
                session.execute(step)
        for chunk in chunks[1:]:
            topic.produce(chunk)
        assert retries(aggregator) > 0
        check_well(aggregator, database, topic, some)
