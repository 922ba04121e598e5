# SPDX-License-Identifier: Apache-2.0
"""Partitions that wait for a person: what halts them, what the log says, and that the command it names mends it, while the
aggregator runs."""
import collections
import json
import os
import re

import pytest

from bench import hits, oracle
from bench.documents import blocks
from bench.halts import named_command, start_again, wait_halted
from bench.topics import Message, Topic
from conftest import TOP
from servers import wait_until

SEED = 17


@pytest.fixture
def some():
    return hits.make(6000, SEED)


def url_of(message):
    return json.loads(message.value)["url"]


def test_records_deleted_while_it_was_away(programs, topic, database, some):
    """It must not jump over what it has never seen: that is for a person to decide."""
    messages = list(hits.from_collectors(some, topic.partitions, SEED, repeated=0))
    topic.produce(messages[:3000])
    aggregator = programs.aggregator(topic, database)
    database.wait_stored(topic)
    aggregator.stop_well()
    stood_at = database.positions(topic)[3]
    topic.produce(messages[3000:])
    ends = {partition: end for partition, (_, end) in enumerate(topic.watermarks())}
    first_kept = ends[3] - 1
    lost = {url_of(each) for each in topic.read() if each.partition == 3 and stood_at <= each.offset < first_kept}
    assert lost
    topic.delete_before({3: first_kept})
    start_again(aggregator)
    wait_halted(aggregator)
    database.wait(lambda: database.positions(topic), lambda now: all(now[each] == ends[each] for each in ends if each != 3),
                  "the others go on")
    assert database.positions(topic)[3] == stood_at
    what = f"{len(lost)} records are gone that were not stored, offsets {stood_at} to {first_kept - 1}"
    assert what in aggregator.log_text()

    status, _, said = aggregator.command("resume", "3")
    assert status == os.EX_CONFIG and what in said
    assert database.positions(topic)[3] == stood_at
    command = named_command(aggregator, 3)
    assert command == ["resume", "3", "--accept-loss"]
    status, said, _ = aggregator.command(*command)
    assert status == 0 and f"goes on at offset {first_kept}" in said and what in said
    database.wait_stored(topic)
    wait_halted(aggregator, 0)
    oracle.check(database, [hit for hit in some if hit.url not in lost])
    assert database.rows("SELECT partition, from_offset, to_offset, records FROM footfall.losses") == [
        (3, stood_at, first_kept, len(lost))]
    assert aggregator.command("resume", "3")[0] == 0, "once more does no harm"


@pytest.mark.parametrize("is_running", [False, True])
def test_a_topic_that_was_made_anew(programs, topic, database, some, is_running):
    aggregator = programs.aggregator(topic, database)
    messages = list(hits.from_collectors(some, topic.partitions, SEED, repeated=0))
    topic.produce(messages[:4000])
    database.wait_stored(topic)
    stood_at = database.positions(topic)
    if not is_running:
        aggregator.stop_well()
    topic.delete()
    topic.create()
    topic.produce(messages[3000:])  # a thousand of them once more, as from a journal
    if not is_running:
        start_again(aggregator)
    wait_halted(aggregator, topic.partitions)
    assert database.positions(topic) == stood_at
    for partition in range(topic.partitions):
        assert aggregator.command("resume", str(partition))[0] == os.EX_CONFIG
        status, said, _ = aggregator.command(*named_command(aggregator, partition))
        assert status == 0 and f"before offset {stood_at[partition]}" in said and "cannot be known" in said
    wait_halted(aggregator, 0)
    database.wait_stored(topic)
    oracle.check(database, some)


def test_a_topic_of_another_name(programs, kafka, topic, database):
    """As operations.md says: sessions that are open go on in the other topic, where visitors are in other partitions."""
    some = hits.make(3000, SEED, until=hits.now_ms() + 3_600_000)  # up to now
    topic.produce(hits.from_collectors(some[:1500], topic.partitions, SEED))
    aggregator = programs.aggregator(topic, database)
    database.wait_stored(topic)
    aggregator.stop_well()
    assert database.value("SELECT count(*) FROM footfall.open_sessions") > 50
    other = Topic(kafka, f"{topic.name}-2", 5).create()
    other.produce(hits.from_collectors(some[1500:], other.partitions, SEED + 1))
    [block] = [each.text for each in blocks(TOP / "docs/operations.md") if "footfall.open_session_pages" in each.text]
    database.execute(block.replace("'hits", f"'{topic.name}").replace("24", "5"))
    programs.aggregator(other, database)
    database.wait_stored(other)
    oracle.check(database, some)
    assert database.value("SELECT count(*) FROM footfall.open_sessions WHERE topic = %s", topic.name) == 0


