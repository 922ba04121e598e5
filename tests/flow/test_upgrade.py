# SPDX-License-Identifier: Apache-2.0
"""The schema of the next version comes while hits flow, and then its programs, one after the other."""
import subprocess

import psycopg2
import pytest

from bench import promises
from bench.footfall import BUILD
from servers import wait_until

RATE = 200  # hits a second
RETRIES = 'footfall_batch_failures_total{outcome="retry"}'
NEXT = "footfall-aggregator-next"  # the same program with one migration more


@pytest.fixture
def reader(database):
    """Somebody whose transaction stays open."""
    reader = psycopg2.connect(database.conninfo)
    yield reader
    reader.close()


@pytest.fixture
def migration(database, own_folder):
    """migration(): `migrate` of the next version, started; its output is in migration.said()."""
    log = own_folder / "migrate.log"
    started = []

    def start():
        with open(log, "wb") as out:
            started.append(subprocess.Popen([BUILD / "bin" / NEXT, "--set", f"postgres.conninfo={database.conninfo}", "migrate"],
                                            stdout=out, stderr=out))
        return started[0]

    start.said = log.read_text
    yield start
    for each in started:
        each.kill()
        each.wait()


def test_the_schema_migrated_while_hits_flow(programs, topic, database, load, reader, migration):
    """Behind somebody who reads for long: neither he nor the hits are disturbed, and it is done when he has finished."""
    visitors = load(programs.collector(topic), rate=RATE)
    older = programs.aggregator(topic, database)
    visitors.wait_taken(RATE)
    database.wait_rows(visitors.count())
    reader.cursor().execute("SELECT count(*) FROM processed_events")
    process = migration()
    wait_until(lambda: "it is tried again" in migration.said(), "the migration cannot have its lock")
    assert "9001_next" in migration.said() and "pg_stat_activity says who" in migration.said()
    visitors.wait_taken(RATE)
    database.wait_rows(visitors.count())
    assert process.poll() is None
    reader.rollback()
    assert process.wait(60) == 0 and "to 9001" in migration.said()

    visitors.wait_taken(RATE)
    database.wait_rows(visitors.count())  # by the older one, on the newer tables
    assert older.metrics()[RETRIES] == 0, "it was not disturbed"
    older.stop_well()
    older.start_again()  # before its turn
    newer = programs.aggregator(topic, database, program=NEXT)
    database.wait_shared(topic, 2)
    visitors.wait_taken(RATE)
    older.stop_well()
    visitors.wait_taken(RATE)
    visitors.stop()
    promises.check_stored(topic, database, visitors)
    assert newer.metrics()[RETRIES] == 0
