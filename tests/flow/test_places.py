# SPDX-License-Identifier: Apache-2.0
"""The aggregator beside a stub of ip2location.io: what is stored from where, how often the service is asked, and that the
stream does not wait for it."""
import collections
import itertools
import json
import signal

import pytest

from bench import hits
from bench.ip2location import KEY, Reply, error, place
from bench.topics import Message
from conftest import TOP
from servers import wait_until

FILES = TOP / "tests/data/mmdb/world.mmdb"
_numbers = itertools.count()


def messages(addresses):
    """A hit of each, as of today's producers."""
    some = hits.make(len(addresses), seed=3)
    for hit, ip in zip(some, addresses):
        number = next(_numbers)
        yield Message(number % 12, f"{hit.host}|{ip}".encode(), json.dumps({**hits.old_fields(hit), "ip": ip,
                                                                    "url": f"https://shop.example/{number}"}).encode())


def settings(stub, **more):
    return {"geo__databases": FILES, "ip2location__url": stub.url, "ip2location__key": KEY,
            "ip2location__daily_budget": 1000000, "ip2location__monthly_budget": 100000000, **more}


def public(count, first=0):
    return [f"8.{8 + number // 65536}.{number // 256 % 256}.{number % 256}" for number in range(first, first + count)]


def sources(database):
    return dict(database.rows("SELECT geo_source, count(*) FROM processed_events GROUP BY 1"))


def test_rows_have_what_the_service_says(programs, topic, database, stub):
    aggregator = programs.aggregator(topic, database, **settings(stub))
    addresses = [*public(20), "10.0.0.1", "192.168.7.7", "2405:200:1:2::5"]
    for round_number in range(3):  # a hit at a time: nothing is behind
        for ip in addresses:
            topic.produce(messages([ip]))
        database.wait_stored(topic)
    assert sources(database) == {"api": 63, "private": 6}
    stored = database.rows("SELECT DISTINCT ip, geodata, country, state, city, latitude, longitude FROM processed_events"
                           " WHERE geo_source = 'api'")
    assert len(stored) == 21
    for ip, geodata, country, state, city, latitude, longitude in stored:
        expected = place(ip if ":" not in ip else "2405:200:1:2::")
        assert (country, state, city) == ("IN", "Karnataka", expected["city_name"])
        assert geodata == f'{{"country": "IN", "state": "Karnataka", "city": "{city}"}}'
        assert abs(latitude - 12.97194) < 0.001 and abs(longitude - 77.59369) < 0.001
    assert sorted(stub.addresses()) == sorted([*public(20), "2405:200:1:2::"])  # each once, and no private one
    counted = aggregator.metrics()
    assert counted['footfall_ip2location_requests_total{outcome="place"}'] == 21
    assert counted['footfall_places_total{source="api"}'] == 63 and counted["footfall_ip2location_up"] == 1
    assert KEY not in aggregator.log_text()


def test_sessions_have_it_too(programs, topic, database, stub):
    programs.aggregator(topic, database, **settings(stub))
    topic.produce(messages(public(5)))
    wait_until(lambda: database.rows("SELECT 1 FROM pg_tables WHERE tablename = 'session_events_aggregated_ip'")
               and database.value("SELECT count(*) FROM session_events_aggregated_ip") == 5, "sessions are stored")
    assert set(database.rows("SELECT s.ip, s.city FROM session_events_aggregated_ip s")) == \
        set(database.rows("SELECT ip, city FROM processed_events"))


def test_no_address_is_asked_of_twice_by_several_programs(programs, topic, database, stub):
    addresses = public(30)
    first = programs.aggregator(topic, database, **settings(stub))
    for ip in addresses:
        topic.produce(messages([ip]))
    database.wait_stored(topic)
    wait_until(lambda: database.value("SELECT count(*) FROM footfall.ip_locations") == 30, "answers are stored")
    first.stop_well()
    second = programs.aggregator(topic, database, **settings(stub))
    for ip in addresses:
        topic.produce(messages([ip]))
    database.wait_stored(topic)
    assert sources(database) == {"api": 60}
    assert max(collections.Counter(stub.addresses()).values()) == 1
    assert second.metrics()["footfall_ip_locations_loaded_total"] == 30


def test_an_answer_is_asked_for_again_when_it_has_expired(programs, topic, database, stub):
    programs.aggregator(topic, database, **settings(stub, ip2location__keep="1s"))
    ip, = public(1)
    topic.produce(messages([ip]))
    database.wait_stored(topic)

    def again():
        topic.produce(messages([ip]))
        database.wait_stored(topic)
        return len(stub.asked) >= 3
    wait_until(again, "asked three times")
    times = [at for at, _ in stub.asked]
    assert all(later - earlier >= 0.9 for earlier, later in zip(times, times[1:]))


