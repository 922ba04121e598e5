# SPDX-License-Identifier: Apache-2.0
"""The tables that the old PyFlink jobs wrote, and ours, of the same messages: on ordered input they are the same."""
import collections

from bench import hits, oracle
from bench.old_job import OldJobs
from conftest import TOP

COUNT = 15_000
LONDON = "GB", "England", "London"
OLD_EVENTS = "SELECT ip, event_timestamp, referrer, host, url, geodata FROM processed_events"
OLD_SESSIONS = "SELECT start_session, end_session, ip, host, web_events FROM session_events_aggregated_ip"


def place_of(ip):
    """As tests/data/mmdb/world.mmdb has it."""
    return LONDON if ip.startswith("81.2.") else None


def assert_same_rows(what, ours, theirs):
    ours, theirs = collections.Counter(ours), collections.Counter(theirs)
    missing, excess = theirs - ours, ours - theirs
    assert not missing and not excess, (f"{what}: {missing.total()} rows of the old job are missing, as {list(missing)[:3]};"
                                        f" {excess.total()} are ours alone, as {list(excess)[:3]}")


def test_ordered_input_gives_the_rows_of_the_old_jobs(programs, topic, database, seed, long):
    some = sorted(hits.make(COUNT * long, seed), key=lambda hit: hit.ts)
    topic.produce(hits.from_old_producers(some, topic.partitions))
    programs.aggregator(topic, database, geo__databases=TOP / "tests/data/mmdb/world.mmdb")
    old = OldJobs(place_of).run(some)
    assert old.dropped == 0 and len(old.sessions) > COUNT / 10
    database.wait_stored(topic)
    oracle.wait_all_closed(database)
    assert_same_rows("processed_events", database.rows(OLD_EVENTS), old.events)
    assert_same_rows("session_events_aggregated_ip", database.rows(OLD_SESSIONS), old.sessions)
