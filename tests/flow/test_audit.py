# SPDX-License-Identifier: Apache-2.0
"""Control records: what is missing of a stream that has ended rings an alarm until it comes or is given up."""
import json
import random
import re

import pytest

from bench import hits
from bench.documents import blocks
from bench.footfall import SMALL_BATCHES
from bench.topics import Message
from conftest import TOP
from servers import wait_until

PARTITION = 5
STREAM = f"{'5e' * 16}-{PARTITION}"
AN_HOUR_MS = 3_600_000


class Producer:
    """Writes to one partition, at a time of its own: an hour ago at first."""

    def __init__(self, topic, stream=STREAM):
        self.topic = topic
        self.stream = stream
        self.now_ms = hits.now_ms() - AN_HOUR_MS

    def send(self, value=None, headers=None):
        self.now_ms += 1
        self.topic.produce([Message(PARTITION, None, value, headers, self.now_ms)])

    def hit(self, *numbers):
        for number in numbers:
            fields = hits.old_fields(hits.make(1, seed=number)[0])
            self.send(json.dumps({**fields, "stream": self.stream, "seq": number}).encode())

    def control(self, **said):
        self.header(json.dumps({kind: {"stream": self.stream, **fields} for kind, fields in said.items()}).encode())

    def header(self, text):
        self.send(headers=[("footfall-control", text)])

    def let_time_pass(self):
        """A record of another producer, a minute later."""
        self.now_ms += 60_000
        self.send(json.dumps(hits.old_fields(hits.make(1, seed=self.now_ms)[0])).encode())


def streams(database):
    return {row[0]: row[1:] for row in database.rows(
        "SELECT stream, received, skipped, last, missing, holes::text, reason FROM footfall.streams")}


def holes(aggregator):
    metrics = aggregator.metrics()
    return metrics["footfall_stream_holes"], metrics["footfall_streams_with_holes"]


def lines(aggregator, event):
    return [line for line in aggregator.log_text().splitlines() if f"event={event} " in line]


def test_a_hole_rings_until_it_is_filled(programs, topic, database):
    aggregator = programs.aggregator(topic, database)
    producer = Producer(topic)
    producer.hit(1, 2, 3, 6, 7, 9, 10)
    database.wait_stored(topic)
    assert streams(database) == {STREAM: (7, 0, None, None, None, None)}
    producer.control(skip={"from": 8, "to": 8, "reason": "Kafka refused it"})
    producer.control(fin={"last": 10})
    producer.control(fin={"last": 9})  # a second end that knows less
    producer.let_time_pass()
    wait_until(lambda: holes(aggregator) == (2, 1), "the alarm")
    assert streams(database)[STREAM] == (7, 1, 10, 2, "{[4,6)}", "Kafka refused it")
    alarm, = lines(aggregator, "stream_holes")
    assert "level=error" in alarm and f"stream={STREAM}" in alarm and "2 of its numbers 1 to 10" in alarm and "first 4 to 5" in alarm

    aggregator.stop_well()
    aggregator.start_again()
    wait_until(lambda: holes(aggregator) == (2, 1), "the alarm after a restart")

    producer.hit(5)
    wait_until(lambda: holes(aggregator) == (1, 1), "a smaller hole")
    producer.hit(8)  # it was said to be lost
    producer.hit(4, 5, 5)
    wait_until(lambda: holes(aggregator) == (0, 0), "no alarm")
    wait_until(lambda: len(lines(aggregator, "stream_whole")) == 1, "the line that says so")
    assert streams(database)[STREAM] == (10, 1, 10, 0, "{}", "Kafka refused it")
    assert database.value("SELECT count(*) FROM processed_events WHERE event_timestamp IS NOT NULL") == 11


def test_a_hole_is_given_up_by_hand(programs, topic, database):
    aggregator = programs.aggregator(topic, database)
    producer = Producer(topic)
    producer.hit(3)
    producer.control(fin={"last": 5})
    other = Producer(topic, f"{'77' * 16}-{PARTITION}")
    other.control(fin={"last": 2})
    other.let_time_pass()
    wait_until(lambda: holes(aggregator) == (6, 2), "both alarms")
    statement = next(block.text for block in blocks(TOP / "docs/operations.md") if "footfall.audit" in block.text)
    database.execute(re.sub(r"'[0-9a-f]{32}-\d+'", f"'{STREAM}'", statement))
    aggregator.stop_well()
    aggregator.start_again()
    wait_until(lambda: holes(aggregator) == (2, 1), "the other one's alarm")
    assert streams(database)[STREAM][:4] == (1, 4, 5, 0)


