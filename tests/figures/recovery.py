# SPDX-License-Identifier: Apache-2.0
"""How fast a collector reads what an earlier one has left in its journal, and how soon it listens meanwhile.

One collector takes hits (wrk, arrays of 64) while there is no Kafka, and is killed; the next one finds its journal. Both bounds
of the issue are told with it: how long until it listens, and the most memory it had."""
import datetime
import pathlib
import re
import subprocess
import time

from acks import CONNECTIONS
from servers import free_ports, wait_until

SCRIPT = """wrk.method = "POST"
wrk.headers["Content-Type"] = "text/plain"
wrk.headers["User-Agent"] = "{agent}"
local hits = {{}}
for number = 1, 64 do
  hits[number] = '{{"url":"https://shop.example/catalogue/page/' .. number .. '","title":"{title}"}}'
end
wrk.body = "[" .. table.concat(hits, ",") .. "]"
request = function() return wrk.format(nil, "/v1/hits") end
"""
TITLE = "What is on offer this week, and what was on offer in the week before"


def fill(collector, folder, wanted, agent):
    script = folder / "arrays.lua"
    script.write_text(SCRIPT.format(agent=agent, title=TITLE))
    while collector.metrics()["footfall_collector_journal_bytes"] < wanted:
        subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", "-d2", "-s", script, f"http://127.0.0.1:{collector.port}/v1/hits"],
                       check=True, stdout=subprocess.DEVNULL)


def time_of_event(log, event):
    """Unix seconds of the last line that says it."""
    text = re.findall(rf"time=(\S+) .*event={event}\b", pathlib.Path(log).read_text(encoding="utf-8"))[-1]
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def listens(collector):
    try:
        return collector.fetch("/healthz")[0] == 200
    except OSError:
        return False


def start(collector):
    """Starts it and waits until it listens; Kafka is away, so that it is never ready. (when it began, s until it listened)"""
    began = time.time()
    collector.start(wait=False)
    wait_until(lambda: listens(collector), "the collector listens", 60, every_s=0.002)
    return began, time.time() - began


def measure_recovery(pipe, agent, mib=1024):
    settings = {"journal__ack": "memory", "journal__max_bytes": "64GiB", "kafka__brokers": f"127.0.0.1:{free_ports(1)[0]}"}
    collector = pipe.collector(name="collector-recovery", **settings)
    start(collector)
    fill(collector, pipe.folder, mib << 20, agent)
    collector.kill()
    began, listening = start(collector)
    wait_until(lambda: collector.metrics()["footfall_collector_journal_recovering"] == 0, "recovery is over", 600)
    seconds = time_of_event(collector.log, "recovered") - began
    values = collector.metrics()
    hits, size = values["footfall_collector_journal_recovered_total"], values["footfall_collector_journal_bytes"]
    peak = int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{collector.pid}/status").read_text())[1])
    collector.kill()
    print(f"recovery: {size / 2**20:,.0f} MiB, {hits:,.0f} hits in {seconds:.2f} s: {size / 1e6 / seconds:,.0f} MB/s, "
          f"{hits / seconds:,.0f} hits/s; it listens after {listening * 1000:.0f} ms, {peak / 1024:.0f} MiB at most", flush=True)
