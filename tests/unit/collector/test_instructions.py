#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a hit may cost on the collector's loop, in user instructions; the figure does not depend on how busy the machine is.

Usage: test_instructions.py COLLECTOR

Kafka is librdkafka's mock cluster in the collector's own process: in threads of its own, which do not count."""
import pathlib
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "deploy/lib"))
sys.path.insert(0, str(TOP / "tests/lib"))
from bench import instructions  # noqa: E402
from servers import Program, free_ports  # noqa: E402

MOST = 23_700  # 15 % above what preset dev (gcc 12, -O1) takes; the release build takes 15 % less


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(prefix="instructions.") as folder:
        def make_collector(hits):
            port, admin = free_ports(2)
            collector = Program(pathlib.Path(folder) / str(hits), binary, {
                "http.listen": f"127.0.0.1:{port}", "sites.hosts": "shop.example", "http.trusted_proxies": "127.0.0.1",
                "journal.directory": f"{folder}/{hits}/journal",
                "kafka.brokers": "127.0.0.1:1", "kafka.partitions": 4, "rdkafka.test.mock.num.brokers": 1}, admin)
            collector.port = port
            return collector
        loop, _ = instructions.count_a_hit(make_collector, 5 * instructions.CONNECTIONS, 25 * instructions.CONNECTIONS)
    print(f"{loop:,.0f} user instructions a hit on the loop; {MOST:,} are allowed")
    return 0 if loop <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
