# SPDX-License-Identifier: Apache-2.0
"""Partitions of an aggregator that wait for a person."""
import re

from servers import wait_until


def wait_halted(aggregator, count=1):
    wait_until(lambda: aggregator.metrics().get("footfall_partitions_halted") == count, f"{count} partitions halted")


def named_command(aggregator, partition):
    """What the log names as the mend of this partition's halt, as arguments."""
    lines = [line for line in aggregator.log_text().splitlines() if "event=partition_halted" in line and f"partition={partition} " in line]
    assert len(lines) == 1, lines
    return re.findall(r"`footfall-aggregator ([^`]+)`", lines[0])[-1].split()


def start_again(aggregator):
    """One that has halted partitions is alive, not more."""
    aggregator.start_again(wait=False)
    aggregator.wait_ready(lambda: aggregator.fetch("/healthz")[0] == 200)
