# SPDX-License-Identifier: Apache-2.0
"""COMMITs of the aggregator that get lost on their way to Postgres, or whose replies do: it cannot know which, sends none again,
and the tables are right in both cases. And the way to Postgres fails altogether."""
import collections
import random
import time

import pytest

from bench import promises
from bench.commits import BATCH, CLAIM, LATE, SILENT, UNANSWERED, UNSENT, Commits
from bench.database import Database

RATE = 200  # hits a second
OUTAGE_S, LONG_OUTAGE_S = 2, 45
# Twenty of batches; whoever loses one claims all its partitions anew.
CUTS = [(BATCH, UNSENT), (BATCH, UNANSWERED)] * 10 + [(CLAIM, UNSENT), (CLAIM, UNANSWERED)] * 2
OUTCOMES = {UNSENT: "aborted", SILENT: "aborted", UNANSWERED: "committed", LATE: "committed"}


@pytest.fixture
def wire(database):
    """Its questions go over a connection of its own."""
    asked = Database(database.postgres, database.name)
    wire = Commits(asked)
    yield wire
    wire.close()
    asked.close()


@pytest.fixture
def visitors(programs, topic, load):
    visitors = load(programs.collector(topic), rate=RATE)
    visitors.wait_taken(1)
    return visitors


def check(wire, plan):
    """The server says of each transaction what the wire has done to it; nothing was committed outside of one."""
    assert [each[:2] for each in wire.lost] == plan
    assert [each.outcome for each in wire.lost] == [OUTCOMES[way] for _, way in plan]
    assert wire.count > len(plan) and not wire.strange


def check_membership(aggregator):
    """It never left the group."""
    figures = aggregator.metrics()
    assert (figures["footfall_assignments_total"], figures["footfall_revocations_total"]) == (1, 0)


def test_twenty_lost_commits_under_load(programs, topic, database, wire, visitors, seed, long):
    plan = CUTS * long
    random.Random(seed).shuffle(plan)
    aggregator = programs.aggregator(topic, database, postgres__conninfo=wire.conninfo)
    wire.lose(plan, seed)
    for count in range(len(plan)):
        wire.wait_lost(count + 1)
    visitors.stop()
    promises.check_stored(topic, database, visitors)
    check(wire, plan)
    outcomes = collections.Counter(each.outcome for each in wire.lost if each.kind == BATCH)
    assert min(outcomes["committed"], outcomes["aborted"]) >= 5, f"both must be seen: {outcomes}"
    check_membership(aggregator)
    assert aggregator.metrics()['footfall_batch_failures_total{outcome="retry"}'] >= len(plan)


@pytest.mark.parametrize("kind", [BATCH, CLAIM])
def test_a_connection_that_falls_silent_at_a_commit(programs, topic, database, wire, visitors, seed, kind):
    """Nobody is told: the aggregator and Postgres find out by themselves, and the row's lock is free again."""
    plan = [(BATCH, LATE), (kind, SILENT)]
    programs.aggregator(topic, database, postgres__conninfo=wire.conninfo)
    wire.lose(plan, seed)
    if kind == CLAIM:
        wire.wait_lost(1)
        programs.aggregator(topic, database)  # so that there is something to claim
    wire.wait_lost(len(plan))
    visitors.stop()
    promises.check_stored(topic, database, visitors)
    check(wire, plan)


@pytest.mark.parametrize("state", ["refuse", "cut", "lose_answers"])
def test_the_way_to_postgres_fails(programs, topic, database, wire, visitors, long, state):
    """For longer than any timeout of a connection, if the run is a long one."""
    aggregator = programs.aggregator(topic, database, postgres__conninfo=wire.conninfo)
    visitors.wait_taken(RATE)
    getattr(wire, state)()
    time.sleep(OUTAGE_S if long == 1 else LONG_OUTAGE_S)
    visitors.wait_taken(RATE)
    wire.heal()
    visitors.wait_taken(RATE)
    visitors.stop()
    promises.check_stored(topic, database, visitors)
    check_membership(aggregator)
    assert not wire.strange
