# SPDX-License-Identifier: Apache-2.0
"""The collector's process dies, at any moment: what was answered 2xx is one row, nothing is two rows."""
import random
import time

import pytest

from bench.load import Load
from bench.published import Published
from servers import wait_until

ROUNDS = 3


def check_all(programs, topic, database, load, may_lose=False):
    """What the collectors, all ended, have left on the topic, and what an aggregator makes of it."""
    published = Published(topic)
    load.check(published.ids(), may_lose)
    assert not published.holes(), "numbers that neither came nor were said to be lost"
    programs.aggregator(topic, database)
    database.wait_stored(topic)
    load.check([str(row[0]) for row in database.rows("SELECT hit_id FROM processed_events")], may_lose)


@pytest.mark.parametrize("ack", ["memory", "kafka"])
def test_killed_at_random_moments_under_load(programs, topic, database, seed, long, ack):
    rng = random.Random(seed)
    collector = programs.collector(topic, journal__ack=ack)
    load = Load(collector.port, seed)
    with load.running():
        for life in range(ROUNDS * long):
            load.chapter = f"life {life}"
            before = load.count()
            wait_until(lambda: load.count() > before, "hits are taken")
            time.sleep(rng.random())
            collector.kill()
            collector.start_again()
    collector.stop_well()
    check_all(programs, topic, database, load, may_lose=ack == "memory")
