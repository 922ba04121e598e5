# SPDX-License-Identifier: Apache-2.0
"""The queries of sql/reports against answers computed here, on the tables they were first written for (with nothing but
their columns) and on ours; and the views of the same name."""
import collections
import csv
import datetime
import decimal
import io
import json
import os
import pathlib
import random
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
FILES = {path.stem: path for path in sorted((TOP / "sql/reports").glob("*.sql"))}

OLD_TABLES = """
CREATE TABLE processed_events (ip varchar, event_timestamp timestamp(3), referrer varchar, host varchar, url varchar, geodata varchar);
CREATE TABLE session_events_aggregated_ip (start_session timestamp(3), end_session timestamp(3), ip varchar, host varchar, web_events bigint);
"""
HOSTS = ["example.com", "shop.example.org", "bücher.example", "blog.example.net"]
PLACES = [("IN", "Karnataka", "Bengaluru"), ("IN", "-", "-"), ("DE", "Bayern", "München"), ("BR", "São Paulo", "São Paulo"),
          ("JP", "東京都", "千代田区"), ("US", "California", 'a "quoted" city'), ("-", "-", "-")]
NOTHING = ["{}", "", None]
FIRST_DAY = datetime.datetime(2024, 2, 27)
DAYS = 5  # with a leap day among them
MS = datetime.timedelta(milliseconds=1)
DAY = datetime.timedelta(days=1)

Hit = collections.namedtuple("Hit", "ip event_timestamp referrer host url geodata place")
Session = collections.namedtuple("Session", "start_session end_session ip host web_events")


# ---- What is in the tables ----

def some_time(dice):
    midnight = FIRST_DAY + dice.randrange(DAYS) * DAY
    return dice.choice([
        midnight, midnight + DAY - MS, midnight + dice.randrange(24) * DAY / 24, midnight + dice.randrange(86_400_000) * MS])


def some_place(dice):
    """(geodata as one of its writers writes it, country, state)"""
    if dice.random() < 0.2:
        return dice.choice(NOTHING), "-", "-"
    country, state, city = dice.choices(PLACES, weights=range(1, len(PLACES) + 1))[0]
    text = json.dumps({"country": country, "state": state, "city": city}, ensure_ascii=dice.random() < 0.5)
    return text, country, state


def make_hits(dice, count):
    hits = []
    for number in range(count):
        geodata, *place = some_place(dice)
        hits.append(Hit(f"198.51.100.{dice.randrange(40)}", some_time(dice), "", dice.choice(HOSTS), f"https://x/{number}",
                        geodata, tuple(place)))
    return hits


def make_sessions(dice, count):
    keys = {(some_time(dice), f"198.51.100.{dice.randrange(40)}", dice.choice(HOSTS)) for _ in range(count)}
    return [Session(start, start + (300_000 + dice.randrange(900_000)) * MS, ip, host, dice.choice([1, 1, 2, 3, 7, 100]))
            for start, ip, host in sorted(keys)]


# ---- What the reports must say ----

def rounded(numerator, denominator):
    with decimal.localcontext() as context:
        context.prec = 40
        return (decimal.Decimal(numerator) / denominator).quantize(decimal.Decimal("0.01"), decimal.ROUND_HALF_UP)


def counted(keys):
    return sorted((*key, count) for key, count in collections.Counter(keys).items())


def with_share(rows):
    total = sum(row[-1] for row in rows)
    return [(*row, rounded(100 * row[-1], total)) for row in rows]


def most_first(rows, width):
    return sorted(rows, key=lambda row: (-row[width], row))


def average_events(sessions):
    events = collections.defaultdict(list)
    for session in sessions:
        events[session.host].append(session.web_events)
    return [(host, len(each), rounded(sum(each), len(each))) for host, each in sorted(events.items())]


def expected(hits, sessions):
    return {
        "hits_by_host_and_date": counted((hit.host, hit.event_timestamp.date()) for hit in hits),
        "hits_by_country": most_first(with_share(counted((hit.place[0],) for hit in hits)), 1),
        "hits_by_country_and_state": most_first(counted(hit.place for hit in hits), 2),
        "hits_by_hour": with_share(counted((hit.event_timestamp.hour,) for hit in hits)),
        "sessions_by_minute_and_host": counted(
            (each.start_session.replace(second=0, microsecond=0), each.host) for each in sessions),
        "average_events_by_host": average_events(sessions),
        "sessions_by_host_and_date": counted((each.host, each.start_session.date()) for each in sessions),
    }


# ---- The tests ----

@pytest.fixture(scope="module", params=[1, 2])
def rows(request):
    dice = random.Random(request.param)
    return make_hits(dice, 3000), make_sessions(dice, 1200)


def insert(database, table, rows, **more):
    """more: columns that the rows do not name, each a function of the row."""
    columns = [*(name for name in rows[0]._fields if name != "place"), *more]
    with database.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})",
            [[more[name](row) if name in more else getattr(row, name) for name in columns] for row in rows])


def psql(database, *arguments):
    done = subprocess.run(
        ["psql", "-Xq", database.conninfo, "-v", "ON_ERROR_STOP=1", *arguments], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env={**os.environ, "PGTZ": "Asia/Kolkata", "PGCLIENTENCODING": "UTF8"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def answer(database, name):
    return [tuple(row) for row in csv.reader(io.StringIO(psql(database, "--csv", "-t", "-f", FILES[name])))]


def texts(rows):
    return [tuple(str(value) for value in row) for row in rows]


@pytest.fixture
def old(database, rows):
    """The tables of before, not ours."""
    hits, sessions = rows
    database.execute(OLD_TABLES)
    insert(database, "processed_events", hits)
    insert(database, "session_events_aggregated_ip", sessions)
    return database


@pytest.fixture
def ours(database, rows):
    """Our tables, their own columns filled with something else than geodata says."""
    hits, sessions = rows
    for path in sorted((TOP / "sql/migrations").glob("*.sql")):
        psql(database, "--single-transaction", "-f", path)
    database.execute("SELECT footfall.make_day(%s::date + day) FROM generate_series(0, %s) AS day", FIRST_DAY, DAYS)
    insert(database, "processed_events", hits, country=lambda hit: "XX", state=lambda hit: hit.url)
    insert(database, "session_events_aggregated_ip", sessions, last_hit=lambda each: each.start_session,
           bot_events=lambda each: 0)
    return database


def test_there_is_a_file_for_each_question():
    assert sorted(FILES) == sorted(expected([], []))


def test_files_answer_on_the_columns_of_the_tables_before(old, rows):
    for name, answers in expected(*rows).items():
        assert answer(old, name) == texts(answers), name


def test_files_and_views_answer_on_our_tables(ours, rows):
    for name, answers in expected(*rows).items():
        assert answer(ours, name) == texts(answers), name
        assert ours.rows(f"SELECT * FROM report_{name}") == answers, name


def test_views_are_the_files(ours):
    """Word for word, as the server understands them."""
    for name, path in FILES.items():
        ours.execute(f"CREATE VIEW file_{name} AS {path.read_text()}")
        assert ours.value(f"SELECT pg_get_viewdef('report_{name}') = pg_get_viewdef('file_{name}')"), name


def test_files_answer_nothing_on_empty_tables(database):
    database.execute(OLD_TABLES)
    for name in FILES:
        assert answer(database, name) == [], name


def test_readers_may_read_the_views(ours):
    for name in FILES:
        assert ours.rows("SELECT privileges FROM footfall.rights WHERE role = 'footfall_reader' AND relation = %s",
                         f"public.report_{name}") == [("SELECT",)], name
