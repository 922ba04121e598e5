# SPDX-License-Identifier: Apache-2.0
"""Visitors who post hits to a collector all the time, and what they were told about each.

Every hit has an id of its own, so that one that is stored twice, or not at all, can be named. What they were told is kept
by id: TAKEN (2xx), REFUSED (an answer that promises nothing), UNKNOWN (no answer). A hit that was taken must be one row; of
the others there may be one, never two."""
import collections
import contextlib
import http.client
import itertools
import json
import random
import threading
import time
import uuid

TAKEN, REFUSED, UNKNOWN = "taken", "refused", "unknown"
HOSTS = ("shop.example", "www.example.org", "blog.example.org")
ANSWER_S = 60        # a machine is slow at times; the collector itself gives up earlier
RECONNECT_S = 0.02   # between two attempts to reach a collector that is away


class Load:
    """Threads of visitors. It goes on while the collector is away, and says which hits were underway at which time: `chapter`
    is the test's own word for that."""

    def __init__(self, port, seed, visitors=8, most=8, padding=0, repeats=False):
        """most: hits in one request, at most; padding: bytes that make each larger; repeats: what was refused is posted
        again until it is taken, as the script of a page does."""
        self.port, self.visitors, self.most, self.padding, self.repeats = port, visitors, most, padding, repeats
        self.seed = seed
        self.told = {}                        # id: TAKEN …
        self.chapters = {}                    # id: the chapter in which it was first posted
        self.statuses = collections.Counter() # answers by status, 0: none
        self.chapter = ""
        self._numbers = itertools.count()
        self._threads = []
        self._is_over = threading.Event()

    # ---- Posting ----

    def bodies(self, number=0):
        """(ids, body, headers) without end, of one visitor."""
        rng = random.Random(f"{self.seed}/{number}")
        while True:
            ids = [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(rng.randint(1, self.most))]
            page = f"https://{rng.choice(HOSTS)}/page/{next(self._numbers)}"
            body = json.dumps([{"url": f"{page}?{'x' * self.padding}", "id": each} for each in ids])
            yield ids, body, {"Content-Type": "text/plain", "X-Forwarded-For": f"81.2.{number % 250}.{rng.randint(1, 250)}"}

    def note(self, ids, told):
        for each in ids:
            self.chapters.setdefault(each, self.chapter)
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
        self.statuses[status] += 1
        return status

    def _visit(self, number):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_S)
        for ids, body, headers in self.bodies(number):
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

    def _named(self, ids):
        return [(each, self.chapters.get(each)) for each in ids[:5]]
