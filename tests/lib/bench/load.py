# SPDX-License-Identifier: Apache-2.0
"""Visitors who post hits to a collector all the time, and what they were told about each.

Every hit has an id of its own, so that one that is stored twice, or not at all, can be named. What they were told is kept
by id: TAKEN (2xx), REFUSED (an answer that promises nothing), UNKNOWN (no answer). A hit that was taken must be one row; of
the others there may be one, never two. A row must say what was posted, and sessions must be what the rows give: the time of a
hit is the collector's, so it is taken from the row, within the bounds that a visitor knows."""
import collections
import contextlib
import http.client
import itertools
import json
import random
import threading
import time
import uuid

from bench import oracle
from bench.hits import AGENTS, GAP_MS, Hit, now_ms
from servers import wait_until

TAKEN, REFUSED, UNKNOWN = "taken", "refused", "unknown"
HOSTS = ("shop.example", "www.example.org", "blog.example.org")
ANSWER_S = 60        # a machine is slow at times; the collector itself gives up earlier
RECONNECT_S = 0.02   # between two attempts to reach a collector that is away
AGES_MS = (0, 0, 0, 900, GAP_MS - 1, GAP_MS, GAP_MS + 1, 3 * GAP_MS, 3_600_000)
_ROWS = ("SELECT hit_id::text, (extract(epoch FROM event_timestamp) * 1000)::bigint, ip, host, url, referrer, user_agent"
         "  FROM processed_events LEFT JOIN user_agents ON user_agents.id = user_agent_id")


class Load:
    """Threads of visitors. It goes on while the collector is away, and says which hits were underway at which time: `chapter`
    is the test's own word for that."""

    def __init__(self, port, seed, visitors=8, most=8, padding=0, repeats=False, rate=None):
        """port: of a collector, or a list, whose members share the visitors; most: hits in one request, at most; padding: bytes
        that make each larger; repeats: what was refused is posted again until it is taken, as the script of a page does;
        rate: about so many hits a second, and no more."""
        self.ports = [port] if isinstance(port, int) else port
        self.visitors, self.most, self.padding, self.repeats = visitors, most, padding, repeats
        self.pause_s = visitors * (1 + most) / 2 / rate if rate else 0  # of each visitor, from post to post
        self.seed = seed
        self.told = {}                        # id: TAKEN …
        self.posted = {}                      # id: Hit, with its age as ts
        self.times = {}                       # id: [first posted, last answered], ms
        self.chapters = {}                    # id: the chapter in which it was first posted
        self.statuses = collections.Counter() # answers by status, 0: none
        self.chapter = ""
        self._numbers = itertools.count()
        self._starts = 0                      # no two of them post the same
        self._threads = []
        self._is_over = threading.Event()

    # ---- Posting ----

    def bodies(self, number=0):
        """(ids, body, headers) without end, of one visitor."""
        rng = random.Random(f"{self.seed}/{self._starts}/{number}")
        while True:
            ids = [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(rng.randint(1, self.most))]
            host, ip, agent = rng.choice(HOSTS), f"81.2.{number % 250}.{rng.randint(1, 250)}", rng.choice(AGENTS)
            url = f"https://{host}/page/{next(self._numbers)}?{'x' * self.padding}"
            hits = [Hit(rng.choice(AGES_MS), ip, host, url, f"https://{host}/" if rng.random() < 0.5 else "", agent) for _ in ids]
            self.posted.update(zip(ids, hits))
            body = json.dumps([{"url": url, "id": each, "age": hit.ts, "referrer": hit.referrer} for each, hit in zip(ids, hits)])
            yield ids, body, {"Content-Type": "text/plain", "User-Agent": agent, "X-Forwarded-For": ip}

    def note(self, ids, told):
        now = now_ms()
        for each in ids:
            self.chapters.setdefault(each, self.chapter)
            self.times.setdefault(each, [now, now])[1] = now
            if self.told.get(each) != TAKEN:
                self.told[each] = told

    def post(self, connection, ids, body, headers):
        """The status; 0 without an answer, and then the connection is of no more use."""
        status = 0
        self.note(ids, UNKNOWN)
        try:
            connection.request("POST", "/v1/hits", body, headers)
            reply = connection.getresponse()
            reply.read()
            status = reply.status
            self.note(ids, TAKEN if 200 <= status < 300 else REFUSED)
        except (OSError, http.client.HTTPException):
            connection.close()
            self.note(ids, UNKNOWN)
        self.statuses[status] += 1
        return status

    def _visit(self, number):
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[number % len(self.ports)], timeout=ANSWER_S)
        due = time.monotonic()
        for ids, body, headers in self.bodies(number):
            due = max(due + self.pause_s, time.monotonic())  # what could not be posted in time is not made up for
            self._is_over.wait(due - time.monotonic())
            status = REFUSED
            while not self._is_over.is_set():
                if connection.sock is None and not self._connect(connection):
                    continue
                status = self.post(connection, ids, body, headers)
                if not (self.repeats and status == 503):
                    break
                time.sleep(RECONNECT_S)
            if self._is_over.is_set():
                break
        connection.close()

    def _connect(self, connection):
        try:
            connection.connect()
            return True
        except OSError:
            time.sleep(RECONNECT_S)
            return False

    def start(self):
        self._is_over.clear()
        self._starts += 1
        self._threads = [threading.Thread(target=self._visit, args=(number,), daemon=True) for number in range(self.visitors)]
        for each in self._threads:
            each.start()
        return self

    def stop(self):
        """After the answers to what was posted."""
        self._is_over.set()
        for each in self._threads:
            each.join()

    @contextlib.contextmanager
    def running(self):
        self.start()
        try:
            yield self
        finally:
            self.stop()

    # ---- What came of it ----

    def count(self, told=TAKEN):
        return sum(1 for each in list(self.told.values()) if each == told)

    def wait_taken(self, more):
        """Until so many more are."""
        wanted = self.count() + more
        wait_until(lambda: self.count() >= wanted, f"{more} more hits taken")

    def check(self, stored, may_lose=False):
        """stored: the id of each row, as often as there are rows. may_lose: what was taken may be missing."""
        rows = collections.Counter(stored)
        doubled = [each for each, count in rows.items() if count > 1]
        strange = [each for each in rows if each not in self.told]
        missing = [each for each, told in self.told.items() if told == TAKEN and not rows[each]]
        assert not doubled, f"seed {self.seed}: {len(doubled)} hits are there twice: {self._named(doubled)}"
        assert not strange, f"seed {self.seed}: {len(strange)} hits that were never posted: {strange[:5]}"
        assert may_lose or not missing, f"seed {self.seed}: {len(missing)} of {self.count()} taken hits are lost: {self._named(missing)}"
        return len(missing)

    def check_rows(self, database):
        """The database holds what was taken, as it was posted, and the sessions that this gives."""
        rows = database.rows(_ROWS)
        self.check([row[0] for row in rows])
        for name, at, *said in rows:
            hit, (first, last) = self.posted[name], self.times[name]
            assert said == list(hit[1:]), f"{name} is stored as {said} and was posted as {hit}"
            assert first - 1 <= at + hit.ts <= last + 1, f"{name} has the time {at}, with an age of {hit.ts} between {first} and {last}"
        oracle.check(database, [self.posted[name]._replace(ts=at) for name, at, *_ in rows])

    def _named(self, ids):
        return [(each, self.chapters.get(each)) for each in ids[:5]]
