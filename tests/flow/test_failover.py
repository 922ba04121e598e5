# SPDX-License-Identifier: Apache-2.0
"""A Postgres that has forgotten its last commits goes on in place of the one that had them: Kafka still has what is missing, and
the tables are right again."""
import json
import signal

import pytest

from bench import hits, oracle, promises
from bench.database import Database
from bench.halts import named_command, start_again, wait_halted
from bench.standby import FAST, Backup, Standby
from servers import Postgres, wait_until

SEED = 23
RATE = 200  # hits a second


@pytest.fixture
def primary(own_folder):
    primary = Postgres(own_folder / "primary", settings=FAST).start()
    primary.create_database()
    yield primary
    primary.stop(signal.SIGQUIT)


@pytest.fixture
def database(primary):
    database = Database(primary, "footfall")
    yield database
    database.close()


@pytest.fixture
def standby(primary, own_folder):
    standby = Standby(primary, own_folder / "standby").start()
    yield standby
    standby.stop(signal.SIGQUIT)


def url_of(message):
    return json.loads(message.value)["url"]


def owners(database, topic):
    return dict(database.rows("SELECT partition, owner FROM footfall.partitions WHERE topic = %s", topic.name))


def test_a_standby_promoted_after_losing_commits(programs, topic, database, primary, standby, load):
    """And claims: of each partition it knows an owner who is none any more."""
    conninfo = standby.conninfo_of_both()
    settings = {"postgres__conninfo": conninfo.replace(" target_session_attrs=read-write", "")}
    visitors = load(programs.collector(topic), rate=RATE)
    programs.aggregator(topic, database, **settings)
    database.wait_shared(topic, 1)
    reader = Database(standby, "footfall")
    reader.wait(lambda: reader.positions(topic), lambda now: any(each > 0 for each in now.values()), "the standby follows")
    standby.cut_off()
    kept, known = reader.positions(topic), owners(reader, topic)
    reader.close()

    programs.aggregator(topic, database, **settings)
    database.wait_shared(topic, 2)
    visitors.wait_taken(RATE)
    database.wait(lambda: database.positions(topic), lambda now: sum(now.values()) > sum(kept.values()) + RATE, "commits to lose")
    now = owners(database, topic)
    assert not set(known.values()) & set(now.values()), "claims to lose"
    primary.stop(signal.SIGQUIT)
    standby.promote()

    promoted = Database(standby, "footfall")
    visitors.wait_taken(RATE)
    visitors.stop()
    promises.check_stored(topic, promoted, visitors)
    promoted.wait_shared(topic, 2)
    promoted.close()


@pytest.fixture
def some():
    """In the order of their times, each day with user agents of its own: the second half needs days and user agents that a copy
    made after the first does not have."""
    return [hit._replace(agent=f"{hit.agent} {hit.ts // 86_400_000}") for hit in sorted(hits.make(8000, SEED))]


def test_a_restored_backup(programs, topic, database, primary, some):
    """It lacks what was stored since; the aggregator runs all the time."""
    messages = list(hits.from_collectors(some, topic.partitions, SEED))
    programs.aggregator(topic, database)
    topic.produce(messages[:4000])
    database.wait_stored(topic)
    backup = Backup(primary)
    stored = database.value("SELECT count(*) FROM processed_events")
    topic.produce(messages[4000:])
    database.wait_stored(topic)
    assert stored < database.value("SELECT count(*) FROM processed_events")
    database.close()
    backup.put_in_place()
    database.wait_stored(topic)
    oracle.check(database, some)


def test_a_restored_backup_that_is_older_than_the_log(programs, topic, database, primary, some):
    """What Kafka does not have any more is lost; the partition halts, and says exactly what that was."""
    messages = list(hits.from_collectors(some, topic.partitions, SEED, repeated=0))
    aggregator = programs.aggregator(topic, database)
    topic.produce(messages[:4000])
    database.wait_stored(topic)
    stood_at = database.positions(topic)[3]
    backup = Backup(primary)
    topic.produce(messages[4000:])
    database.wait_stored(topic)
    first_kept = database.positions(topic)[3] - 1
    lost = {url_of(each) for each in topic.read() if each.partition == 3 and stood_at <= each.offset < first_kept}
    aggregator.stop_well()
    topic.delete_before({3: first_kept})
    database.close()
    backup.put_in_place()
    start_again(aggregator)
    wait_halted(aggregator)
    assert f"{len(lost)} records are gone that were not stored, offsets {stood_at} to {first_kept - 1}" in aggregator.log_text()
    command = named_command(aggregator, 3)
    assert command == ["resume", "3", "--accept-loss"]
    assert aggregator.command(*command)[0] == 0
    wait_halted(aggregator, 0)
    database.wait_stored(topic)
    oracle.check(database, [hit for hit in some if hit.url not in lost])


def test_a_primary_that_only_reads(programs, topic, database, primary, some):
    """As one that somebody is about to replace: sessions that were open meet SQLSTATE 25006, new ones are not wanted."""
    aggregator = programs.aggregator(topic, database)
    database.wait_shared(topic, 1)
    primary.ask("ALTER SYSTEM SET default_transaction_read_only = on")
    primary.ask("SELECT pg_reload_conf()")
    topic.produce(hits.from_collectors(some, topic.partitions, SEED))
    wait_until(lambda: aggregator.metrics()['footfall_batch_failures_total{outcome="retry"}'] >= 3, "it looks for another primary")
    assert "read-only transaction" in aggregator.log_text() and not aggregator.is_ready()
    assert database.value("SELECT count(*) FROM processed_events") == 0
    primary.ask("ALTER SYSTEM RESET default_transaction_read_only")
    primary.ask("SELECT pg_reload_conf()")
    database.wait_stored(topic)
    oracle.check(database, some)


def test_a_synchronous_standby_that_is_away(programs, topic, database, primary, some):
    """COMMITs hang, and hold the locks of their rows; what was done by them is seen when they are let go."""
    aggregator = programs.aggregator(topic, database)
    database.wait_shared(topic, 1)
    primary.ask("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    primary.ask("SELECT pg_reload_conf()")
    topic.produce(hits.from_collectors(some, topic.partitions, SEED))
    wait_until(lambda: "commit: Postgres did not answer in time" in aggregator.log_text(), "a COMMIT hangs")
    wait_until(lambda: "holder_ended" in aggregator.log_text(), "who hangs is ended")
    primary.ask("ALTER SYSTEM RESET synchronous_standby_names")
    primary.ask("SELECT pg_reload_conf()")
    database.wait_stored(topic)
    oracle.check(database, some)
