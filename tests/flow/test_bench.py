# SPDX-License-Identifier: Apache-2.0
"""The bench itself: what the other tests compare with must be right, and must be able to say no."""
import collections
import contextlib
import socket
import threading

import pytest

from bench import hits, oracle
from bench.load import REFUSED, TAKEN, UNKNOWN, Load
from bench.topics import Message, Topic
from bench.wire import Wire
from servers import free_ports

TABLES = """
CREATE TABLE processed_events (ip varchar, event_timestamp timestamp(3), referrer varchar, host varchar, url varchar, user_agent_id int,
                               flags int, country varchar, state varchar, city varchar);
CREATE TABLE user_agents (id int, user_agent varchar);
CREATE TABLE session_events_aggregated_ip (
    start_session timestamp(3), end_session timestamp(3), ip varchar, host varchar, web_events bigint, last_hit timestamp(3),
    bot_events bigint, entry_url varchar, referrer varchar, exit_url varchar, country varchar, state varchar, city varchar);
CREATE SCHEMA footfall;
CREATE TABLE footfall.open_sessions (
    ip varchar, host varchar, start_hit timestamp(3), last_hit timestamp(3), events bigint, bot_events bigint, entry_url varchar,
    referrer varchar, country varchar, state varchar, city varchar, exit_url varchar);
"""


def sessions_by_hand(some):
    """{(ip, host): [[hit, …], …]}, one hit after the other."""
    found = collections.defaultdict(list)
    for hit in sorted(some):
        kept = found[hit.ip, hit.host]
        if kept and hit.ts - kept[-1][-1].ts <= hits.GAP_MS:
            kept[-1].append(hit)
        else:
            kept.append([hit])
    return found


def flags_of(hit):
    return hits.FLAGS[hit.ts % 7]


def city_of(hit):
    return f"City {hit.ts % 3}"


def session_row(session):
    first = min(session, key=lambda hit: (hit.ts, hit.url, hit.referrer, city_of(hit)))
    last = max(session, key=lambda hit: (hit.ts, hit.url))
    return (first.ts, last.ts + hits.GAP_MS, first.ip, first.host, len(session), last.ts,
            sum(flags_of(hit) & 7 != 0 for hit in session), first.url, first.referrer or None, last.url, city_of(first))


@pytest.fixture
def stored(database):
    """Some hits and, in the tables, what they give."""
    some = hits.make(3000, seed=7)
    database.execute(TABLES)
    at = "timestamp 'epoch' + %s * interval '1 ms'"
    with database.cursor() as cursor:
        cursor.executemany("INSERT INTO user_agents VALUES (%s, %s)", list(enumerate(hits.AGENTS)))
        cursor.executemany(f"INSERT INTO processed_events VALUES (%s, {at}, %s, %s, %s, %s, %s, 'GB', NULL, %s)", [
            (hit.ip, hit.ts, hit.referrer, hit.host, hit.url, hits.AGENTS.index(hit.agent), flags_of(hit), city_of(hit))
            for hit in some])
        cursor.executemany(
            f"INSERT INTO session_events_aggregated_ip VALUES ({at}, {at}, %s, %s, %s, {at}, %s, %s, %s, %s, 'GB', NULL, %s)",
            [session_row(session) for sessions in sessions_by_hand(some).values() for session in sessions])
    return some


def test_the_hits_have_what_is_asked_of_them():
    some = hits.make(20000, seed=1)
    sessions = sessions_by_hand(some)
    by_visitor = collections.defaultdict(list)
    for hit in some:
        by_visitor[hit.ip, hit.host].append(hit.ts)
    gaps = collections.Counter(b - a for times in by_visitor.values() for a, b in zip(sorted(times), sorted(times)[1:]))
    assert [hit.ts for hit in some] != sorted(hit.ts for hit in some)
    assert min(gaps[0], gaps[hits.GAP_MS - 1], gaps[hits.GAP_MS], gaps[hits.GAP_MS + 1]) > 100
    assert len({hit.url for hit in some}) == len(some) == 20000
    assert sum(len(each) for each in sessions.values()) > 1000
    assert hits.make(20000, seed=1, until=some[0].ts) == hits.make(20000, seed=1, until=some[0].ts)


def test_the_oracle_agrees_with_sessions_made_by_hand(database, stored):
    oracle.check_hits(database, stored)


HARMS = {
    "a hit lost": "DELETE FROM processed_events WHERE url LIKE '%/1234'",
    "a hit doubled": "INSERT INTO processed_events SELECT * FROM processed_events WHERE url LIKE '%/1234'",
    "a time off": "UPDATE processed_events SET event_timestamp = event_timestamp + interval '1 ms' WHERE url LIKE '%/1234'",
    "an agent lost": "UPDATE processed_events SET user_agent_id = NULL WHERE url LIKE '%/1234'",
    "a count off": "UPDATE session_events_aggregated_ip SET web_events = web_events + 1 WHERE ctid = '(0,1)'",
    "a session lost": "DELETE FROM session_events_aggregated_ip WHERE ctid = '(0,1)'",
    "a session doubled": "INSERT INTO session_events_aggregated_ip SELECT * FROM session_events_aggregated_ip WHERE ctid = '(0,1)'",
    "a robot not counted": "UPDATE session_events_aggregated_ip SET bot_events = bot_events - 1 WHERE ctid = '(0,1)'",
    "another hit's entry page": "UPDATE session_events_aggregated_ip SET entry_url = exit_url WHERE web_events > 1",
    "another hit's exit page": "UPDATE session_events_aggregated_ip SET exit_url = entry_url WHERE web_events > 1",
    "a referrer lost": "UPDATE session_events_aggregated_ip SET referrer = NULL",
    "another city": "UPDATE session_events_aggregated_ip SET city = 'Nowhere' WHERE ctid = '(0,1)'",
    "an end off": "UPDATE session_events_aggregated_ip SET end_session = end_session + interval '1 ms' WHERE ctid = '(0,1)'",
}


