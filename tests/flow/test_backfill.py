# SPDX-License-Identifier: Apache-2.0
"""backfill-geo: rows that a file placed get what the service says; nothing else changes."""
import datetime
import subprocess

import pytest

from bench.footfall import BUILD
from bench.ip2location import KEY, Reply, place

HOURS = 5
FIRST = datetime.datetime.utcnow().replace(minute=0, second=0, microsecond=0) - datetime.timedelta(days=2)


@pytest.fixture
def stored(migrated):
    """A migrated database with hits of 100 addresses in each of some hours, and a stored session for each."""
    database = migrated
    for hour in range(HOURS):
        at = FIRST + datetime.timedelta(hours=hour)
        database.execute("SELECT footfall.make_day(%s::date)", at)
        database.execute(
            "INSERT INTO processed_events (ip, event_timestamp, referrer, host, url, geodata, country, geo_source)"
            " SELECT '8.8.4.' || n, %s::timestamp + n * interval '30 s', '', 'shop.example', 'https://shop.example/' || n,"
            "        '{\"country\": \"US\", \"state\": \"-\", \"city\": \"-\"}', 'US',"
            "        CASE n %% 4 WHEN 0 THEN 'none' WHEN 1 THEN 'api' ELSE 'mmdb' END"
            "   FROM generate_series(1, 100) n", at)
        database.execute("INSERT INTO processed_events (ip, event_timestamp, geodata, geo_source)"
                         " VALUES ('10.0.0.1', %s, '{}', 'private')", at)
        database.execute(
            "INSERT INTO session_events_aggregated_ip (start_session, end_session, ip, host, web_events, last_hit, bot_events,"
            "                                          entry_url, country)"
            " SELECT event_timestamp, event_timestamp + interval '5 min', ip, host, 1, event_timestamp, 0, url, country"
            "   FROM processed_events WHERE event_timestamp >= %s::timestamp AND geo_source <> 'private'", at)
    database.execute("SELECT footfall.recount_rollups('-infinity', 'infinity')")
    return database


def backfill(database, stub, *arguments, **settings):
    values = {"postgres.conninfo": database.conninfo, "ip2location.url": stub.url, "ip2location.key": KEY,
              **{key.replace("__", "."): value for key, value in settings.items()}}
    options = [text for key, value in values.items() for text in ("--set", f"{key}={value}")]
    return subprocess.run([BUILD / "bin/footfall-aggregator", *options, "backfill-geo", *arguments], text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)


def sources(database):
    return dict(database.rows("SELECT geo_source, count(*) FROM processed_events GROUP BY 1"))


def test_rows_and_sessions_get_the_place_of_the_service(stored, stub):
    done = backfill(stored, stub)
    assert done.returncode == 0, done.stderr
    assert f"done: {75 * HOURS} hits and {75 * HOURS} sessions changed, 0 addresses left" in done.stdout
    assert sources(stored) == {"api": 100 * HOURS, "private": HOURS}
    assert len(stub.addresses()) == len(set(stub.addresses())) == 75
    for ip, geodata, country, state, city, latitude in stored.rows(
            "SELECT ip, geodata, country, state, city, latitude FROM processed_events"
            " WHERE geo_source = 'api' AND split_part(ip, '.', 4)::int % 4 <> 1"):
        expected = place(ip)["city_name"]
        assert (country, state, city) == ("IN", "Karnataka", expected) and abs(latitude - 12.97194) < 0.001
        assert geodata == f'{{"country": "IN", "state": "Karnataka", "city": "{expected}"}}'
    assert stored.rows("SELECT s.ip FROM session_events_aggregated_ip s JOIN processed_events p"
                       "    ON p.ip = s.ip AND p.event_timestamp = s.start_session"
                       " WHERE (s.country, s.city) IS DISTINCT FROM (p.country, p.city)") == []
    assert stored.value("SELECT count(*) FROM processed_events WHERE country = 'US'") == 25 * HOURS  # had an answer before
    assert stored.value("SELECT sum(hits) FROM traffic_by_hour WHERE state = 'Karnataka'") == 75 * HOURS
    assert stored.value("SELECT footfall.recount_rollups('-infinity', 'infinity')") == 0, "rollups differ from the hits"
    assert "0 hits and 0 sessions changed" in backfill(stored, stub).stdout and len(stub.asked) == 75


