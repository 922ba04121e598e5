# SPDX-License-Identifier: Apache-2.0
"""The part `places` of measure: what ip2location.io costs the stream when it is well, slow or dead. It is a stub on loopback."""
import collections
import random
import re
import subprocess
import time

import backlog
from bench.ip2location import KEY, Reply, Stub
from servers import free_ports, wait_until

RATE, SECONDS = 1000, 20  # of the live part
ADDRESSES = 20000         # heavy-tailed


def _service(url):
    """Settings; url None: without the service."""
    return {"ip2location.url": url, "ip2location.key": KEY, "ip2location.daily_budget": 100_000_000,
            "ip2location.monthly_budget": 1_000_000_000} if url else {}


def measure_dead(pipe, tools, count, rounds=3):
    """A backlog without the service, and with one that refuses connections or hangs, in turns."""
    hanging = Stub()
    hanging.answer = Reply(hang=True)
    urls = {"off": None, "refusing": f"http://127.0.0.1:{free_ports(1)[0]}/", "hanging": hanging.url}
    runs = collections.defaultdict(list)
    for number in range(rounds):
        for mode, url in urls.items():
            runs[mode].append(backlog.run(pipe, tools, f"places_{mode}_{number}", count, _service(url)))
    hanging.stop()
    for mode, figures in runs.items():
        print(f"places: service {mode}: "
              + ", ".join(f"{each.speed:,.0f} hits/s with {each.ours:.2f} + {each.theirs:.2f} CPU s a million" for each in figures), flush=True)


def measure_live(pipe, tools, delay_s):
    """Who answers at RATE hits/s, while nothing is behind."""
    stub = Stub()
    stub.delay_s = delay_s
    aggregator = backlog.start(pipe, tools, f"places_live_{int(delay_s * 1000)}", _service(stub.url))
    aggregator.start()
    wait_until(lambda: aggregator.metrics()["footfall_lag_messages"] == 0 and
               aggregator.metrics()["footfall_partitions_held"] > 0, "caught up", 600)
    before = aggregator.metrics()
    rng = random.Random(1)
    begin = time.monotonic()
    for number in range(RATE * SECONDS):
        ip_number = min(int(rng.paretovariate(0.6)), ADDRESSES)
        ip = f"77.{ip_number // 65536}.{ip_number // 256 % 256}.{ip_number % 256}"
        tools.send(ip, number)
        time.sleep(max(0, begin + number / RATE - time.monotonic()))
    tools.flush()
    wait_until(lambda: aggregator.metrics()["footfall_hits_total"] >= before["footfall_hits_total"] + RATE * SECONDS,
               "all stored", 120)
    after = aggregator.metrics()
    counts = {source: after[f'footfall_places_total{{source="{source}"}}'] - before[f'footfall_places_total{{source="{source}"}}']
              for source in ("api", "mmdb", "none", "private")}
    waited = after["footfall_place_wait_seconds_total"] - before["footfall_place_wait_seconds_total"]
    print(f"places: {RATE} hits/s, heavy-tailed, service of {delay_s * 1000:.0f} ms: {len(stub.asked)} requests; answered by "
          + ", ".join(f"{source} {100 * count / sum(counts.values()):.1f} %" for source, count in counts.items() if count)
          + f"; batches waited {waited:.1f} of {SECONDS} s", flush=True)
    aggregator.stop()
    stub.stop()


def _instructions(pipe, tools, count):
    out = pipe.folder / f"hot.{count}"
    subprocess.run(["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}", tools.build("places_hot"), str(count)], check=True,
                   stdout=subprocess.DEVNULL)
    return int(re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.M).group(1))


def measure_hot(pipe, tools, count=500_000):
    """A look-up that the memory answers, by itself."""
    speed = int(subprocess.run([tools.build("places_hot"), "20000000"], check=True, text=True, stdout=subprocess.PIPE).stdout)
    instructions = (_instructions(pipe, tools, 2 * count) - _instructions(pipe, tools, count)) / count
    print(f"places: in memory: {speed:,} look-ups/s, {instructions:.0f} instructions each", flush=True)


def measure_places(pipe, tools, count=300_000):
    """tools: binary, build(target), cpu_seconds(pids), spent_by_postgres(), produce(pipe, count), send(ip, number), flush()."""
    measure_hot(pipe, tools)
    measure_live(pipe, tools, 0.1)
    live = RATE * SECONDS
    tools.produce(pipe, count)
    measure_dead(pipe, tools, live + count)
