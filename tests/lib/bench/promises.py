# SPDX-License-Identifier: Apache-2.0
"""What the README promises, asked at the end of a test: what was answered 2xx is one row, nothing is two, and of every number
that a collector gave it is known where it is."""
from bench.published import Published


def check(programs, topic, database, load, may_lose=False):
    """Lets an aggregator read all that collectors have left. may_lose: what was taken may be missing."""
    programs.aggregator(topic, database)
    return check_stored(topic, database, load, may_lose)


def check_stored(topic, database, load, may_lose=False):
    """The same, where an aggregator runs."""
    database.wait_stored(topic)
    published = Published(topic)
    load.check(published.ids(), may_lose)
    if may_lose:
        load.check([name for name, in database.rows("SELECT hit_id::text FROM processed_events")], may_lose)
    else:
        load.check_rows(database)
        assert not published.holes(), "numbers that neither came nor were said to be lost"
        assert database.value("SELECT coalesce(sum(missing), 0) FROM footfall.streams") == 0, "holes in the audit"
    return published
