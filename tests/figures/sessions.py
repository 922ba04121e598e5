# SPDX-License-Identifier: Apache-2.0
"""The part `sessions` of measure: what open sessions take in memory, and how long the loop stands still while a million of them
are loaded and close at one moment.

The program sessions_hot counts bytes and CPU time a turn, of the session store alone. Then an aggregator finds a million sessions
in Postgres that ended long ago: while it loads and closes them, its admin listener is asked again and again, since it lives on the
same loop: the longest wait for an answer is the longest turn, with what else the machine does; the CPU time of the loop's thread
is without that."""
import http.client
import pathlib
import subprocess
import time

import backlog
from servers import ServerError, wait_until

COUNT = 1_000_000  # sessions.max_open: as many as one partition may hold
WAIT_S = 600
PAGES = """
INSERT INTO footfall.partitions (topic, partition, next_offset, version) VALUES ('hits', 0, -2, 1);
INSERT INTO footfall.open_session_pages
SELECT 'hits', 0, 1, page * 200, json_agg(json_build_array(
           '77.' || number / 65536 || '.' || number / 256 % 256 || '.' || number % 256, 'www.shop.example', at, at + 60000, 3, 0,
           'https://www.shop.example/articles/' || number % 5000 || '/what-happened-then.html', 'https://www.search.example/',
           'IN', 'Karnataka', 'Bengaluru', 'https://www.shop.example/page/' || number % 700))::text
  FROM (SELECT number, number / 200 AS page, (extract(epoch FROM now()) * 1000)::bigint - 3600000 - number % 300000 AS at
          FROM generate_series(0, {last}) number) each
 GROUP BY page;
ANALYZE footfall.open_session_pages"""


def measure_memory(tools):
    program = tools.build("sessions_hot")
    for count in (1_000_000, 2_000_000, 4_000_000):
        heap, resident, opening, opening_mean, closing, closing_mean, thrown = subprocess.run(
            [program, str(count)], check=True, text=True, stdout=subprocess.PIPE).stdout.split()
        print(f"sessions: {count:,} open: {heap} bytes each asked of malloc, {resident} resident, shared texts included; CPU a turn of "
              f"5,000: opening longest {opening} ms, mean {opening_mean} ms, closing longest {closing} ms, mean {closing_mean} ms; "
              f"thrown away in {thrown} ms", flush=True)


class Loop:
    """Asks the admin listener as fast as it answers. waits: (ms until the answer, ms of CPU that the loop's thread took until then)"""

    def __init__(self, aggregator):
        self.connection = http.client.HTTPConnection("127.0.0.1", aggregator.admin, timeout=60)
        self.cpu = pathlib.Path(f"/proc/{aggregator.pid}/task/{aggregator.pid}/schedstat")
        self.waits = []

    def _cpu_ms(self):
        return int(self.cpu.read_text().split()[0]) / 1e6

    def ask(self, path="/healthz"):
        cpu, begin = self._cpu_ms(), time.monotonic()
        self.connection.request("GET", path)
        text = self.connection.getresponse().read().decode()
        self.waits.append(((time.monotonic() - begin) * 1000, self._cpu_ms() - cpu))
        return text

    def figure(self, name):
        return next(float(line.split()[1]) for line in self.ask("/metrics").splitlines() if line.startswith(name + " "))

    def ask_until(self, is_over):
        """(seconds, waits, their CPU), both in order of length"""
        begin, asked, self.waits = time.monotonic(), 0, []
        while asked % 20 or not is_over():
            self.ask()
            asked += 1
            if time.monotonic() - begin > WAIT_S:
                raise ServerError("the sessions do not close")
        return time.monotonic() - begin, *(sorted(each) for each in zip(*self.waits))


def _resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) * 1024


def _say(what, seconds, waits, cpu):
    p50, p99 = (waits[len(waits) * each // 100] for each in (50, 99))
    print(f"sessions: {COUNT:,} {what} in {seconds:.1f} s; the loop answered after p50 {p50:.1f}, p99 {p99:.1f}, at most "
          f"{waits[-1]:.1f} ms; its own CPU until then at most {cpu[-1]:.1f} ms", flush=True)


def measure_burst(pipe, tools):
    aggregator = backlog.start(pipe, tools, "burst")
    subprocess.run([tools.binary, "--set", f"postgres.conninfo={pipe.postgres.conninfo('burst')}", "migrate"], check=True,
                   stdout=subprocess.DEVNULL)
    pipe.postgres.ask(PAGES.format(last=COUNT - 1), "burst")
    aggregator.start(wait=False)
    wait_until(lambda: aggregator.fetch("/healthz")[0] == 200, "listening", WAIT_S, every_s=0.01)
    loop, empty = Loop(aggregator), _resident(aggregator.pid)
    _say("loaded", *loop.ask_until(lambda: loop.figure("footfall_sessions_open") > 0))
    print(f"sessions: {(_resident(aggregator.pid) - empty) / COUNT:.1f} bytes each resident in the aggregator", flush=True)
    _say("closed", *loop.ask_until(lambda: loop.figure("footfall_sessions_open") == 0))
    aggregator.stop()  # and commits the last ones
    rows = pipe.postgres.ask("SELECT count(*), sum(web_events) FROM session_events_aggregated_ip", "burst")
    assert rows == f"{COUNT}|{3 * COUNT}", f"sessions were lost or doubled: {rows}"


def measure_sessions(pipe, tools):
    """tools: binary, build(target)."""
    measure_memory(tools)
    measure_burst(pipe, tools)
