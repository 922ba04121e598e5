# SPDX-License-Identifier: Apache-2.0
"""The files of geo.databases are replaced, cut, overwritten and removed while hits flow: no hit is lost, each has the place that
the old or the new file gives, and whoever looks at the log or the metrics learns which."""
import contextlib
import itertools
import os
import random
import signal
import threading
import zlib

import pytest

from bench import hits, oracle
from conftest import TOP
from servers import wait_until

FILES = TOP / "tests/data/mmdb"
COUNTRIES = {"world": {"1": "AU", "36": "CN"}, "country": {"1": "NZ", "36": "TW"}}  # by file, then by the first part of an address
EITHER = "either"
ROUNDS = 2        # through all kinds of damage
SWAPS = 31        # the last file is not the first one
MARKED = 40       # hits of which it is known which file must have placed them
FLOWING = 100     # hits produced at once


def placed(hit, mark, number):
    """The same visitor at an address that both files know, on a page that names the mark."""
    digits = zlib.crc32(hit.ip.encode())
    return hit._replace(ip=f"{('1', '36')[digits % 2]}.2.{digits >> 8 & 255}.{digits >> 16 & 255}",
                        url=f"https://{hit.host}/{mark}/{number}")


def country_of(ip, name):
    return COUNTRIES[name][ip.partition(".")[0]]


class Flow:
    """Hits without end, from a thread; each is marked with the file that must place it."""

    def __init__(self, topic, seed):
        self.topic, self.seed = topic, seed
        self.mark = EITHER
        self.hits = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def produce(self, count, mark):
        with self._lock:
            seed = f"{self.seed}/{len(self.hits)}"
            some = [placed(hit, mark, next(self._numbers)) for hit in hits.make(count, seed)]
            self.hits += some
            self.topic.produce(hits.from_collectors(some, self.topic.partitions, seed, repeated=0))
        return some

    def mark_with(self, mark):
        """From now on; all that are marked otherwise are in the topic."""
        with self._lock:
            self.mark = mark

    @contextlib.contextmanager
    def running(self):
        is_over, failures = threading.Event(), []

        def run():
            try:
                while not is_over.wait(0.05):
                    self.produce(FLOWING, self.mark)
            except Exception as error:  # the test's, not only the thread's
                failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield self
        finally:
            is_over.set()
            thread.join()
        assert not failures, failures


class World:
    """An aggregator, its file, and what it says of reloads."""

    def __init__(self, programs, topic, database, folder, flow):
        self.file, self.flow, self.database, self.topic = folder / "places.mmdb", flow, database, topic
        self.use("world")
        self.aggregator = programs.aggregator(topic, database, geo__databases=self.file)

    def count(self, outcome):
        return self.aggregator.metrics()[f'footfall_geo_databases_reloads_total{{outcome="{outcome}"}}']

    def ask(self):
        self.aggregator.send_signal(signal.SIGHUP)

    @contextlib.contextmanager
    def expecting(self, outcome, asks=True):
        """What is done to the file inside leads to this, when it is asked for or by itself; and then hits are placed so."""
        before = self.count(outcome)
        yield
        if asks:
            self.ask()
        wait_until(lambda: self.count(outcome) > before, f"a reload is {outcome}")
        self.flow.produce(MARKED, self.now)
        self.database.wait_stored(self.topic)

    @contextlib.contextmanager
    def under_load(self):
        with self.flow.running():
            yield
        self.check()

    def replace(self, content):
        """As the documents say that it is done."""
        fresh = self.file.with_suffix(".new")
        fresh.write_bytes(content)
        fresh.rename(self.file)

    def use(self, name):
        self.now = name
        self.replace((FILES / f"{name}.mmdb").read_bytes())

    def is_used(self):
        """The file that was put there last, by a hit that is placed now."""
        hit, = self.flow.produce(1, EITHER)
        self.database.wait_stored(self.topic)
        return self.database.value("SELECT country FROM processed_events WHERE url = %s", hit.url) == country_of(hit.ip, self.now)

    def check(self):
        """All hits are there, each once, and each with a place that it may have."""
        self.database.wait_stored(self.topic)
        oracle.check(self.database, self.flow.hits)
        for url, ip, country, source in self.database.rows("SELECT url, ip, country, geo_source FROM processed_events"):
            mark = url.split("/")[3]
            allowed = [country_of(ip, name) for name in COUNTRIES if mark in (name, EITHER)]
            assert country in allowed and source == "mmdb", f"{url} of {ip} is in {country}, from {source}"


@pytest.fixture
def world(programs, topic, database, own_folder, seed):
    return World(programs, topic, database, own_folder, Flow(topic, seed))


def test_bad_files_under_load_keep_the_old_places(world, seed, long):
    rng = random.Random(seed)
    with world.under_load():
        for name in itertools.islice(itertools.cycle(("country", "world")), ROUNDS * long):
            with world.expecting("failed"):
                os.truncate(world.file, world.file.stat().st_size // 2)
            with world.expecting("failed", asks=False):  # it is watched
                os.truncate(world.file, 0)
            with world.expecting("failed"):
                world.replace(rng.randbytes(10000))
            with world.expecting("failed"):
                world.file.unlink()
            whole = (FILES / f"{name}.mmdb").read_bytes()
            with world.expecting("failed"):  # a copy in place, half-way …
                world.file.write_bytes(whole[:len(whole) // 2])
            with world.expecting("done", asks=False):  # … and done
                world.now = name
                world.file.write_bytes(whole)
    said = world.aggregator.log_text()  # repeats are summed there
    assert f"the files in use stay: geo.databases: {world.file} is no MaxMind database" in said and "event=reloaded" in said


def test_many_swaps_under_load(world, long):
    with world.under_load():
        for name in itertools.islice(itertools.cycle(("country", "world")), SWAPS * long):
            world.use(name)
            world.ask()
        wait_until(world.is_used, "the last file is used")
        assert world.count("done") > 1 and world.count("failed") == 0


def test_a_file_is_cut_and_written_while_it_is_read(world, long):
    with world.under_load():
        world.flow.mark_with("world")  # of which nothing else is left at any moment
        whole = world.file.read_bytes()
        for _ in range(SWAPS * long):
            os.truncate(world.file, len(whole) // 3)
            world.ask()
            world.file.write_bytes(whole)
            world.ask()
        world.flow.produce(MARKED, "world")
        world.flow.mark_with(EITHER)
        with world.expecting("failed"):
            world.file.unlink()
        world.use("country")
        world.ask()
        wait_until(world.is_used, "a good file is used")
