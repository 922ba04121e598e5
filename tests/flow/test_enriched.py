# SPDX-License-Identifier: Apache-2.0
"""`enriched.topic`, read by a plain consumer: every row of processed_events has its message there, whoever is killed and whatever
is away; a message that is there twice is the same hit."""
import collections
import datetime
import itertools
import json

import pytest

from bench import hits, oracle
from bench.footfall import SMALL_BATCHES
from bench.topics import Message, Topic
from conftest import TOP
from servers import wait_until

SEED = 31
MOMENTS = ["after_fence_check:2", "enriched_sent", "before_commit", "after_commit"]
FIELDS = ["ip", "event_timestamp", "referrer", "host", "url", "geodata"]
WORLD = TOP / "tests/data/mmdb/world.mmdb"


@pytest.fixture
def enriched(topic):
    """Of another number of partitions than the hits."""
    return Topic(topic.kafka, f"{topic.name}-enriched", partitions=5).create()


@pytest.fixture
def some(long):
    return hits.make(6000 * long, SEED)


def rows(database):
    """{place in the topic of hits: six columns}"""
    return {f"{partition}-{offset}".encode(): (ip, time.isoformat(" ", "milliseconds"), *texts)
            for partition, offset, ip, time, *texts in database.rows(
                f"SELECT kafka_partition, kafka_offset, {', '.join(FIELDS)} FROM processed_events")}


def check(database, enriched):
    """Returns how many messages are there more than once."""
    messages = enriched.read()
    stored = rows(database)
    assert {each.key: tuple(json.loads(each.value).values()) for each in messages} == stored
    assert all(list(json.loads(each.value)) == FIELDS for each in messages)
    assert len({(each.key, each.value) for each in messages}) == len(stored), "doubles are the same in every byte"
    homes = collections.defaultdict(set)
    for each in messages:
        value = json.loads(each.value)
        homes[value["host"], value["ip"]].add(each.partition)
    assert all(len(each) == 1 for each in homes.values()), "a visitor in one partition"
    return len(messages) - len(stored)


def check_order(enriched):
    """Of a visitor, the order in the topic of hits: that of the first of each."""
    last = {}
    seen = set()
    for each in enriched.read():
        if each.key in seen:
            continue
        seen.add(each.key)
        value = json.loads(each.value)
        partition, offset = map(int, each.key.split(b"-"))
        visitor = value["host"], value["ip"], partition
        assert last.get(visitor, -1) < offset
        last[visitor] = offset


def test_every_row_has_its_message_and_nothing_else_has(programs, topic, database, enriched):
    some = hits.make(3000, SEED)  # too few to halt a partition for its rejects
    messages = hits.from_collectors(some, topic.partitions, SEED)
    topic.produce([*messages, Message(0, b"bad", b"no hit"), Message(1, None, None, [("footfall-control", b"nonsense")])])
    narrow = programs.aggregator(topic, database, enriched__topic=enriched.name, geo__databases=WORLD, events__max_age="48h")
    database.wait_stored(topic)
    doubles = check(database, enriched)
    check_order(enriched)
    count = database.value("SELECT count(*) FROM processed_events")
    assert narrow.metrics()["footfall_enriched_messages_total"] == count + doubles and count < len(some)
    assert (doubles > 0) <= (narrow.metrics()["footfall_enriched_failures_total"] > 0), "none without a reason"
    assert any(json.loads(json.loads(each.value)["geodata"]) for each in enriched.read()), "places are known"
    narrow.stop_well()
    # What was rejected and is a hit now is published too.
    aggregator = programs.aggregator(topic, database, enriched__topic=enriched.name)
    assert aggregator.command("retry-rejects")[0] == 0
    oracle.check(database, some)
    check(database, enriched)


def test_killed_at_every_moment(programs, topic, database, enriched, some, long):
    """One at work, again and again; then three, each of which dies once."""
    messages = list(hits.from_collectors(some, topic.partitions, SEED))
    half = len(messages) // 2
    topic.produce(messages[:half])
    settings = {"enriched__topic": enriched.name, "kafka__instance": "one"}  # whose partitions wait for its next life
    for moment in MOMENTS if long > 1 else ["before_commit"]:
        programs.aggregator(topic, database, failpoint=moment, env=SMALL_BATCHES, **settings).wait_killed()
    one = programs.aggregator(topic, database, **settings)
    database.wait_stored(topic)
    assert check(database, enriched) > 0, "what was confirmed and not committed"
    one.stop_well()
    victims = [programs.aggregator(topic, database, failpoint=moment, enriched__topic=enriched.name, kafka__instance=moment)
               for moment in MOMENTS[1:]]
    topic.produce(messages[half:])
    for victim in victims:
        # What is sent again is a batch as well, for those that joined late.
        wait_until(lambda: not victim.is_running() or not topic.produce(messages[:120]), "killed by its failpoint")
        victim.wait_killed()
    for victim in victims:
        victim.start_again(wait=False)
    database.wait_stored(topic)
    oracle.check(database, some)
    check(database, enriched)


def test_hits_wait_while_the_topic_is_away(programs, topic, database, some):
    enriched = Topic(topic.kafka, f"{topic.name}-later")
    messages = list(hits.from_collectors(some, topic.partitions, SEED))
    half = len(messages) // 2
    topic.produce(messages[:half])
    aggregator = programs.aggregator(topic, database, ready=False, enriched__topic=enriched.name)

    def failures():
        return aggregator.metrics()["footfall_enriched_failures_total"]
    wait_until(lambda: "event=enriched_retry" in aggregator.log_text(), "it has tried")
    database.wait(failures, lambda now: now >= 2, "it says so")
    assert aggregator.fetch("/readyz")[0] == 503 and f"topic {enriched.name}: " in aggregator.log_text()
    assert database.value("SELECT count(*) FROM processed_events") == 0
    enriched.create()
    database.wait_stored(topic)
    check(database, enriched)
    enriched.delete()
    before = failures()
    topic.produce(messages[half:])
    database.wait(failures, lambda now: now > before, "it says so again")
    enriched.create()
    database.wait_stored(topic)
    oracle.check(database, some)
    stored = rows(database)
    found = {each.key: tuple(json.loads(each.value).values()) for each in enriched.read()}
    assert found.items() <= stored.items() and len(found) > len(stored) // 3, "what came after it was made anew"
    assert aggregator.fetch("/readyz")[0] == 200


def test_kafka_killed_under_load(programs, topic, database, kafka, enriched, some):
    programs.aggregator(topic, database, enriched__topic=enriched.name)
    messages = list(hits.from_collectors(some, topic.partitions, SEED))
    half = len(messages) // 2
    topic.produce(messages[:half])
    kafka.kill()
    kafka.start()
    topic.produce(messages[half:])
    database.wait_stored(topic)
    oracle.check(database, some)
    check(database, enriched)
