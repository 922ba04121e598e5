# SPDX-License-Identifier: Apache-2.0
"""An address is erased while aggregators write: nothing of it is left in any table, nothing else has changed, nothing comes back."""
import json
import signal
import subprocess
import threading

import pytest

from bench import hits, oracle
from bench.footfall import BUILD
from bench.hits import GAP_MS, Hit
from bench.topics import Message

SEED = 41
GONE = "81.2.69.142"
NEAR = "81.2.69.14"  # its text is a part of the other
HOST = "shop.example"


def of(ip, times, name, host=HOST):
    return [Hit(ts, ip, host, f"https://{host}/{name}/{ip}/{number}", f"https://{ip}.example/", hits.AGENTS[0])
            for number, ts in enumerate(times)]


def visits(ip, name):
    """Closed sessions over some days, on two hosts, and an open one."""
    now = hits.now_ms()
    closed = [now - 3_600_000 * hour - minute * 60_000 for hour in range(2, 60, 5) for minute in range(4)]
    return [*of(ip, closed, f"{name}/closed"), *of(ip, closed[::2], f"{name}/closed", "www.example.org"),
            *of(ip, [now - second * 1000 for second in range(30)], f"{name}/open")]


def rejects(topic):
    """What can be no hit, and whose it is."""
    bodies = [json.dumps({"ip": f"::FFFF:{GONE}", "host": HOST, "event_time": "2025-02-02T04:18:21Z"}), f'{{"ip":"{GONE}", broken',
              json.dumps({"headers": json.dumps({"X-Forwarded-For": f"10.0.0.1, {GONE}"})}), f"no hit of {NEAR}", f"1{GONE}"]
    return [Message(number % topic.partitions, None, body.encode()) for number, body in enumerate(bodies)]


def left(database, ip=GONE):
    """Of the address, by table; the look for its text is the plainest there is."""
    return {table: count for table, count in database.rows(
        f"""SELECT 'hits', count(*) FROM processed_events WHERE ip = '{ip}'
            UNION ALL SELECT 'sessions', count(*) FROM session_events_aggregated_ip WHERE ip = '{ip}'
            UNION ALL SELECT 'open', count(*) FROM footfall.open_session_pages WHERE strpos(changes, '"{ip}"') > 0
            UNION ALL SELECT 'strays', count(*) FROM footfall.strays WHERE ip = '{ip}'
            UNION ALL SELECT 'rejects', count(*) FROM rejected_hits WHERE encode(raw, 'escape') ~ '(^|[^0-9]){ip}($|[^0-9])'
            UNION ALL SELECT 'places', count(*) FROM footfall.ip_locations WHERE ip = '{ip}'
            UNION ALL SELECT 'pages', count(*) FROM footfall.folded_pages WHERE strpos(page, '/{ip}/') > 0
            UNION ALL SELECT 'page sums', count(*) FROM footfall.rollup_sums WHERE strpos(name, '/{ip}/') > 0""") if count}


@pytest.fixture
def stored(programs, topic, database):
    """Two aggregators, and what was there before: (aggregators, hits of others, of the near address, of the address, and their
    messages)."""
    two = [programs.aggregator(topic, database) for _ in range(2)]
    database.wait_shared(topic, 2)
    others, near, gone = hits.make(4000, SEED), visits(NEAR, "before"), visits(GONE, "before")
    messages = list(hits.from_collectors(gone, topic.partitions, SEED, repeated=0))
    topic.produce([*hits.from_collectors(others + near, topic.partitions, SEED + 1), *messages, *rejects(topic)])
    database.wait_stored(topic)
    database.wait(lambda: left(database).get("sessions", 0), lambda now: now > 10, "those of hours ago closed")
    database.execute("INSERT INTO footfall.ip_locations (ip, source, version, expires_at)"
                     " SELECT ip, 'ip2location', 1, 'infinity' FROM unnest(%s) AS ip", [GONE, NEAR])
    return two, others, near, gone, messages


def produce_meanwhile(topic, some):
    """In a thread: all these, in many small portions."""
    messages = list(hits.from_collectors(some, topic.partitions, SEED + 2, repeated=0))
    thread = threading.Thread(target=lambda: [topic.produce(messages[at:at + 100]) for at in range(0, len(messages), 100)])
    thread.start()
    return thread


