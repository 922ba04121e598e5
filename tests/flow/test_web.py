# SPDX-License-Identifier: Apache-2.0
"""From a page to a row: real browser, real nginx, both programs, Kafka and Postgres."""
import json
import urllib.request

import pytest

from bench.web import VISITOR
from conftest import TOP

LONDON = {"country": "GB", "state": "England", "city": "London"}


def events(database, source):
    """Those of one source: the script and the mirror see the same pages."""
    return database.rows(
        "SELECT url, referrer, host, ip, geodata, country, state, city, round(latitude::numeric, 2)::float, geo_source"
        "  FROM processed_events WHERE source = %s ORDER BY event_timestamp, kafka_partition, kafka_offset", source)


def wait_events(database, source, count):
    database.wait(lambda: len(events(database, source)), lambda now: now >= count, f"{count} hits of source {source}")
    return events(database, source)


@pytest.fixture
def shop(programs, web, topic, database):
    """The demo shop with all that stands behind it."""
    collector = programs.collector(topic, mirror__listen=f"unix:{web.mirror}")
    programs.aggregator(topic, database, geo__databases=TOP / "tests/data/mmdb/world.mmdb")
    return web.serve(collector)


def check_place(row):
    _, _, _, ip, geodata, country, state, city, latitude, geo_source = row
    assert (ip, json.loads(geodata)) == (VISITOR, LONDON)
    assert (country, state, city, latitude, geo_source) == ("GB", "England", "London", 51.51, "mmdb")


def test_a_page_view_in_a_browser_becomes_a_row(shop, chromium, database):
    chromium.open(shop.url("/start.html"))  # leads on to the shoes
    rows = wait_events(database, "beacon", 1)
    assert [row[:3] for row in rows] == [(shop.url("/shoes.html?pair=2"), shop.url("/start.html"), "shop.example")]
    check_place(rows[0])
    agent, age = database.rows(
        "SELECT user_agent, now() AT TIME ZONE 'UTC' - event_timestamp FROM processed_events"
        "  JOIN user_agents ON user_agents.id = user_agent_id WHERE source = 'beacon'")[0]
    assert "Chrome" in agent and abs(age.total_seconds()) < 3600


def test_going_on_without_a_load_is_a_page_view_too(shop, chromium, database):
    chromium.open(shop.url("/walk.html"))
    rows = wait_events(database, "beacon", 2)
    assert sorted(row[:3] for row in rows) == [  # within a millisecond or two: which came first is not known
        (shop.url("/walk.html"), "", "shop.example"),
        (shop.url("/walk.html/further"), shop.url("/walk.html"), "shop.example")]
    # Both are one visit.
    assert database.rows("SELECT ip, host, events FROM footfall.open_sessions"
                         " UNION ALL SELECT ip, host, web_events FROM session_events_aggregated_ip") == [
        (VISITOR, "shop.example", 2)]


def test_a_mirrored_page_without_a_script_becomes_a_row(shop, chromium, database):
    chromium.open(shop.url("/plain.html?from=a%20friend"))
    rows = wait_events(database, "mirror", 1)
    assert [row[:3] for row in rows] == [("http://shop.example/plain.html?from=a%20friend", "", "shop.example")]
    check_place(rows[0])
    assert database.value("SELECT count(*) FROM processed_events") == 1


def test_an_address_that_the_visitor_forged_is_not_believed(shop, database):
    for path in ("/ff/v1/hit.gif?url=http%3A%2F%2Fshop.example%2Fpixel", "/plain.html"):
        fetch(shop.port, path)
    for source in ("pixel", "mirror"):
        assert [row[3] for row in wait_events(database, source, 1)] == [VISITOR]


def test_a_page_that_nginx_mirrors_twice_is_one_row(shop, database):
    """A folder's index is an internal redirect, which runs the mirror again."""
    fetch(shop.silent_port, "/")
    fetch(shop.silent_port, "/plain.html")
    assert [row[0] for row in wait_events(database, "mirror", 2)] == ["http://shop.example/", "http://shop.example/plain.html"]
    assert database.value("SELECT count(*) FROM processed_events") == 2


def fetch(port, path):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={
        "Host": "shop.example", "X-Forwarded-For": "8.8.8.8", "X-Real-IP": "8.8.4.4"})
    assert urllib.request.urlopen(request, timeout=60).status == 200
