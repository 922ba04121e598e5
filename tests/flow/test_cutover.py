# SPDX-License-Identifier: Apache-2.0
"""Taking over from the PyFlink jobs as docs/cutover.md says, both ways, with the messages that today's producers write."""
import json
import re

import pytest

from bench import hits, oracle
from bench.database import Database
from bench.documents import Machine, blocks
from bench.footfall import BUILD
from conftest import TOP

DOCUMENT = TOP / "docs/cutover.md"
OLD_TABLES = """
CREATE TABLE processed_events (ip varchar, event_timestamp timestamp(3), referrer varchar, host varchar, url varchar, geodata varchar);
CREATE TABLE session_events_aggregated_ip (start_session timestamp(3), end_session timestamp(3), ip varchar, host varchar, web_events bigint);
"""
OLD_EVENTS = "SELECT ip, event_timestamp, referrer, host, url, geodata FROM {}"
OLD_SESSIONS = "SELECT start_session, end_session, ip, host, web_events FROM {}"
PLACES = {"81": {"country": "GB", "state": "England", "city": "London"},
          "133": {"country": "JP", "state": "東京都", "city": "千代田区"}}
COLUMNS = """SELECT column_name, data_type, character_maximum_length, datetime_precision, numeric_precision
               FROM information_schema.columns WHERE table_name = %s ORDER BY ordinal_position"""
DAY_MS = 24 * 3_600_000


def block(word):
    """The block of the document with this word in it."""
    found = [each.text for each in blocks(DOCUMENT) if word in each.text]
    assert len(found) == 1, word
    return found[0]


@pytest.fixture
def old(postgres, database):
    """The old jobs' database, with their tables."""
    old = Database(postgres, f"{database.name}_old").create()
    old.execute(OLD_TABLES)
    yield old
    old.close()


@pytest.fixture
def machine(own_folder, kafka, postgres, topic, database, old):
    machine = Machine(own_folder / "machine", BUILD / "bin", kafka, postgres)
    machine.names.update({"d footfall": f"d {database.name}", "Xqd old": f"Xqd {old.name}", "XAtd old": f"XAtd {old.name}",
                          "'hits'": f"'{topic.name}'"})
    return machine


def store_as_the_old_jobs_did(database, some):
    """Their rows, at least once: some of them twice; and sessions without those that are open."""
    with database.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO processed_events VALUES (%s, timestamp 'epoch' + %s * interval '1 ms', %s, %s, %s, %s)",
            [(hit.ip, hit.ts, hit.referrer, hit.host, hit.url, geodata_of_the_old_job(hit)) for hit in some])
    database.execute("""
        INSERT INTO session_events_aggregated_ip
        SELECT min(event_timestamp), max(event_timestamp) + interval '5 minutes', ip, host, count(*)
          FROM processed_events GROUP BY ip, host, event_timestamp::date;
        INSERT INTO session_events_aggregated_ip SELECT * FROM session_events_aggregated_ip LIMIT 3""")


def geodata_of_the_old_job(hit):
    place = PLACES.get(hit.ip.split(".")[0])
    return json.dumps(place) if place else "{}"


def some_hits(count, seed):
    """From London, from Tokyo, and from where no place is known."""
    return [hit._replace(ip=hit.ip.replace("81.2.1", "133.2.1")) for hit in hits.make(count, seed)]


def test_tables_of_others_are_refused_with_the_statement_that_keeps_them(machine, programs, topic, database):
    database.execute(OLD_TABLES)
    arguments = f'--set kafka.brokers=kafka:9092 --set kafka.topic={topic.name} --set "postgres.conninfo={database.conninfo}"'
    for command in ("migrate", ""):
        said = machine.sh(f"footfall-aggregator {arguments} --set admin.listen= {command}", expected=78)
        statement = re.search(r"keep them with: (ALTER TABLE.*;)", said).group(1)
        assert statement.split() == block("RENAME TO").split()
    database.execute(statement)
    assert "brought from version 0" in machine.sh(f"footfall-aggregator {arguments} migrate")
    for table in ("processed_events", "session_events_aggregated_ip"):
        before = database.rows(COLUMNS, f"{table}_before_footfall")
        assert database.rows(COLUMNS, table)[:len(before)] == before