def test_a_session_keeps_the_place_of_its_first_hit(stored, stub):
    """The service had answered for that one, and was away for the next."""
    stored.execute(
        "INSERT INTO processed_events (ip, event_timestamp, referrer, host, url, geodata, country, geo_source)"
        " SELECT ip, event_timestamp + later, '', host, url || '/next', geodata, country, 'mmdb'"
        "   FROM processed_events, unnest(ARRAY['0 s', '1 s']::interval[]) AS later WHERE geo_source = 'api'")
    assert backfill(stored, stub).returncode == 0
    assert sources(stored) == {"api": 150 * HOURS, "private": HOURS}
    assert stored.rows("SELECT s.ip FROM session_events_aggregated_ip s JOIN processed_events p"
                       "    ON p.ip = s.ip AND p.event_timestamp = s.start_session AND p.url = s.entry_url"
                       " WHERE (s.country, s.city) IS DISTINCT FROM (p.country, p.city)") == []


def test_only_since(stored, stub):
    since = FIRST + datetime.timedelta(hours=HOURS - 1)
    done = backfill(stored, stub, "--since", since.strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert done.returncode == 0 and sources(stored)["api"] == 25 * HOURS + 75
    assert backfill(stored, stub, "--since", FIRST.strftime("%Y-%m-%d")).returncode == 0
    assert sources(stored)["api"] == 100 * HOURS


def test_an_address_with_an_open_session_is_left(stored, stub):
    stored.execute("INSERT INTO footfall.open_session_pages VALUES ('hits', 0, 1, 0, %s)",
                   '[["8.8.4.2", "shop.example", 0, 0, 1, 0, null, null, null, null, null, null]]')
    stored.execute("INSERT INTO footfall.strays (topic, home, ip, host, start_hit, last_hit, events, bot_events)"
                   " VALUES ('hits', 0, '8.8.4.3', 'shop.example', now(), now(), 1, 0)")
    done = backfill(stored, stub)
    assert done.returncode == 0 and f"{2 * HOURS} addresses left for the next run" in done.stdout
    kept = stored.rows("SELECT DISTINCT ip, geo_source FROM processed_events WHERE ip IN ('8.8.4.2', '8.8.4.3')")
    assert set(kept) == {("8.8.4.2", "mmdb"), ("8.8.4.3", "mmdb")}
    stored.execute("DELETE FROM footfall.open_session_pages")
    stored.execute("DELETE FROM footfall.strays")
    assert backfill(stored, stub).returncode == 0 and sources(stored)["api"] == 100 * HOURS


def test_it_stops_when_the_budget_is_spent_and_goes_on_later(stored, stub):
    done = backfill(stored, stub, ip2location__daily_budget=70)
    assert done.returncode == 75 and "budget" in done.stderr and "go on here" in done.stdout
    assert len(stub.asked) <= 70
    done = backfill(stored, stub, ip2location__daily_budget=200)
    assert done.returncode == 0 and sources(stored) == {"api": 100 * HOURS, "private": HOURS}
    assert len(stub.asked) == 75


def test_what_the_service_does_not_know_stays(stored, stub):
    stub.answer = lambda ip: Reply(body=place(ip, country_code="-"))
    before = sources(stored)
    done = backfill(stored, stub)
    assert done.returncode == 0 and sources(stored) == before


def test_a_service_that_is_away_changes_nothing(stored, stub):
    stub.answer = Reply(503, b"")
    before = sources(stored)
    done = backfill(stored, stub)
    assert done.returncode == 75 and "left alone" in done.stderr and sources(stored) == before
    assert len(stub.asked) <= 16


def test_wrong_uses_are_refused(database, stub):
    for since in ("yesterday", "0001-01-01", "2015-13-01", f"2025-01-01{'0' * 100}"):
        assert backfill(database, stub, "--since", since).returncode == 64
    assert backfill(database, stub, "--from", "2025-02-02").returncode == 64
    assert backfill(database, stub, ip2location__key="").returncode == 78
    assert backfill(database, stub).returncode == 69  # no tables
