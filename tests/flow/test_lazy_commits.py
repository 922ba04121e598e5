# SPDX-License-Identifier: Apache-2.0
"""`postgres.synchronous_commit = off`: crashes of the server take commits back, rows vanish and come again, and the tables end
as if nothing had been."""
import os
import signal

import pytest

from bench import hits, oracle
from bench.database import Database
from servers import Postgres, wait_until

SEED = 41
CRASHES = 4


@pytest.fixture
def forgetful(own_folder):
    """A server that writes its log seldom."""
    server = Postgres(own_folder / "postgres", settings=["fsync=off", "full_page_writes=off", "wal_writer_delay=10s"]).start()
    yield server
    server.stop(signal.SIGQUIT)


def stop_writing(database):
    """What writes the log of commits that nobody waits for stands still from now on; its process id."""
    writer = database.value("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'")
    os.kill(writer, signal.SIGSTOP)
    return writer


def crash(postgres, database, writer):
    database.close()
    postgres.send_signal(signal.SIGQUIT)  # immediate: what is not written is gone
    os.kill(writer, signal.SIGKILL)
    postgres.process.wait()
    postgres.start()


def test_crashes_take_commits_back_and_nothing_is_wrong(programs, topic, forgetful, long):
    some = hits.make(60_000 * long, SEED)
    database = Database(forgetful, "footfall").create()
    aggregator = programs.aggregator(topic, database, postgres__synchronous_commit="off")
    messages = list(hits.from_collectors(some, topic.partitions, SEED))
    crashes = CRASHES * long
    step = len(messages) // (crashes + 1)
    taken_back = 0
    for number in range(crashes):
        writer = stop_writing(database)
        stood = database.positions(topic)
        topic.produce(messages[number * step:(number + 1) * step])
        wait_until(lambda: database.positions(topic) != stood, "some of it stored")
        with aggregator.paused():
            seen = database.positions(topic)
            crash(forgetful, database, writer)
            left = database.positions(topic)
        taken_back += sum(seen[each] > left[each] for each in seen)
    topic.produce(messages[crashes * step:])
    database.wait_stored(topic)
    oracle.check(database, some)
    assert taken_back > 0, "no commit was lost: this has shown nothing"
    database.close()
