# SPDX-License-Identifier: Apache-2.0
"""`retention.days`: what is too old goes while hits flow, also what comes late for days that are gone; rollups stay."""
import collections
import datetime
import threading

import psycopg2

from bench import hits, oracle
from servers import wait_until

SEED = 53
OFTEN = {"FOOTFALL_FAILPOINT_NUMBERS": "retention_every_ms=1500,retention_retry_ms=500"}
DAYS = 30
TOO_OLD_MS = (DAYS + 2) * 24 * 3_600_000  # also if midnight comes meanwhile
PATIENCE_S = 5  # a hundred times what anybody may wait behind a day that is to be dropped


class Waits:
    """How long, at worst, somebody has waited for a lock on a whole table or a day of it."""

    def __init__(self, database):
        self.longest = 0.0
        self.is_over = threading.Event()
        self.connection = psycopg2.connect(database.conninfo)
        self.connection.autocommit = True
        self.thread = threading.Thread(target=self.look)

    def look(self):
        with self.connection.cursor() as cursor:
            while not self.is_over.wait(0.05):
                cursor.execute("SELECT coalesce(max(extract(epoch FROM clock_timestamp() - waitstart)), 0)::float8"
                               "  FROM pg_locks WHERE NOT granted AND locktype = 'relation'")
                self.longest = max(self.longest, cursor.fetchone()[0])

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()
        self.connection.close()


def by_hour(some):
    count = collections.Counter((hit.ts // 3_600_000 * 3600, hit.host) for hit in some)
    return sorted((datetime.datetime.fromtimestamp(hour, datetime.timezone.utc).replace(tzinfo=None), host, number)
                  for (hour, host), number in count.items())


def stored_by_hour(database):
    return [(hour, host, int(number)) for hour, host, number in database.rows(
        'SELECT hour, host, sum(hits) FROM traffic_by_hour GROUP BY hour, host ORDER BY hour, host COLLATE "C"')]


def old_days(database):
    return database.value("SELECT count(*) FROM footfall.days WHERE day < (now() AT TIME ZONE 'UTC')::date - %s", DAYS)


def left(database):
    """What is too old."""
    return database.rows("SELECT (SELECT count(*) FROM processed_events WHERE event_timestamp < now() - interval '31 days'),"
                         " (SELECT count(*) FROM oracle.stored_sessions WHERE end_session < now() - interval '31 days')")[0]


def total(three, name):
    return sum(each.metrics()[name] for each in three)


def test_old_days_go_while_hits_flow(programs, topic, database, long):
    few, many = 600 * long, 15_000 * long
    old = hits.make(3 * few, SEED, until=hits.now_ms() - TOO_OLD_MS)
    fresh = hits.make(2 * many, SEED + 1)
    three = [programs.aggregator(topic, database, env=OFTEN, retention__days=DAYS) for _ in range(3)]
    database.wait_shared(topic, 3)
    oracle.check(database, [])
    deadlocks = database.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")

    def produce(some, number):
        topic.produce(hits.from_collectors(some, topic.partitions, SEED + number))

    def wait_gone():
        database.wait(lambda: left(database), lambda now: now == (0, 0), "what is too old has gone")

    produce(old[:few] + fresh[:many], 1)
    database.wait_stored(topic)
    wait_gone()
    oracle.check_hits(database, fresh[:many])
    assert stored_by_hour(database) == by_hour(old[:few] + fresh[:many])

    # Late, for days that are gone: stored, counted, and gone again.
    dropped = total(three, "footfall_retention_tables_dropped_total")
    assert dropped > 0
    produce(old[few:2 * few], 2)
    database.wait_stored(topic)
    wait_gone()
    assert total(three, "footfall_retention_tables_dropped_total") > dropped
    assert stored_by_hour(database) == by_hour(old[:2 * few] + fresh[:many])

    # Somebody reads for long: nothing goes, and hits do not wait behind what is to go.
    with psycopg2.connect(database.conninfo) as reader, Waits(database) as waits:
        reader.cursor().execute("SELECT count(*) FROM processed_events")
        failures = total(three, "footfall_retention_failures_total")
        produce(old[2 * few:] + fresh[many:], 3)
        database.wait_stored(topic)
        wait_until(lambda: total(three, "footfall_retention_failures_total") > failures + 3, "days cannot go")
        assert old_days(database) > 0
        assert left(database)[0] == few
    assert waits.longest < PATIENCE_S
    assert any("event=day_stays" in each.log_text() for each in three)
    wait_gone()
    wait_until(lambda: all(each.metrics()["footfall_retention_tables_due"] == 0 for each in three), "nothing is due")
    reader.close()

    oracle.check_hits(database, fresh)
    assert database.value("SELECT footfall.recount_rollups('-infinity', 'infinity')") == 0
    assert stored_by_hour(database) == by_hour(old + fresh)
    database.execute("SELECT pg_stat_clear_snapshot()")
    assert database.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == deadlocks
