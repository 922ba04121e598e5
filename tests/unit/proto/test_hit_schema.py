# SPDX-License-Identifier: Apache-2.0
"""What the encoder writes keeps to the published schema, and the schema refuses what it should.

Usage: test_hit_schema.py ENCODE_HITS SCHEMA"""
import copy
import json
import subprocess
import sys

import jsonschema

COUNT = 500

GOOD = {
    "url": "https://shop.example/",
    "host": "shop.example",
    "ip": "192.0.2.7",
    "event_time": "2025-02-02T04:18:21.123Z",
    "stream": "00112233445566778899aabbccddeeff-3",
    "seq": 1,
}

# One change each; None removes the name.
BAD = [
    {"url": None},
    {"url": ""},
    {"host": None},
    {"ip": None},
    {"ip": "192.0.2.256"},
    {"event_time": None},
    {"event_time": "2025-02-02 04:18:21"},
    {"v": 2},
    {"source": "smoke signal"},
    {"stream": None},
    {"seq": None},
    {"seq": 0},
    {"seq": 1.5},
    {"stream": "abc"},
    {"flags": -1},
    {"title": "t" * 513},
    {"headers": {}},
]


def changed(good, change):
    hit = copy.deepcopy(good)
    for name, value in change.items():
        if value is None:
            del hit[name]
        else:
            hit[name] = value
    return hit


def main():
    encode_hits, schema_path = sys.argv[1:]
    with open(schema_path, encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    lines = subprocess.run([encode_hits, str(COUNT)], check=True, stdout=subprocess.PIPE).stdout.splitlines()
    assert len(lines) == COUNT, len(lines)
    for line in lines:
        validator.validate(json.loads(line))
    validator.validate(GOOD)
    validator.validate(changed(GOOD, {"of_another_producer": [1, 2]}))
    for change in BAD:
        assert not validator.is_valid(changed(GOOD, change)), f"the schema lets {change} pass"
    print(f"{COUNT} hits keep to the schema")


if __name__ == "__main__":
    main()
