# SPDX-License-Identifier: Apache-2.0
"""The part `floor` of measure: a backlog against a bare COPY of the rows that it has stored, in turns, and the WAL that both write.

The bare COPY is the least that could be done: one client sends the rows of processed_events and of
session_events_aggregated_ip in their binary form, ready made, 5,000 hits a transaction, into tables with the same indexes."""
import statistics
import subprocess
import time

import backlog

A_TRANSACTION = 5000
TABLES = ("processed_events", "session_events_aggregated_ip")


def _dump(pipe, folder, name):
    """Files of COPY BINARY, one a table and transaction: [(file, file)]"""
    folder.mkdir()
    with backlog.cursor_of(pipe, name) as cursor:
        cursor.execute("SELECT count(*) FROM processed_events")
        parts = cursor.fetchone()[0] // A_TRANSACTION + 1
        files = []
        for table in TABLES:
            cursor.execute(f"CREATE TEMPORARY TABLE dump_{table} AS"
                           f" SELECT ntile({parts}) OVER () AS part, each.* FROM {table} each;"
                           f"CREATE INDEX ON dump_{table} (part);"
                           f"SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute"
                           f" WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped")
            columns = cursor.fetchone()[0]
            for part in range(1, parts + 1):
                files.append(folder / f"{table}.{part}")
                with files[-1].open("wb") as file:
                    cursor.copy_expert(f"COPY (SELECT {columns} FROM dump_{table} WHERE part = {part}) TO STDOUT (FORMAT binary)", file)
    return list(zip(files[:parts], files[parts:]))


def _make_tables(pipe, tools, name, like):
    pipe.postgres.create_database(name)
    subprocess.run([tools.binary, "--set", f"postgres.conninfo={pipe.postgres.conninfo(name)}", "migrate"], check=True,
                   stdout=subprocess.DEVNULL)
    days = pipe.postgres.ask("SELECT DISTINCT event_timestamp::date FROM processed_events", like).split()
    for day in days:
        pipe.postgres.ask(f"SELECT footfall.make_day('{day}')", name)


def _copy(pipe, tools, name, like, count):
    transactions = _dump(pipe, pipe.folder / f"{name}.rows", like)
    _make_tables(pipe, tools, name, like)
    with backlog.cursor_of(pipe, name) as cursor:
        cursor.connection.autocommit = False
        theirs, wal, ours, begin = tools.spent_by_postgres(), backlog.wal_bytes(pipe), time.process_time(), time.monotonic()
        for files in transactions:
            for table, file in zip(TABLES, files):
                with file.open("rb") as rows:
                    cursor.copy_expert(f"COPY {table} FROM STDIN (FORMAT binary)", rows, 1 << 20)
            cursor.connection.commit()
        wall, ours = time.monotonic() - begin, time.process_time() - ours
        theirs, wal = tools.spent_by_postgres() - theirs, backlog.wal_bytes(pipe) - wal
    copied, stored = (pipe.postgres.ask("SELECT count(*) FROM processed_events", each) for each in (name, like))
    assert copied == stored == str(count), f"{copied} rows copied of {stored} of {count}"
    return backlog.Run(count / wall, ours * 1e6 / count, theirs * 1e6 / count, wal / count)


def _say(what, figures):
    print(f"floor: {what}: {figures.speed:,.0f} hits/s, {figures.ours:.2f} + {figures.theirs:.2f} Postgres CPU s a million, "
          f"{figures.wal:,.0f} bytes of WAL a hit", flush=True)


def _pair(pipe, tools, name, count, full_pages):
    pipe.postgres.ask(f"ALTER SYSTEM SET full_page_writes = {full_pages}", "postgres")
    pipe.postgres.ask("SELECT pg_reload_conf()", "postgres")
    pipe.postgres.ask("CHECKPOINT", "postgres")
    ours = backlog.run(pipe, tools, name, count)
    _say(f"aggregator, full_page_writes {full_pages}", ours)
    pipe.postgres.ask("CHECKPOINT", "postgres")
    bare = _copy(pipe, tools, f"{name}_copy", name, count)
    _say(f"bare COPY, full_page_writes {full_pages}", bare)
    for each in (name, f"{name}_copy"):
        pipe.postgres.ask(f"DROP DATABASE {each}", "postgres")
    return ours, bare


def measure_floor(pipe, tools, count, rounds=3):
    """tools: binary, cpu_seconds(pids), spent_by_postgres(), produce(pipe, count)."""
    tools.produce(pipe, count)
    pairs = [_pair(pipe, tools, f"floor_{number}", count, "on") for number in range(rounds)]
    _pair(pipe, tools, "floor_small", count, "off")
    cpu = [(ours.ours + ours.theirs) / (bare.ours + bare.theirs) for ours, bare in pairs]
    speed = [ours.speed / bare.speed for ours, bare in pairs]
    wal = [ours.wal / bare.wal for ours, bare in pairs]
    for what, ratios in (("CPU", cpu), ("speed", speed), ("WAL", wal)):
        print(f"floor: {what} of the aggregator by that of the bare COPY: " + ", ".join(f"{each:.2f}" for each in ratios)
              + f"; median {statistics.median(ratios):.2f}", flush=True)
