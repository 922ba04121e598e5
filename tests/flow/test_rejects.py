# SPDX-License-Identifier: Apache-2.0
"""Rejects are put through the checks again while an aggregator runs: what is good now is stored once, whoever dies meanwhile."""
import json
import signal

import pytest

from bench import hits, oracle
from bench.topics import Message

SEED = 23
MOMENTS = ["after_fence_check", "inside_copy", "before_commit", "after_commit"]


@pytest.fixture
def some():
    return hits.make(3000, SEED)


@pytest.fixture
def rejected(programs, topic, database, some):
    """Most hits were rejected by a setting that was too narrow; a few records are no hits and never will be."""
    messages = list(hits.from_collectors(some, topic.partitions, SEED))
    topic.produce([*messages, *(Message(each, b"bad", b"no hit") for each in range(5))])
    narrow = programs.aggregator(topic, database, events__max_age="24h")
    database.wait_stored(topic)
    narrow.stop_well()
    assert count(database) > 1000
    return programs.aggregator(topic, database)


def count(database):
    return database.value("SELECT count(*) FROM rejected_hits")


def check(database, topic, some):
    oracle.check(database, some)
    assert database.rows("SELECT kafka_partition FROM rejected_hits ORDER BY 1") == [(each,) for each in range(5)]
    assert database.value("SELECT count(*) FROM footfall.received, unnest(ranges) AS one WHERE topic = %s", topic.name) == (
        database.value("SELECT count(*) FROM footfall.received WHERE topic = %s", topic.name)), "one interval a stream"


def test_what_is_good_now_is_stored(rejected, topic, database, some):
    before = count(database)
    status, said, _ = rejected.command("retry-rejects")
    assert status == 0 and said.startswith(f"{before} rejects of topic {topic.name} were tried:") and said.endswith(" 5 stay\n")
    check(database, topic, some)
    more = hits.make(3000, SEED + 1)
    topic.produce(hits.from_collectors(more, topic.partitions, SEED + 1))
    database.wait_stored(topic)  # whoever was fenced has its partitions again
    check(database, topic, some + more)


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed(rejected, topic, database, some, moment):
    for life in range(1, 4):
        status, _, _ = rejected.command("retry-rejects", failpoint=f"{moment}:{2 * life}")
        assert status == -signal.SIGKILL
    status, said, _ = rejected.command("retry-rejects")
    assert status == 0 and said.endswith(" 5 stay\n")
    check(database, topic, some)


def test_rejects_of_any_kind_stay_as_they_are(programs, topic, database):
    topic.produce([Message(0, None, None), Message(0, None, b""), Message(1, None, b"\x00\xff"), Message(2, None, b"x" * 200_000),
                   Message(3, None, json.dumps({"url": "https://shop.example/"}).encode()),
                   Message(4, None, None, [("footfall-control", b"nonsense")])])
    aggregator = programs.aggregator(topic, database)
    database.wait_stored(topic)
    rows = "SELECT ctid::text, rejected_at, reason, md5(raw) FROM rejected_hits ORDER BY kafka_partition, kafka_offset"
    before = database.rows(rows)
    assert len(before) == 6
    status, said, _ = aggregator.command("retry-rejects")
    assert status == 0 and said == f"6 rejects of topic {topic.name} were tried: 0 are hits now, 0 were stored before, 6 stay\n"
    assert database.rows(rows) == before


def test_ended_streams_are_forgotten(programs, topic, database):
    collector = programs.collector(topic)
    for number in range(50):
        assert collector.post(json.dumps({"url": f"https://shop.example/{number}"}),
                              X_Forwarded_For=f"81.2.69.{number}")[0] == 204
    aggregator = programs.aggregator(topic, database)
    database.wait_rows(50)
    [(stream,)] = database.rows("SELECT stream FROM footfall.streams LIMIT 1")
    status, _, said = aggregator.command("forget-stream", stream)
    assert status != 0 and "has not ended" in said
    collector.stop_well()
    database.wait(lambda: database.value("SELECT count(*) FROM footfall.streams WHERE missing IS NULL"), lambda now: now == 0,
                  "all have ended")
    assert aggregator.command("forget-stream")[1].startswith("0 streams"), "they are young"
    assert aggregator.command("forget-stream", stream) == (0, f"1 streams of topic {topic.name} were forgotten\n", "")
    database.execute("UPDATE footfall.audit SET ended_at = ended_at - interval '31 days'")
    assert aggregator.command("forget-stream")[0] == 0
    assert database.value("SELECT count(*) FROM footfall.streams") == 0
