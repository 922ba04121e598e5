# SPDX-License-Identifier: Apache-2.0
"""One set of hits in many orders: however they arrive, in whatever batches, read by whom and interrupted when: the same tables."""
import functools
import random
import signal

from bench import hits, oracle
from bench.database import Database
from bench.topics import Topic
from conftest import TOP

SEED = 20
ORDERS = 20
AT_ONCE = 10  # most of their time is waiting
BATCH_MESSAGES = (20, 150, 20_000)
PARTITIONS = (3, 12, 5, 1)
MOMENTS = ("after_fence_check", "inside_copy", "before_commit", "after_commit")
HOUR_MS = 3_600_000


# ---- Orders: of (hit, fields) ----

def by_time(contents, _):
    return sorted(contents, key=lambda each: each[0])


def backwards(contents, rng):
    return by_time(contents, rng)[::-1]


def shuffled(contents, rng):
    return rng.sample(contents, len(contents))


def some_late_by_hours(contents, rng):
    late = {each[0]: rng.choice((0, 0, 0, 1, 3, 30)) * HOUR_MS for each in contents}
    return sorted(contents, key=lambda each: each[0].ts + late[each[0]])


def bridges_last(contents, rng):
    """Of every three neighbours the middle one comes in the second half: it joins what were two sessions."""
    ordered = by_visitor(contents, rng)
    return [*ordered[::3], *ordered[2::3], *ordered[1::3]]


def by_visitor(contents, _):
    return sorted(contents, key=lambda each: (each[0].host, each[0].ip, each[0]))


def outside_in(contents, _):
    """The first, the last, the second …: everything is late, and each lies within what is there."""
    ordered = by_visitor(contents, _)
    return [each for pair in zip(ordered, ordered[::-1]) for each in pair][:len(ordered)]


ARRANGEMENTS = (by_time, backwards, shuffled, some_late_by_hours, bridges_last, by_visitor, outside_in)


class Order:
    """One of them, with a topic, a database and one to three aggregators of its own, which end in the middle."""

    def __init__(self, number, contents, programs, topic, database):
        rng = random.Random(SEED + number)
        self.topic, self.database = topic, database
        arrangement = ARRANGEMENTS[number % len(ARRANGEMENTS)]
        self.messages = list(hits.from_everybody(arrangement(contents, rng), topic.partitions, rng))
        self.moment = f"{rng.choice(MOMENTS)}:{rng.randrange(1, 3)}" if number % 3 else ""
        self.is_settled, self.is_killed = number < AT_ONCE, number % 2 == 0
        size = BATCH_MESSAGES[number % len(BATCH_MESSAGES)]
        self.start = functools.partial(
            programs.aggregator, topic, database, ready=False, env={"FOOTFALL_FAILPOINT_NUMBERS": f"batch_messages={size}"},
            geo__databases=TOP / "tests/data/mmdb/world.mmdb", rdkafka__session__timeout__ms="2000",
            rdkafka__heartbeat__interval__ms="500")
        self.count = 1 + number // len(BATCH_MESSAGES) % 3
        self.text = f"order {number}: {arrangement.__name__}, {self.count} aggregators, batches of {size}"
        self.members = []

    def produce(self, start, end):
        """Of tenths."""
        count = len(self.messages)
        self.topic.produce(self.messages[count * start // 10:count * end // 10])

    def begin(self):
        self.produce(0, 6)
        self.members = [self.start(failpoint=self.moment)]

    def interrupt(self):
        """The first one ends in a batch, or between two; then the others join it."""
        first = self.members[0]
        if self.moment:
            first.wait_killed()
        else:
            self.database.wait(lambda: self.database.positions(self.topic), lambda now: max(now.values(), default=0) > 0, "some stored")
            first.stop_well()
        first.start_again(wait=False)
        self.members += [self.start() for _ in range(self.count - 1)]

    def settle(self):
        """The first ones: what comes later finds closed sessions only."""
        if self.is_settled:
            self.finish()

    def go_on(self):
        self.produce(6, 8)
        last = self.members[-1]
        if self.is_killed:
            last.kill()
        else:
            last.stop_well()
        self.produce(8, 10)
        last.start_again(wait=False)

    def finish(self):
        self.database.wait_stored(self.topic)
        oracle.wait_all_closed(self.database)

    def check(self, some, expected):
        """The tables' fingerprints, which are the expected ones if there are any."""
        found = self.database.fingerprints()
        if found != expected:
            oracle.check(self.database, some)  # says what is wrong
        assert expected in (None, found), self.text
        self.database.close()
        for member in self.members:
            member.send_signal(signal.SIGTERM)
        return found


def test_the_same_tables(programs, kafka, postgres, long):
    some = hits.make(1500 * long, SEED)
    contents = hits.with_content(some, SEED)

    def prepare(number):
        topic = Topic(kafka, f"order-{number}", PARTITIONS[number % len(PARTITIONS)]).create()
        return Order(number, contents, programs, topic, Database(postgres, f"footfall_order_{number}").create())

    expected = None
    for number in range(0, ORDERS, AT_ONCE):
        wave = [prepare(each) for each in range(number, min(number + AT_ONCE, ORDERS))]
        for step in (Order.begin, Order.interrupt, Order.settle, Order.go_on, Order.finish):
            for order in wave:
                step(order)
        for order in wave:
            expected = order.check(some, expected)
        for member in (each for order in wave for each in order.members):
            assert member.wait_left() == 0
