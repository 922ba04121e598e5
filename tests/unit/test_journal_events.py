# SPDX-License-Identifier: Apache-2.0
"""Every warning and error that the collector logs between socket and Kafka has a row in docs/operations.md, and no row is about
an event that is not logged.

Usage: test_journal_events.py SOURCE_FOLDER"""
import pathlib
import re
import sys

TOP = pathlib.Path(sys.argv[1])
LOGGED = re.compile(r'log_(?:error|warning)\(\s*[^,]+,\s*"(\w+)"')


def logged_events():
    for name in ("collector.c", "intake.c", "journal*.c", "keeper.c", "publisher.c"):
        for path in [*TOP.glob(f"collector/{name}"), TOP / "proto/producer.c"]:
            yield from LOGGED.findall(path.read_text())


def explained_events():
    section = (TOP / "docs/operations.md").read_text().split("\n## The collector's journal\n")[1].split("\n## ")[0]
    for row in re.findall(r"^\| (`.*?) \|", section, re.M):
        yield from re.findall(r"`(\w+)`", row)


def main():
    logged, explained = set(logged_events()), set(explained_events()) - {"full"}
    faults = [f"{event}: no row in docs/operations.md" for event in sorted(logged - explained)]
    faults += [f"{event}: a row in docs/operations.md, and nothing logs it" for event in sorted(explained - logged)]
    print("\n".join(faults) or f"{len(logged)} events are explained")
    sys.exit(1 if faults or not logged else 0)


main()