def test_calls_stay_within_the_budget_across_restarts(programs, topic, database, stub):
    aggregator = programs.aggregator(topic, database, **settings(stub, ip2location__daily_budget=40))
    for first in range(0, 60, 20):
        for ip in public(20, first):
            topic.produce(messages([ip]))
        database.wait_stored(topic)
        aggregator.stop_well()
        aggregator.start_again()
    database.wait_stored(topic)
    assert 30 <= len(stub.asked) <= 40
    assert sources(database)["mmdb"] == 60 - len(stub.asked)
    assert len(stub.asked) <= database.value("SELECT sum(calls) FROM footfall.ip2location_calls") <= 40


def test_a_refused_key_is_not_sent_again_until_a_reload(programs, topic, database, stub, own_folder):
    key_file = own_folder / "key"
    key_file.write_text(KEY)
    stub.answer = Reply(401, error(10000))
    aggregator = programs.aggregator(topic, database, **settings(stub, ip2location__key="", ip2location__key_file=key_file))
    for ip in public(10):
        topic.produce(messages([ip]))
        database.wait_stored(topic)
    assert len(stub.asked) == 1 and sources(database) == {"mmdb": 10}
    assert aggregator.log_text().count("event=key_refused") == 1
    assert aggregator.metrics()["footfall_ip2location_up"] == 0
    stub.answer = Reply()
    key_file.write_text("AnotherKey")
    aggregator.send_signal(signal.SIGHUP)
    wait_until(lambda: aggregator.metrics()["footfall_ip2location_up"] == 1, "asked again")
    for ip in public(5, 100):
        topic.produce(messages([ip]))
    database.wait_stored(topic)
    assert sources(database)["api"] == 5 and stub.keys == {(KEY, None), ("AnotherKey", None)}


def test_a_bad_key_is_not_taken_on_a_reload(programs, topic, database, stub, own_folder):
    key_file = own_folder / "key"
    key_file.write_text(KEY)
    aggregator = programs.aggregator(topic, database, **settings(stub, ip2location__key="", ip2location__key_file=key_file))
    key_file.write_text("Not a key")
    aggregator.send_signal(signal.SIGHUP)
    wait_until(lambda: aggregator.metrics()['footfall_ip2location_key_reloads_total{outcome="failed"}'] == 1, "refused")
    assert "ip2location.key_file" in aggregator.log_text() and "Not a key" not in aggregator.log_text()
    topic.produce(messages(public(1)))
    database.wait_stored(topic)
    assert stub.keys == {(KEY, None)}
    key_file.write_text(KEY)
    aggregator.send_signal(signal.SIGHUP)
    wait_until(lambda: aggregator.metrics()['footfall_ip2location_key_reloads_total{outcome="done"}'] == 1, "taken")


def test_the_stream_does_not_wait_for_a_service_that_hangs(programs, topic, database, stub):
    stub.answer = Reply(hang=True)
    aggregator = programs.aggregator(topic, database, **settings(stub))
    topic.produce(messages(public(3000)))
    database.wait_stored(topic)
    assert sources(database) == {"mmdb": 3000}
    fresh = iter(public(1000, 4000))

    def is_open():
        topic.produce(messages([next(fresh)]))
        database.wait_stored(topic)
        return "event=breaker_opened" in aggregator.log_text()
    wait_until(is_open, "the breaker opens")
    asked, unasked = len(stub.asked), aggregator.metrics()["footfall_ip2location_unasked_total"]
    for _ in range(5):  # nobody is asked, so that nobody can wait, from then on
        topic.produce(messages([next(fresh)]))
    database.wait_stored(topic)
    assert len(stub.asked) == asked <= 16
    assert aggregator.metrics()["footfall_ip2location_unasked_total"] == unasked + 5
    assert set(sources(database)) == {"mmdb"}


def test_a_new_address_is_waited_for_while_nothing_is_behind(programs, topic, database, stub):
    stub.delay_s = 0.1
    aggregator = programs.aggregator(topic, database, **settings(stub))
    for ip in public(10):
        topic.produce(messages([ip]))
        database.wait_stored(topic)
    assert sources(database) == {"api": 10}
    assert 0.5 < aggregator.metrics()["footfall_place_wait_seconds_total"] < 5


def test_a_few_failures_are_borne(programs, topic, database, stub):
    """One request in ten is lost on the way."""
    stub.answer = lambda ip: Reply(raw=b"") if ip.endswith("7") else Reply()
    aggregator = programs.aggregator(topic, database, **settings(stub))
    for ip in public(60):
        topic.produce(messages([ip]))
        database.wait_stored(topic)
    lost = sum(ip.endswith("7") for ip in public(60))
    assert sources(database) == {"api": 60 - lost, "mmdb": lost}
    assert aggregator.metrics()["footfall_ip2location_up"] == 1 and len(stub.asked) == 60


