# SPDX-License-Identifier: Apache-2.0
"""A database of the test's Postgres."""
import time

import psycopg2

from servers import ServerError

ANSWERS = ("processed_events", "user_agents", "session_events_aggregated_ip", "traffic_by_hour", "pages_by_day", "referrers_by_day")
STALL_S = 180  # without any progress: something is stuck, however slow the machine


class Database:
    def __init__(self, postgres, name):
        self.postgres = postgres
        self.name = name
        self.conninfo = postgres.conninfo(name)
        self.connection = None

    def create(self):
        self.postgres.create_database(self.name)
        return self

    def cursor(self):
        if self.connection is None or self.connection.closed:
            self.connection = psycopg2.connect(self.conninfo)
            self.connection.autocommit = True
        return self.connection.cursor()

    def close(self):
        if self.connection is not None:
            self.connection.close()

    def execute(self, sql, *values):
        with self.cursor() as cursor:
            cursor.execute(sql, values or None)

    def rows(self, sql, *values):
        with self.cursor() as cursor:
            cursor.execute(sql, values or None)
            return cursor.fetchall()

    def value(self, sql, *values):
        return self.rows(sql, *values)[0][0]

    def copy(self, statement, stream):
        with self.cursor() as cursor:
            cursor.copy_expert(statement, stream)

    def fingerprints(self):
        """{table or view: md5 of its rows in order}, without what depends on the way that hits took."""
        return {table: self.value(
            f"SELECT md5(coalesce(string_agg(line, E'\\n' ORDER BY line COLLATE \"C\"), '')) FROM"
            f" (SELECT (to_jsonb(each) - ARRAY['kafka_partition', 'kafka_offset', 'received_at'])::text AS line"
            f"    FROM {table} AS each) AS lines") for table in ANSWERS}

    # ---- How far the aggregators are ----

    def positions(self, topic):
        """{partition: next offset}; empty as long as there is no schema."""
        if self.value("SELECT to_regclass('footfall.partitions') IS NULL"):
            return {}
        return dict(self.rows("SELECT partition, next_offset FROM footfall.partitions WHERE topic = %s", topic.name))

    def holders(self, topic):
        """{partition: process id of the holder's backend}"""
        if not self.positions(topic):
            return {}
        return dict(self.rows("SELECT partition, owner_pid FROM footfall.partitions WHERE topic = %s AND owner IS NOT NULL",
                              topic.name))

    def wait(self, state, is_good, what):
        """Asks state() until it is good; gives up when it does not change any more."""
        last, changed = None, time.monotonic()
        while True:
            now = self.state_or_none(state)
            if now is not None and is_good(now):
                return now
            if now != last:
                last, changed = now, time.monotonic()
            if time.monotonic() - changed > STALL_S:
                raise ServerError(f"{what}: not reached, and for {STALL_S} s nothing moves; stands at {last}")
            time.sleep(0.1)

    @staticmethod
    def state_or_none(state):
        try:
            return state()
        except psycopg2.OperationalError:  # the server is being restarted
            return None

    def wait_stored(self, topic):
        """Until all that is in the topic now is in the tables, and no part of a session is on its way to its home."""
        ends = {partition: end for partition, (first, end) in enumerate(topic.watermarks()) if end > first}

        def state():
            positions = self.positions(topic)
            strays = self.value("SELECT count(*) FROM footfall.strays WHERE topic = %s", topic.name) if positions else 0
            return {each: positions.get(each, -2) for each in ends}, strays

        self.wait(state, lambda now: now[1] == 0 and all(now[0][each] >= end for each, end in ends.items()),
                  f"{topic.name} stored up to {ends}")

    def wait_shared(self, topic, count):
        """Until `count` aggregators hold all partitions among them, each about as many."""
        self.wait(lambda: self.holders(topic),
                  lambda now: len(now) == topic.partitions and len(set(now.values())) == count,
                  f"{topic.name} shared by {count}")

    def wait_rows(self, count):
        self.wait(lambda: self.value("SELECT count(*) FROM processed_events"), lambda now: now >= count, f"{count} hits")