def stored_of(database, some):
    urls = {url for (url,) in database.rows("SELECT url FROM processed_events WHERE ip = %s", GONE)}
    return [each for each in some if each.url in urls]


def check_killed_before_commit(database, aggregator, whole):
    """Nothing has changed."""
    assert left(database).keys() >= {"hits", "sessions", "open"}
    for moment in ("erase_locked", "before_erase_commit"):
        assert aggregator.command("erase", GONE, failpoint=moment)[0] == -signal.SIGKILL
        oracle.check(database, whole)
        assert left(database).items() >= {("rejects", 3), ("places", 1)}


def check_killed_after_commit(database, topic, aggregator, rest):
    """All is gone; a second time there is nothing to do, and nobody is fenced."""
    assert aggregator.command("erase", NEAR, failpoint="after_erase_commit")[0] == -signal.SIGKILL
    oracle.check(database, rest)
    holders = database.holders(topic)
    status, said, _ = aggregator.command("erase", NEAR)
    assert status == 0 and said.startswith(f"nothing of {NEAR} was found")
    assert database.holders(topic).items() >= holders.items()
    assert left(database, NEAR) == {}


def check_receipt(topic, said, at_least):
    rows = dict(line.split() for line in said.splitlines() if line.startswith("  ") and len(line.split()) == 2)
    assert said.startswith(f"{GONE} was erased")
    assert f"Kafka topic {topic.name} on {topic.kafka.brokers}: until its retention.ms of" in said
    assert int(rows["processed_events"]) > at_least and int(rows["session_events_aggregated_ip"]) > 10
    assert int(rows["footfall.open_session_changes"]) > 0
    assert rows["rejected_hits"] == "3" and rows["footfall.ip_locations"] == "1"


def test_erased_under_load(stored, topic, database, long):
    """What is stored before the moment goes, what is stored later stays, both exactly, whatever is killed."""
    (first, second), others, near, gone, messages = stored
    check_killed_before_commit(database, first, others + near + gone)
    meanwhile = hits.make(6000 * long, SEED + 3)
    arriving = of(GONE, [hits.now_ms() + number for number in range(len(meanwhile) // 20)], "meanwhile")
    load = produce_meanwhile(topic, [hit for at, one in enumerate(arriving) for hit in (one, *meanwhile[20 * at:20 * at + 20])])
    database.wait(lambda: len(stored_of(database, arriving)), lambda now: now > 0, "some that arrive are stored")
    status, said, complaint = first.command("erase", f"::ffff:{GONE}")
    assert status == 0, complaint
    check_receipt(topic, said, len(gone))
    load.join()
    if long > 1:
        database.wait_stored(topic)  # the owners come back by themselves, too
        assert "or by a command such as erase" in first.log_text() + second.log_text()
    for each in (first, second):
        each.stop_well()
        each.start_again()
    # What is sent once more does not come back, nor do open sessions that are loaded anew; later hits are new ones.
    late = of(GONE, [gone[0].ts + 1000, gone[0].ts + GAP_MS, gone[-1].ts, gone[-1].ts + 1], "late")
    topic.produce([*messages, *hits.from_old_producers(late, topic.partitions)])
    database.wait_stored(topic)
    stayed = stored_of(database, arriving)
    assert stored_of(database, gone) == []
    oracle.check(database, others + near + meanwhile + stayed + late)
    assert database.rows("SELECT encode(raw, 'escape') FROM rejected_hits ORDER BY 1") == [(f"1{GONE}",), (f"no hit of {NEAR}",)]
    assert database.rows("SELECT ip FROM footfall.ip_locations") == [(NEAR,)]
    assert database.value("SELECT footfall.recount_rollups('-infinity', 'infinity')") == 0
    check_killed_after_commit(database, topic, first, others + meanwhile + stayed + late)


def test_what_is_no_address_is_refused():
    for wrong in ((), ("",), ("81.2.69",), ("81.2.69.142/32",), ("[2001:db8::1]",), ("fe80::1%eth0",), (GONE, NEAR)):
        done = subprocess.run([BUILD / "bin/footfall-aggregator", "erase", *wrong], stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 64 and "erase needs" in done.stderr, wrong
