# SPDX-License-Identifier: Apache-2.0
"""A run of an aggregator over all that is on the topic, on a database of its own."""
import collections
import contextlib
import time

from servers import Program, free_ports, wait_until

import psycopg2

# hits/s from the first stored hit on; CPU seconds of the aggregator and of Postgres a million hits; bytes of WAL a hit
Run = collections.namedtuple("Run", "speed ours theirs wal")
BEGIN_S = 600


@contextlib.contextmanager
def cursor_of(pipe, name):
    connection = psycopg2.connect(pipe.postgres.conninfo(name))
    connection.autocommit = True
    try:
        yield connection.cursor()
    finally:
        connection.close()


def wal_bytes(pipe):
    """Written so far."""
    return int(pipe.postgres.ask("SELECT pg_current_wal_insert_lsn() - '0/0'", "postgres"))


def start(pipe, tools, name, settings=None):
    """An aggregator that reads the topic from its beginning into the new database `name`."""
    pipe.postgres.create_database(name)
    return Program(pipe.folder / name, tools.binary, {
        "kafka.brokers": pipe.kafka.brokers, "postgres.conninfo": pipe.postgres.conninfo(name), "events.max_age": "90d",
        **(settings or {})}, free_ports(1)[0], name=name)


def stored(cursor):
    cursor.execute("SELECT to_regclass('footfall.partitions')")
    if cursor.fetchone()[0] is None:
        return 0
    cursor.execute("SELECT coalesce(sum(next_offset), 0) FROM footfall.partitions WHERE next_offset > 0")
    return int(cursor.fetchone()[0])


def run(pipe, tools, name, count, settings=None):
    aggregator = start(pipe, tools, name, settings)
    with cursor_of(pipe, name) as cursor:
        before, wal = tools.spent_by_postgres(), wal_bytes(pipe)
        aggregator.start(wait=False)
        wait_until(lambda: stored(cursor) > 0, "the first hits", BEGIN_S, every_s=0.01)
        begin, first = time.monotonic(), stored(cursor)
        wait_until(lambda: stored(cursor) == count, f"{count} hits stored", BEGIN_S, every_s=0.02)
        wall, cpu = time.monotonic() - begin, tools.cpu_seconds([aggregator.pid])
        theirs, wal = tools.spent_by_postgres() - before, wal_bytes(pipe) - wal
    aggregator.stop()
    return Run((count - first) / wall, cpu * 1e6 / count, theirs * 1e6 / count, wal / count)
