# SPDX-License-Identifier: Apache-2.0
"""Every warning and error that a program logs has a row in docs/operations.md, and no row is about an event that is not logged:
what the collector logs between socket and Kafka in the section of its journal, everything else in the section of the log.

Usage: test_log_events.py SOURCE_FOLDER"""
import pathlib
import re
import sys

TOP = pathlib.Path(sys.argv[1])
LOGGED = re.compile(r'(?:log_(?:error|warning)|log_line|refuse_peer)\(\s*[^,;{]+,(?:[^,;{]+,)?\s*"(\w+)"')
FOLDERS = ("base/http", "proto", "collector", "aggregator")
JOURNAL = ("collector/collector.c", "collector/intake.c", "collector/journal*.c", "collector/keeper.c", "collector/publisher.c",
           "proto/producer.c")


def logged_events(patterns):
    return {event for pattern in patterns for path in TOP.glob(pattern) for event in LOGGED.findall(path.read_text())}


def explained_events(title):
    section = (TOP / "docs/operations.md").read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", section, re.M)
    return {event for row in rows for event in re.findall(r"`(\w+)`", row)} - {"full"}


def main():
    logged = logged_events(f"{folder}/*.c" for folder in FOLDERS)
    journal = logged_events(JOURNAL) - {"librdkafka"}
    of_journal, of_log = explained_events("The collector's journal"), explained_events("The log")
    faults = [f"{event}: no row in docs/operations.md under The collector's journal" for event in sorted(journal - of_journal)]
    faults += [f"{event}: no row in docs/operations.md" for event in sorted(logged - of_journal - of_log)]
    faults += [f"{event}: a row in docs/operations.md, and nothing logs it" for event in sorted((of_journal | of_log) - logged)]
    print("\n".join(faults) or f"{len(logged)} events are explained")
    sys.exit(1 if faults or len(logged) < 50 else 0)


main()
