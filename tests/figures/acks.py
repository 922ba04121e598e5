# SPDX-License-Identifier: Apache-2.0
"""What each journal.ack costs: replies and CPU of a collector under 64 kept connections that post as fast as they are answered.

The load is wrk (package wrk). The modes take turns, so that what else the machine does falls on all of them."""
import re
import shutil
import subprocess

from servers import wait_until

ACKS = ("disk", "os", "memory", "kafka")
CONNECTIONS = 64
SCRIPT = """wrk.method = "POST"
wrk.headers["Content-Type"] = "text/plain"
wrk.headers["User-Agent"] = "{agent}"
local number = 0
request = function()
  number = number + 1
  wrk.headers["X-Forwarded-For"] = "81.2." .. number % 200 .. "." .. number % 250 + 1
  return wrk.format(nil, "/v1/hits", nil, '{{"url":"https://shop.example/page/' .. number % 500 .. '"}}')
end
done = function(summary, latency, requests)
  print(string.format("FIGURES %d %d %d %d %d", summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), summary.errors.status))
end
"""


def load(folder, port, seconds, agent):
    """(hits, hits/s, p50 ms, p99 ms)"""
    script = folder / "post.lua"
    script.write_text(SCRIPT.format(agent=agent))
    said = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", "-s", script, f"http://127.0.0.1:{port}"],
                          check=True, text=True, stdout=subprocess.PIPE).stdout
    hits, duration_us, p50_us, p99_us, refused = map(int, re.search(r"FIGURES (\d+) (\d+) (\d+) (\d+) (\d+)", said).groups())
    assert refused == 0, said
    return hits, hits * 1e6 / duration_us, p50_us / 1000, p99_us / 1000


def one_round(pipe, ack, seconds, tools):
    """(hits/s, p50, p99, CPU us a hit, syncs a 1,000 hits, hits/s with delivery)"""
    collector = pipe.collector(name=f"collector-{ack}", journal__ack=ack).start()
    before = tools.cpu_seconds([collector.pid])
    hits, rate, p50, p99 = load(pipe.folder, collector.port, seconds, tools.agent)
    wait_until(lambda: collector.metrics()["footfall_collector_journal_pending"] == 0, "everything is delivered", 600)
    cpu = tools.cpu_seconds([collector.pid]) - before
    values = collector.metrics()
    appended = values["footfall_collector_journal_appended_total"]
    assert values["footfall_collector_hits_delivered_total"] == appended >= hits
    collector.stop()
    return rate, p50, p99, cpu * 1e6 / appended, values["footfall_collector_journal_syncs_total"] * 1000 / appended


def measure_acks(pipe, tools, rounds=3, seconds=5):
    assert shutil.which("wrk"), "this part needs the package wrk"
    figures = {ack: [] for ack in ACKS}
    for number in range(rounds):
        for ack in ACKS[number % 4:] + ACKS[:number % 4]:
            figures[ack].append(one_round(pipe, ack, seconds, tools))
    for ack, rows in figures.items():
        rate, p50, p99, cpu, syncs = (sorted(column)[len(rows) // 2] for column in zip(*rows))
        print(f"acks: {ack:6}  {rate:7,.0f} hits/s  p50 {p50:6.2f} ms  p99 {p99:7.2f} ms  CPU {cpu:5.1f} us a hit  "
              f"{syncs:6.2f} syncs a 1,000 hits", flush=True)
    ratios = sorted(disk[3] / memory[3] for disk, memory in zip(figures["disk"], figures["memory"]))
    print(f"acks: CPU a hit of disk by that of memory, {rounds} rounds: " + ", ".join(f"{each:.2f}" for each in ratios))