def test_a_slow_service_is_left_alone(programs, topic, database, stub):
    stub.delay_s = 0.7  # it answers, but too late for any batch
    aggregator = programs.aggregator(topic, database, **settings(stub))
    fresh = iter(public(1000))

    def is_open():
        topic.produce(messages([next(fresh)]))
        database.wait_stored(topic)
        return "event=breaker_opened" in aggregator.log_text()
    wait_until(is_open, "the breaker opens")
    assert "too late" in aggregator.log_text() and len(stub.asked) <= 16


def in_bulk(stub, **more):
    return settings(stub, ip2location__url="http://127.0.0.1:1/", ip2location__bulk="true", ip2location__bulk_url=stub.url,
                    **more)


def produce_until_asked(topic, database, stub, addresses):
    """What arrives at once may be too much to ask of at once; the rest is asked of when it comes again."""
    def all_asked():
        topic.produce(messages(addresses))
        database.wait_stored(topic)
        return len(set(stub.addresses())) == len(addresses)
    wait_until(all_asked, "all addresses are asked of")


def test_many_addresses_are_asked_of_in_few_requests(programs, topic, database, stub):
    addresses = public(300)
    topic.produce(messages(addresses))
    aggregator = programs.aggregator(topic, database, **in_bulk(stub))
    database.wait_stored(topic)
    produce_until_asked(topic, database, stub, addresses)
    wait_until(lambda: database.value("SELECT count(*) FROM footfall.ip_locations") == 300, "answers are stored")
    database.execute("TRUNCATE processed_events")
    topic.produce(messages(addresses))
    database.wait_stored(topic)
    assert sources(database) == {"api": 300}
    for ip, city in database.rows("SELECT ip, city FROM processed_events"):
        assert city == place(ip)["city_name"]
    assert sorted(stub.addresses()) == sorted(addresses)  # each once
    assert sum(stub.sizes) == 300 and 20 <= max(stub.sizes) <= 128 and len(stub.sizes) <= 60, stub.sizes
    counted = aggregator.metrics()
    assert counted['footfall_ip2location_requests_total{outcome="place"}'] == 300
    assert database.value("SELECT sum(calls) FROM footfall.ip2location_calls") >= 300
    assert stub.keys == {(KEY, None)} and KEY not in aggregator.log_text()


def test_a_failure_among_many_falls_back_to_the_files(programs, topic, database, stub):
    stub.answer = lambda ip: Reply(body=error(10002)) if ip.endswith("7") else Reply()
    addresses = public(100)
    aggregator = programs.aggregator(topic, database, **in_bulk(stub))
    produce_until_asked(topic, database, stub, addresses)
    database.execute("TRUNCATE processed_events")
    topic.produce(messages(addresses))
    database.wait_stored(topic)
    assert sources(database) == {"api": 90, "mmdb": 10}
    counted = aggregator.metrics()
    assert counted['footfall_ip2location_requests_total{outcome="failed"}'] >= 10
    assert counted['footfall_ip2location_requests_total{outcome="place"}'] == 90 and counted["footfall_ip2location_up"] == 1


def test_bulk_requests_stay_within_the_budget(programs, topic, database, stub):
    topic.produce(messages(public(300)))
    programs.aggregator(topic, database, **in_bulk(stub, ip2location__daily_budget=70))
    database.wait_stored(topic)
    wait_until(lambda: database.value("SELECT sum(calls) FROM footfall.ip2location_calls") == 70, "the budget is spent")
    topic.produce(messages(public(300)))
    database.wait_stored(topic)
    assert len(stub.asked) <= 70 and max(stub.sizes) > 1


@pytest.mark.parametrize("reply, event", [
    (Reply(401, error(10000)), "key_refused"), (Reply(body={"8.8.8.0": error(10000)}), "key_refused"),
    (Reply(429, {"error": "rate limited"}, {"Retry-After": "3000"}), "too_many_requests")])
def test_a_service_that_does_not_want_many_is_left_alone(programs, topic, database, stub, reply, event):
    stub.answer = reply
    aggregator = programs.aggregator(topic, database, **in_bulk(stub))
    topic.produce(messages(["8.8.8.0"]))
    database.wait_stored(topic)
    wait_until(lambda: aggregator.log_text().count(f"event={event}") == 1, "it is said")
    for ip in public(5, 1):
        topic.produce(messages([ip]))
        database.wait_stored(topic)
    assert sources(database) == {"mmdb": 6} and stub.sizes == [1]