@pytest.mark.parametrize("harm", HARMS)
def test_the_oracle_sees(database, stored, harm):
    database.execute(HARMS[harm])
    with pytest.raises(AssertionError, match="differ"):
        oracle.check_hits(database, stored)


def test_the_oracle_counts_open_sessions_too(database, stored):
    database.execute(
        "INSERT INTO footfall.open_sessions SELECT ip, host, start_session, last_hit, web_events, bot_events, entry_url, referrer,"
        "  country, state, city, exit_url FROM session_events_aggregated_ip WHERE web_events > 3;"
        "DELETE FROM session_events_aggregated_ip WHERE web_events > 3")
    oracle.check_hits(database, stored)


def test_partitions_are_those_of_kafkas_own_clients(kafka, topic):
    """librdkafka's murmur2_random, on the keys themselves."""
    import confluent_kafka
    producer = confluent_kafka.Producer({"bootstrap.servers": kafka.brokers, "partitioner": "murmur2_random"})
    some = hits.make(2000, seed=3)
    for hit in some:
        producer.produce(topic.name, b"", f"{hit.host}|{hit.ip}".encode())
    assert producer.flush(60) == 0
    for message in topic.read():
        host, ip = message.key.decode().split("|")
        assert message.partition == hits.home_of(host, ip, topic.partitions)


def test_a_topic_can_be_filled_read_and_lose_its_beginning(kafka, topic):
    assert topic.produce(Message(number % 3, b"key", b"%d" % number) for number in range(300)) == 300
    assert [int(each.value) for each in topic.read() if each.partition == 1] == list(range(1, 300, 3))
    topic.delete_before({0: 40, 1: 0, 2: 100})
    assert topic.watermarks()[:4] == [(40, 100), (0, 100), (100, 100), (0, 0)]
    assert topic.count() == 160
    assert Topic(kafka, topic.name).count() == 160


def test_a_load_knows_what_is_missing_and_what_is_there_twice():
    load = Load(port=0, seed=1)
    for name, told in (("a", TAKEN), ("b", TAKEN), ("c", UNKNOWN), ("d", REFUSED)):
        load.note([name], told)
    load.note(["a"], UNKNOWN)  # a promise is kept in mind
    load.check(["a", "b"])
    load.check(["a", "b", "c", "d"])
    assert load.check(["b"], may_lose=True) == 1
    for stored in (["b", "c"], ["a", "a", "b"], ["a", "b", "c", "c"], ["a", "b", "e"]):
        with pytest.raises(AssertionError):
            load.check(stored)
    with pytest.raises(AssertionError):
        load.check(["a", "a"], may_lose=True)


@pytest.fixture
def echo():
    """A wire to a server that says what it hears."""
    def answer(client):
        with contextlib.suppress(OSError):
            while heard := client.recv(100):
                client.sendall(heard)
        client.close()

    def serve(listener):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    wire_port, port = free_ports(2)
    with socket.create_server(("127.0.0.1", port)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        wire = Wire({wire_port: ("127.0.0.1", port)})
        yield wire
        wire.close()
        listener.shutdown(socket.SHUT_RDWR)


class Speaker:
    """On the other end of a wire."""

    def __init__(self, wire):
        self.socket = socket.create_connection(("127.0.0.1", next(iter(wire.ways))), timeout=60)
        assert self.ask(b"first") == b"first"

    def ask(self, text):
        self.socket.sendall(text)
        return self.hear()

    def hear(self, within_s=60):
        self.socket.settimeout(within_s)
        return self.socket.recv(100)


@pytest.mark.parametrize("has_filters", [True, False])
def test_a_wire_that_is_cut_carries_nothing_and_then_all(echo, has_filters):
    """Without filters too, as where ordinary users may have none."""
    speaker = Speaker(echo)
    echo.has_filters = has_filters
    echo.cut()
    speaker.socket.sendall(b"into the dark")
    with pytest.raises(TimeoutError):
        speaker.hear(within_s=0.5)
    echo.heal()
    assert speaker.hear() == b"into the dark"
    assert Speaker(echo).ask(b"another") == b"another"


def test_a_wire_that_loses_answers_carries_questions(echo):
    speaker = Speaker(echo)
    echo.lose_answers()
    speaker.socket.sendall(b"question")
    with pytest.raises(TimeoutError):
        speaker.hear(within_s=0.5)
    echo.heal()
    assert speaker.hear() == b"question"


def test_a_wire_that_refuses_resets_and_refuses(echo):
    speaker = Speaker(echo)
    echo.refuse()
    with pytest.raises(ConnectionResetError):
        speaker.hear()
    with pytest.raises(ConnectionRefusedError):
        Speaker(echo)
    echo.heal()
    assert Speaker(echo).ask(b"again") == b"again"


@pytest.mark.parametrize("has_filters", [True, False])
def test_a_wire_that_loses_packets_is_slow_and_right(echo, has_filters):
    speaker = Speaker(echo)
    echo.has_filters = has_filters
    echo.lose(0.3)
    for number in range(30):
        assert speaker.ask(b"%d" % number) == b"%d" % number
    echo.heal()
