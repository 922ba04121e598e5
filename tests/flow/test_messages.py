# SPDX-License-Identifier: Apache-2.0
"""What else a topic may hold: messages that are no hits, hits of other producers, no beginning, a newer contract."""
import json
import os

import pytest

from bench import hits, oracle
from bench.topics import Message
from conftest import TOP
from servers import wait_until

SEED = 5


def old(**changed):
    """A good message of today's producers, with some fields changed or (None) left out."""
    hit = hits.make(1, seed=9)[0]
    fields = {**hits.old_fields(hit), **changed}
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


POISON = {
    "nothing": b"",
    "no JSON": b"\x00\xff not json",
    "half an object": b'{"url":"https://shop.example/"',
    "an array": b"[" + old() + b"]",
    "a text": b'"https://shop.example/"',
    "too deep": b'{"url":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "too big": old(title="x" * 200_000),
    "a name twice": old()[:-1] + b',"ip":"1.2.3.4"}',
    "bad UTF-8": old().replace(b"https", b"http\xff", 1),
    "half a surrogate": old().replace(b"https", b"\\ud800https", 1),
    "no ip": old(ip=None),
    "a wrong ip": old(ip="300.1.1.1"),
    "no host": old(host=None),
    "a wrong host": old(host="shop example"),
    "no url": old(url=None),
    "an empty url": old(url=""),
    "no time": old(event_time=None),
    "a wrong time": old(event_time="yesterday"),
    "a day that is not": old(event_time="2025-02-30T00:00:00.000Z"),
    "too old": old(event_time="1999-12-31T23:59:59.999Z"),
    "in the future": old(event_time="2150-01-01T00:00:00.000Z"),
    "a number for a text": old(url=7),
    "a wrong seq": old(stream="0123456789abcdef0123456789abcdef-1", seq=0),
    "a wrong stream": old(stream="abc", seq=1),
}