def test_side_by_side_the_whole_topic_and_the_history_before_it(machine, programs, topic, database, old):
    some = sorted(some_hits(3000, seed=11))
    oldest = min(hit.ts for hit in some)
    gone = [hit._replace(ts=hit.ts - 20 * DAY_MS) for hit in some[:500]]  # the topic does not hold these any more
    topic.produce(hits.from_old_producers(some, topic.partitions))
    store_as_the_old_jobs_did(old, [*gone, *some])
    programs.aggregator(topic, database, geo__databases=TOP / "tests/data/mmdb/world.mmdb")
    database.wait_stored(topic)
    oracle.check(database, some)
    check_places(database, some)

    machine.sh(block("seam="))
    seam = database.value("SELECT date_trunc('day', timestamp 'epoch' + %s * interval '1 ms') + interval '1 day'", oldest)
    for select, time in ((OLD_EVENTS, "event_timestamp"), (OLD_SESSIONS, "start_session")):
        table = select.format("processed_events" if time == "event_timestamp" else "session_events_aggregated_ip")
        distinct = "DISTINCT" if time == "start_session" else ""
        before = f"{table} WHERE {time} < %s ORDER BY 1, 2, 3, 4, 5".replace("SELECT", f"SELECT {distinct}", 1)
        assert database.rows(before, seam) == old.rows(before, seam) != []
    after = [hit for hit in some if hit.ts >= database.value("SELECT extract(epoch FROM %s) * 1000", seam)]
    assert database.value("SELECT count(*) FROM processed_events WHERE event_timestamp >= %s", seam) == len(after)


def check_places(database, some):
    """What stands in geodata is what the old job wrote, as JSON."""
    stored = dict(database.rows("SELECT url, geodata FROM processed_events"))
    places = {hit.url: json.loads(geodata_of_the_old_job(hit)) for hit in some}
    assert {url: json.loads(text) for url, text in stored.items()} == places
    assert all(place in places.values() for place in (*PLACES.values(), {}))


def test_in_place_at_an_offset(machine, programs, topic, database):
    before, after = some_hits(800, seed=21), some_hits(1200, seed=22)
    database.execute(OLD_TABLES)
    store_as_the_old_jobs_did(database, before)
    topic.produce(hits.from_old_producers(before, topic.partitions))
    commit_as_flink_does(topic)
    topic.produce(hits.from_old_producers(after, topic.partitions))

    said = machine.sh(block("--describe").replace("flink-events", f"flink-{topic.name}"))
    offsets = dict(re.findall(rf"^flink-{topic.name} +{topic.name} +(\d+) +(\d+) ", said, re.M))
    assert len(offsets) == topic.partitions
    machine.sql(block("RENAME TO"), database.name)
    machine.place("/etc/footfall/aggregator.conf", f"[postgres]\nconninfo = {database.conninfo}\n")
    machine.sh(block("aggregator.conf migrate"))
    values = ", ".join(f"('hits', {partition}, {offset})" for partition, offset in offsets.items())
    machine.sql(re.sub(r"VALUES .*;", f"VALUES {values};", block("INSERT INTO footfall.partitions")), database.name)

    programs.aggregator(topic, database, geo__databases=TOP / "tests/data/mmdb/world.mmdb")
    database.wait_stored(topic)
    oracle.check(database, after)
    assert sorted(database.rows("SELECT kafka_partition, min(kafka_offset) FROM processed_events GROUP BY 1")) == sorted(
        (int(partition), int(offset)) for partition, offset in offsets.items())

    machine.sql(block("make_day(day::date))\n  FROM"), database.name)
    assert database.rows(f"{OLD_EVENTS.format('processed_events')} WHERE kafka_offset IS NULL ORDER BY 1, 2, 5") == \
        database.rows(f"{OLD_EVENTS.format('processed_events_before_footfall')} ORDER BY 1, 2, 5")
    assert database.value("SELECT count(*) FROM processed_events") == len(before) + len(after)


def commit_as_flink_does(topic):
    """The end of each partition, for a group without members."""
    import confluent_kafka
    consumer = confluent_kafka.Consumer({"bootstrap.servers": topic.kafka.brokers, "group.id": f"flink-{topic.name}",
                                         "enable.auto.commit": False})
    consumer.commit(offsets=[confluent_kafka.TopicPartition(topic.name, partition, end)
                             for partition, (_, end) in enumerate(topic.watermarks()) if end > 0], asynchronous=False)
    consumer.close()


def test_messages_of_old_and_new_producers_share_the_tables(programs, topic, database):
    """While producers are replaced one by one: one visitor's hits of both kinds are one session."""
    some = some_hits(600, seed=31)
    mixed = [*hits.from_old_producers(some[:300], topic.partitions), *hits.from_collectors(some[300:], topic.partitions, seed=1)]
    topic.produce(mixed)
    programs.aggregator(topic, database)
    database.wait_stored(topic)
    oracle.check(database, some)