def test_another_cluster(programs, topic, database, some):
    """The same as far as we can tell: the offsets are another cluster's. Nothing is written to the row, which somebody with the
    right settings may hold."""
    topic.produce(hits.from_collectors(some, topic.partitions, SEED))
    aggregator = programs.aggregator(topic, database)
    database.wait_stored(topic)
    aggregator.stop_well()
    mine = database.value("SELECT cluster_id FROM footfall.partitions WHERE partition = 5")
    database.execute("UPDATE footfall.partitions SET cluster_id = 'another' WHERE partition IN (5, 6)")
    start_again(aggregator)
    wait_halted(aggregator, 2)
    assert mine in aggregator.log_text() and "another" in aggregator.log_text()
    assert database.value("SELECT count(*) FROM footfall.partitions WHERE halted_at IS NOT NULL") == 0
    status, said, _ = aggregator.command(*named_command(aggregator, 5))
    assert status == 0 and "another cluster" in said
    wait_halted(aggregator, 1)
    database.execute("UPDATE footfall.partitions SET cluster_id = %s WHERE partition = 6", mine)
    wait_halted(aggregator, 0)
    database.wait_stored(topic)
    oracle.check(database, some)  # partition 5 was read once more: all of it is known by its numbers


def test_too_many_rejects(programs, topic, database, some):
    """Over one percent of a partition's messages: it halts, and stays so through a restart and for another aggregator."""
    good = list(hits.from_collectors(some * 2, topic.partitions, SEED, repeated=0))
    [(number, count)] = collections.Counter(each.partition for each in good).most_common(1)
    assert count > 990
    ours = [each for each in good if each.partition == number]
    others = [each for each in good if each.partition != number]
    bad = [Message(number, b"bad", b"no hit") for _ in range(20)]
    topic.produce(ours[:990] + bad + ours[990:] + others)
    aggregator = programs.aggregator(topic, database)
    wait_halted(aggregator)
    database.wait(lambda: database.value("SELECT count(*) FROM footfall.partitions WHERE halted_at IS NOT NULL"),
                  lambda now: now == 1, "the halt is kept")
    line = next(line for line in aggregator.log_text().splitlines() if "partition_halted" in line)
    assert "11 of its last 1001 messages cannot be hits, more than 1 %; the last one, at offset 1000: " in line
    aggregator.kill()
    other = programs.aggregator(topic, database)
    wait_halted(other)
    assert database.positions(topic)[number] == 1001
    status, said, _ = other.command(*named_command(other, number))
    assert status == 0 and "goes on at offset 1001; nothing is lost" in said
    database.wait_stored(topic)
    wait_halted(other, 0)
    assert database.value("SELECT count(*) FROM rejected_hits") == len(bad)
    assert database.value("SELECT count(*) FROM processed_events") == 2 * len(some)


def test_two_aggregators_see_a_halt_and_its_end(programs, topic, database, some):
    programs.aggregator(topic, database)
    programs.aggregator(topic, database)
    database.wait_shared(topic, 2)
    newer = Message(7, b"newer", json.dumps({"v": 2}).encode())
    topic.produce([newer, *hits.from_collectors(some, topic.partitions, SEED)])

    def halted():
        return sum(each.metrics().get("footfall_partitions_halted", 0) for each in programs.all)
    wait_until(lambda: halted() == 1, "one of them says so")
    first = next(each for each in programs.all if each.metrics()["footfall_partitions_halted"] == 1)
    second = next(each for each in programs.all if each is not first)
    first.kill()
    wait_halted(second)
    database.execute("UPDATE footfall.partitions SET next_offset = 1 WHERE partition = 7")  # as if it were of our version
    assert second.command("resume", "7")[0] == 0
    database.wait_stored(topic)
    oracle.check(database, some)


def test_a_missing_right_halts_all_and_all_are_resumed(programs, topic, database, some):
    """SQLSTATE 42501: no partition can be written, and each says so; nothing was lost when the right is there again."""
    aggregator = programs.aggregator(topic, database)
    topic.produce(hits.from_collectors(some[:3000], topic.partitions, SEED))
    database.wait_stored(topic)
    database.execute("CREATE FUNCTION deny() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                     " RAISE EXCEPTION 'permission denied' USING ERRCODE = '42501'; END $$;"
                     " CREATE TRIGGER deny BEFORE INSERT ON processed_events FOR EACH ROW EXECUTE FUNCTION deny()")
    topic.produce(hits.from_collectors(some[3000:], topic.partitions, SEED + 1))
    wait_halted(aggregator, topic.partitions)
    database.wait(lambda: database.value("SELECT count(*) FROM footfall.partitions WHERE halt_reason LIKE '%%mend the rights%%'"),
                  lambda now: now == topic.partitions, "all halts are kept")
    database.execute("DROP TRIGGER deny ON processed_events")
    status, said, _ = aggregator.command("resume", "all")
    assert status == 0 and len(re.findall("goes on at offset .*; nothing is lost", said)) == topic.partitions
    database.wait_stored(topic)
    wait_halted(aggregator, 0)
    oracle.check(database, some)


@pytest.mark.parametrize("arguments", [[], ["x"], ["-1"], ["3", "--accept"], ["3", "--accept-loss", "4"], ["1000000000000"]])
def test_what_cannot_be_resumed_is_refused(programs, topic, database, arguments):
    aggregator = programs.aggregator(topic, database)
    status, _, said = aggregator.command("resume", *arguments)
    assert status == os.EX_USAGE and said
    assert aggregator.command("resume", "12")[0] != 0
