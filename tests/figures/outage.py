# SPDX-License-Identifier: Apache-2.0
"""The part `outage` of measure: how fast a journal is emptied once Kafka is there again."""
import time

from bench.load import Load
from servers import wait_until

PENDING = "footfall_collector_journal_pending"


def measure_outage(pipe, count=1_000_000):
    """Kafka stands still until `count` hits wait in the journal; the clock runs from the moment it goes on."""
    collector = pipe.collector(sites__hosts="shop.example, *.example.org").start()
    visitors = Load(collector.port, seed=1, visitors=16, most=64)
    begin = time.monotonic()
    with pipe.kafka.paused():
        with visitors.running():
            wait_until(lambda: visitors.count() >= count, f"{count} hits taken", 600, every_s=0.5)
        taken, filled = visitors.count(), time.monotonic()
        waiting = collector.metrics()[PENDING]
        assert waiting == taken, f"{waiting} of {taken} hits wait"
    begin, filling_s = time.monotonic(), filled - begin
    wait_until(lambda: collector.metrics()[PENDING] < waiting, "the first hits are confirmed", 600)
    first_s = time.monotonic() - begin
    wait_until(lambda: collector.metrics()[PENDING] == 0, "the journal is empty", 600)
    drain_s = time.monotonic() - begin
    print(f"outage: {taken:,} hits waited ({taken / filling_s:,.0f} hits/s came in); confirmed at {taken / drain_s:,.0f} hits/s"
          f" from Kafka's return on, the first after {first_s:.1f} s", flush=True)
    aggregator = pipe.aggregator().start()
    wait_until(lambda: pipe.rows() >= taken, f"{taken} rows", 600, every_s=1)
    assert pipe.rows() == taken, "rows were lost or doubled"
    aggregator.stop()
    collector.stop()