def test_bad_control_records_are_kept_apart(programs, topic, database):
    aggregator = programs.aggregator(topic, database)
    bad = [b"", b"\xff\x00", b"{}", b"[" * 2000, b'{"fin":{"stream":"x","last":1}}',
           f'{{"fin":{{"stream":"{"5e" * 16}-{PARTITION + 1}","last":1}}}}'.encode(),
           f'{{"skip":{{"stream":"{STREAM}","from":9,"to":8}}}}'.encode(), None]
    producer = Producer(topic)
    for header in bad:
        producer.header(header)
    producer.hit(1, 2)
    producer.send(json.dumps({"stream": STREAM, "seq": 3}).encode())  # no hit, but it is there
    producer.control(fin={"last": 3})
    producer.let_time_pass()
    database.wait_stored(topic)
    assert aggregator.metrics()['footfall_rejects_total{reason="bad_control"}'] == len(bad)
    assert sorted(bytes(raw) for raw, in database.rows("SELECT raw FROM rejected_hits WHERE reason LIKE '%control record%'")) == \
        sorted(header or b"" for header in bad)
    assert streams(database)[STREAM][:4] == (2, 1, 3, 0)
    assert holes(aggregator) == (0, 0) and not lines(aggregator, "stream_holes")


def numbers(database):
    """Sums over all streams: received, skipped, missing; and how many go on."""
    return database.rows("SELECT coalesce(sum(received), 0)::int, coalesce(sum(skipped), 0)::int, coalesce(sum(missing), 0)::int,"
                         "       count(*) FILTER (WHERE last IS NULL)::int FROM footfall.streams")[0]


def post(collector, count):
    for number in range(count):
        assert collector.post(json.dumps({"url": f"https://shop.example/{number}"}), X_Forwarded_For=f"81.2.3.{number % 50}")[0] == 204


def test_what_a_collector_took_is_all_there(programs, topic, database):
    """One life ends by kill -9, the next one well: each stream ends with all its numbers."""
    collector = programs.collector(topic)
    aggregator = programs.aggregator(topic, database)
    post(collector, 300)
    collector.kill()
    collector.start_again()
    post(collector, 200)
    collector.stop_well()
    database.wait_stored(topic)
    assert numbers(database) == (500, 0, 0, 0)
    ended = set(database.rows("SELECT substr(stream, 1, 32) FROM footfall.streams"))
    assert len(ended) == 2, "two lives"
    assert aggregator.metrics()["footfall_hits_total"] == 500


MOMENTS = ["after_fence_check:2", "before_commit:2", "after_commit:2"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_account_is_exact_whenever_the_aggregator_is_killed(programs, topic, database, moment):
    """Hits in disorder with holes, skips and ends among them, some twice; the first life is killed in the middle."""
    rng = random.Random(moment)
    expected, messages = {}, []
    for partition in range(topic.partitions):
        stream = f"{rng.getrandbits(128):032x}-{partition}"
        said, holes_at = [{"fin": {"stream": stream, "last": 200}}], set()
        for _ in range(rng.randrange(4)):
            start = rng.randrange(1, 190)
            holes_at |= set(range(start, start + rng.randrange(1, 8)))
        skipped = {each for each in holes_at if rng.random() < 0.5}
        said += [{"skip": {"stream": stream, "from": each, "to": each}} for each in skipped]
        records = [Message(partition, None, json.dumps({**hits.old_fields(hits.make(1, seed=number)[0]), "stream": stream,
                                                        "seq": number}).encode())
                   for number in range(1, 201) if number not in holes_at]
        records += [Message(partition, None, None, [("footfall-control", json.dumps(each).encode())]) for each in said]
        records += rng.sample(records, 20)
        rng.shuffle(records)
        messages += records
        expected[stream] = (200 - len(holes_at), len(skipped), 200, len(holes_at - skipped))
    topic.produce(messages[:len(messages) // 2])
    programs.aggregator(topic, database, failpoint=moment, ready=False, env=SMALL_BATCHES).wait_killed()
    topic.produce(messages[len(messages) // 2:])
    programs.aggregator(topic, database)
    database.wait_stored(topic)
    assert {stream: row[:4] for stream, row in streams(database).items()} == expected
    assert database.value("SELECT sum(missing) FROM footfall.audit") == sum(row[3] for row in expected.values())
    assert database.value("SELECT count(*) FROM processed_events") == sum(row[0] for row in expected.values())
