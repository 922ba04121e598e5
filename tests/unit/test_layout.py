# SPDX-License-Identifier: Apache-2.0
"""Which file may include what: foreign headers in named files only, and the arrows between the folders.

Usage: test_layout.py SOURCE_FOLDER"""
import pathlib
import re
import sys

# Each foreign library is known to few files, so that it can be understood, updated or replaced there.
FOREIGN = {
    "uv.h": {
        "aggregator/aggregator_inside.h",
        "aggregator/backfill.c",
        "aggregator/database.c",
        "aggregator/enriched.c",
        "aggregator/feed.c",
        "aggregator/feed_client.c",
        "aggregator/fetcher.c",
        "aggregator/locate.c",
        "aggregator/preparation.c",
        "aggregator/reloading.c",
        "aggregator/retry.c",
        "aggregator/service.c",
        "base/http/server.h",
        "collector/keeper.c",
        "collector/main.c",
        "collector/publisher.c",
        "proto/producer.c",
    },
    "llhttp.h": {"base/http/parser.c"},
    "librdkafka/rdkafka.h": {
        "aggregator/feed.c",
        "aggregator/feed_client.c",
        "aggregator/topic.c",
        "proto/kafka.c",
        "proto/producer.c",
    },
    "libpq-fe.h": {
        "aggregator/connection.c",
        "aggregator/copying.c",
        "aggregator/database.c",
        "aggregator/erase.c",
        "aggregator/forget.c",
        "aggregator/migrate.c",
        "aggregator/result.c",
        "aggregator/resume.c",
        "aggregator/retry.c",
        "aggregator/store.c",
        "aggregator/traces.c",
    },
    "curl/curl.h": {"aggregator/fetcher.c"},
    "maxminddb.h": {"aggregator/mmdb.c"},
    "jansson.h": set(),
    "ini.h": {"base/settings_file.c"},
    "xxhash.h": {
        "aggregator/batch.c",
        "aggregator/claim.c",
        "aggregator/entries.c",
        "aggregator/parts.c",
        "aggregator/place_cache.c",
        "aggregator/places.c",
        "aggregator/rollups.c",
        "aggregator/strings.c",
        "base/http/peers.c",
        "base/uuid.c",
        "collector/frame.c",
        "collector/journal.c",
        "collector/seen.c",
        "collector/segment.c",
    },
}

# What a folder may include of ours, besides itself. CMake's include paths say the same; this catches a detour
# such as "../aggregator/feed.h" and says what is wrong in words.
ARROWS = {
    "base": set(),
    "base/http": {"base"},
    "proto": {"base"},
    "sql": set(),
    "collector": {"base", "base/http", "proto"},
    "aggregator": {"base", "base/http", "proto", "sql"},
}

TOP_FOLDERS = ("base", "proto", "sql", "collector", "aggregator")

INCLUDE = re.compile(r'^\s*#\s*include\s*(<([^>]+)>|"([^"]+)")', re.MULTILINE)

MEND_FOREIGN = """
A foreign header stands in a file that is not on its list. Mend it in this order:
 1. Use the module of ours that wraps the library already: the list in tests/unit/test_layout.py names the files.
 2. In a header, declare the foreign struct ("struct rd_kafka_s;") instead of including it.
 3. If the file really is a new home of the library, add it to FOREIGN, in the commit that says why."""

MEND_STALE = """
FOREIGN in tests/unit/test_layout.py lists a file that does not include the header (any more): take it off."""

MEND_ARROWS = """
A folder includes one that it must not know (base <- base/http <- proto <- collector, aggregator; the two programs
never include each other). What both need belongs into proto/ (when it is about hits) or base/ (when it is not)."""


MEND_FOLDER = """
A folder is new: say in ARROWS of tests/unit/test_layout.py what it may include."""


def includes_of(path):
    """Pairs: (foreign, name)."""
    for match in INCLUDE.finditer(path.read_text(encoding="utf-8")):
        yield (True, match[2]) if match[2] else (False, match[3])


def check_file(root, path, seen, problems):
    name = path.relative_to(root).as_posix()
    folder = path.parent.relative_to(root).as_posix()
    if folder not in ARROWS:
        problems.append((f"{name} is in a folder that is not known", MEND_FOLDER))
        return
    for is_foreign, included in includes_of(path):
        if included in FOREIGN:
            seen.add((included, name))
            if name not in FOREIGN[included]:
                problems.append((f"{name} includes {included}", MEND_FOREIGN))
        elif not is_foreign:
            target = included.rpartition("/")[0]
            if target != folder and target not in ARROWS[folder]:
                problems.append((f'{name} includes "{included}"', MEND_ARROWS))


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    seen, problems, count = set(), [], 0
    for folder in TOP_FOLDERS:
        for path in sorted((root / folder).rglob("*.[ch]")):
            check_file(root, path, seen, problems)
            count += 1
    for header, names in FOREIGN.items():
        for name in sorted(names):
            if (header, name) not in seen:
                problems.append((f"{name} does not include {header}", MEND_STALE))
    for problem, _ in problems:
        print(problem)
    for mend in dict.fromkeys(mend for _, mend in problems):
        print(mend)
    assert count > 50, f"only {count} files under {root}: is this the source folder?"
    print(f"\n{count} files, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