def test_poison_is_kept_apart_and_its_neighbours_are_kept(programs, topic, database):
    some = hits.make(3000, SEED)
    good = list(hits.from_collectors(some, topic.partitions, SEED, repeated=0))
    planted = list(POISON.items())
    messages = []
    for number, message in enumerate(good):
        messages.append(message)
        if number % 100 == 50 and planted:
            name, value = planted.pop()
            messages.append(Message(number // 100 % topic.partitions, name.encode(), value))
    assert not planted
    topic.produce(messages)
    programs.aggregator(topic, database)
    database.wait_stored(topic)
    oracle.check(database, some)
    places = {(each.partition, each.offset): (each.key.decode(), each.value)
              for each in topic.read() if each.key.decode() in POISON}
    rejected = {(partition, offset): (reason, bytes(raw)) for partition, offset, reason, raw in database.rows(
        "SELECT kafka_partition, kafka_offset, reason, coalesce(raw, '') FROM rejected_hits WHERE topic = %s", topic.name)}
    assert rejected.keys() == places.keys(), {places.get(each) or rejected[each] for each in rejected.keys() ^ places.keys()}
    for place, (reason, raw) in rejected.items():
        name, value = places[place]
        assert reason.strip() and value.startswith(raw) and (raw or not value), name


def test_what_is_not_canonical_is_made_so_and_controls_are_dropped(programs, topic, database):
    topic.produce([Message(0, None, old(url="https://shop.example/a\0b\nc\x7f", host="Shop.Example.:8080", ip="::ffff:81.2.3.4",
                                        referrer=None, title="x" * 5000))])
    programs.aggregator(topic, database)
    database.wait_stored(topic)
    assert database.rows("SELECT url, host, ip, referrer FROM processed_events") == [
        ("https://shop.example/abc", "shop.example", "81.2.3.4", "")]


def test_a_topic_of_old_producers_gives_the_rows_of_the_old_tables(programs, topic, database):
    """The six and the five columns of the tables that are replaced: names, order, types, and values."""
    base = hits.now_ms() - 10 * 3_600_000
    visitors = [("81.2.69.160", "shop.example", '{"country": "GB", "state": "England", "city": "London"}'),
                ("2405::1", "blog.example", '{"country": "IN", "state": "Karnataka", "city": "Bengaluru"}'),
                ("36.1.2.3", "shop.example", '{"country": "CN", "state": "-", "city": "-"}'),
                ("10.1.2.3", "shop.example", "{}")]
    messages, events = [], []
    for number in range(40):
        ip, host, geodata = visitors[number % 4]
        at = base + number * 70_000
        fields = {"url": f"https://{host}/{number}?q=é", "referrer": "https://example.org/" if number % 2 else "",
                  "user_agent": "curl", "host": host, "ip": ip, "headers": "{}", "event_time": hits.time_text(at)}
        # Half of them come from a client that writes no time of its own into the record.
        messages.append(Message(number % topic.partitions, None, json.dumps(fields).encode(), timestamp=-(number % 2)))
        events.append((ip, hits.time_text(at)[:-1].replace("T", " "), fields["referrer"], host, fields["url"], json.loads(geodata)))
    topic.produce(messages)
    programs.aggregator(topic, database, geo__databases=TOP / "tests/data/mmdb/world.mmdb")
    database.wait_stored(topic)
    oracle.wait_all_closed(database)
    stored = database.rows("SELECT ip, to_char(event_timestamp, 'YYYY-MM-DD HH24:MI:SS.MS'), referrer, host, url, geodata"
                           "  FROM processed_events ORDER BY event_timestamp")
    assert [(*row[:5], json.loads(row[5])) for row in stored] == events
    # Four visitors with a hit every 280 s: one session each.
    sessions = database.rows("SELECT ip, host, web_events, extract(epoch FROM end_session - start_session)::int"
                             "  FROM session_events_aggregated_ip ORDER BY start_session")
    assert sessions == [(ip, host, 10, 9 * 280 + 300) for ip, host, _ in visitors]
    assert columns(database, "processed_events")[:6] == [
        ("ip", "character varying"), ("event_timestamp", "timestamp(3) without time zone"), ("referrer", "character varying"),
        ("host", "character varying"), ("url", "character varying"), ("geodata", "character varying")]
    assert columns(database, "session_events_aggregated_ip")[:5] == [
        ("start_session", "timestamp(3) without time zone"), ("end_session", "timestamp(3) without time zone"),
        ("ip", "character varying"), ("host", "character varying"), ("web_events", "bigint")]


def columns(database, table):
    return database.rows("SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
                         " WHERE attrelid = to_regclass(%s) AND attnum > 0 ORDER BY attnum", table)


def test_a_topic_without_its_beginning_starts_at_its_first_record(programs, topic, database):
    some = hits.make(20_000, SEED)
    topic.produce(hits.from_collectors(some, topic.partitions, SEED, repeated=0))
    firsts, left = {}, 5000
    for partition, (_, end) in enumerate(topic.watermarks()):
        firsts[partition] = min(left, end * 2 // 3)
        left -= firsts[partition]
    assert left == 0
    topic.delete_before(firsts)
    kept = {json.loads(each.value)["url"] for each in topic.read()}
    assert len(kept) == 15_000
    programs.aggregator(topic, database)
    database.wait_stored(topic)
    oracle.check(database, [hit for hit in some if hit.url in kept])


def test_a_newer_contract_halts_its_partition(programs, topic, database):
    some = hits.make(2000, SEED)
    messages = list(hits.from_collectors(some, topic.partitions, SEED, repeated=0))
    newer = Message(5, b"newer", json.dumps({**json.loads(messages[0].value), "v": 2}).encode())
    before = [each for each in messages if each.partition == 5][:20]
    topic.produce([*before, newer, *(each for each in messages if each not in before)])
    aggregator = programs.aggregator(topic, database)
    ends = {partition: end for partition, (_, end) in enumerate(topic.watermarks()) if end > 0}
    database.wait(lambda: database.positions(topic),
                  lambda now: now.get(5) == 20 and all(now.get(each) == ends[each] for each in ends if each != 5),
                  "all but what follows the newer message")
    wait_until(lambda: aggregator.metrics().get("footfall_partitions_halted") == 1, "partition 5 halts")
    assert "newer" in aggregator.log_text()
    assert database.value("SELECT count(*) FROM rejected_hits") == 0
    assert database.positions(topic)[5] == 20


@pytest.mark.parametrize("table", ["processed_events", "session_events_aggregated_ip", "rejected_hits"])
def test_tables_that_are_already_there_are_refused_with_the_mend(programs, topic, database, table):
    database.execute(f"CREATE TABLE {table} (ip varchar)")
    refused = programs.aggregator(topic, database, ready=False)
    assert refused.wait_left() == os.EX_CONFIG
    statement = next(line for line in refused.log_text().splitlines() if "RENAME TO" in line)
    statement = statement[statement.index("ALTER TABLE"):].split(";")[0].rstrip('"')
    database.execute(statement)  # as it stands
    refused.start_again()
    some = hits.make(100, SEED)
    topic.produce(hits.from_collectors(some, topic.partitions, SEED))
    database.wait_stored(topic)
    oracle.check(database, some)
