# SPDX-License-Identifier: Apache-2.0
"""The running demo behind deploy/quickstart: starts the servers, sends visitors, shows what arrives.

    demo.py live|once KAFKA-JARS MMDB…     demo.py stop     demo.py running (exit status 0: it is)

Everything lives in one folder that belongs to the user; `state.json` in it says which processes are ours, with the time they
started, so that `stop` ends those and no others. Who starts holds a lock on the folder until everything is up."""
import contextlib
import fcntl
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
from servers import Kafka, Postgres, Program, Server, ServerError, fetch_metrics, free_ports, wait_until  # noqa: E402
from shop import Shop  # noqa: E402

FOLDER = pathlib.Path(os.environ.get("FOOTFALL_DEMO_FOLDER", f"/var/tmp/footfall-quickstart-{os.getuid()}"))
STATE = FOLDER / "state.json"
SITES = ["shop.example", "blog.example", "www.example.org"]
HISTORY_HITS = {"once": 3000, "live": 20000}
LIVE_RATE = 20
REPORT_ROWS = 12
HEAD_LINES = 2  # of psql's tables: names and a line
ALREADY = "quickstart: it is already running; ./deploy/quickstart stop ends it"
CREDIT = "Places: IP Geolocation by DB-IP, https://db-ip.com (CC BY 4.0)"


class Visitors(Server):
    name = "visitors"

    def start(self, collector, *arguments):
        sites = [word for site in SITES for word in ("--site", site)]
        self.spawn(["/usr/bin/python3", HERE / "visitors", "--collector", collector, *sites, *arguments])
        return self


# ---- Which processes are ours ----

def started_at(pid):
    """When a process started, in the kernel's ticks; None when there is none, or one that has ended and waits for its parent."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def load_state():
    """None: nothing was started, or somebody is only beginning to."""
    try:
        return json.loads(STATE.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None


def save_state(state):
    part = FOLDER / "state.part"
    part.write_text(json.dumps(state))
    part.rename(STATE)


def running(state):
    """Names of our processes that run."""
    return {name for name, pid, start in state["processes"] if started_at(pid) == start} if state else set()


def is_up(state):
    """Whether the start came to its end, nobody is ending it, and any of it is still there."""
    return bool(state and state["is_up"] and running(state))


def make_folder():
    """Ours alone: another user's folder, or a link, under the shared /var/tmp is refused."""
    try:
        FOLDER.mkdir(mode=0o755, exist_ok=True)
        owner = FOLDER.lstat()
    except OSError as error:
        sys.exit(f"quickstart: {FOLDER}: {error.strerror}")
    if FOLDER.is_symlink() or owner.st_uid != os.getuid():
        sys.exit(f"quickstart: {FOLDER} belongs to somebody else; remove it")


@contextlib.contextmanager
def locked():
    """Waits while another quickstart of this user starts or stops; makes the folder."""
    while True:
        make_folder()
        lock = os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print("another quickstart is starting or ending; waiting for it …", flush=True)
                fcntl.flock(lock, fcntl.LOCK_EX)
            if FOLDER.exists() and os.path.samestat(os.fstat(lock), FOLDER.stat()):  # it was not removed meanwhile
                yield
                return
        finally:
            os.close(lock)


def say(text):
    """On the way out nothing may fail, not even for a terminal that is gone."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


def end(name, pid, start):
    if started_at(pid) != start:
        return
    say(f"ending {name} …")
    os.kill(pid, signal.SIGINT if name == "postgres" else signal.SIGTERM)
    try:
        wait_until(lambda: started_at(pid) != start, name, 60)
    except ServerError:
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: started_at(pid) != start, name, 60)


def end_processes():
    """Those that state.json names, the last started first."""
    state = load_state()
    if state is None:
        return
    save_state({**state, "is_up": False})
    for name, pid, start in reversed(state["processes"]):
        end(name, pid, start)


def end_all():
    """Nothing is left. Ctrl-C waits until that is so."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end_processes()
    shutil.rmtree(FOLDER, ignore_errors=True)
    say("quickstart: ended, and its data removed")


# ---- Starting ----

class Demo:
    def __init__(self, kafka, mmdb):
        for left_over in FOLDER.iterdir():
            shutil.rmtree(left_over) if left_over.is_dir() else left_over.unlink()
        beacons, collector_admin, aggregator_admin, shop_port = free_ports(4)
        self.processes = []
        self.is_up = False
        self.postgres = Postgres(FOLDER / "postgres", detached=True)
        self.kafka = Kafka(FOLDER / "kafka", kafka, detached=True)
        self.mirror = FOLDER / "mirror.sock"
        binaries = TOP / "build/release/bin"
        self.collector = Program(FOLDER / "collector", binaries / "footfall-collector", {
            "http.listen": f"127.0.0.1:{beacons}", "http.trusted_proxies": "127.0.0.1",
            "mirror.listen": f"unix:{self.mirror}", "sites.hosts": ", ".join([*SITES, "127.0.0.1", "localhost"]),
            "kafka.brokers": self.kafka.brokers, "journal.directory": FOLDER / "collector/journal",
        }, collector_admin, detached=True)
        self.aggregator = Program(FOLDER / "aggregator", binaries / "footfall-aggregator", {
            "kafka.brokers": self.kafka.brokers, "postgres.conninfo": self.postgres.conninfo(),
            "geo.databases": ", ".join(mmdb),
        }, aggregator_admin, detached=True)
        self.beacons = beacons
        self.shop = Shop(FOLDER / "nginx", shop_port, detached=True)
        self.visitors = Visitors(FOLDER / "visitors", detached=True)
        for server in (self.postgres, self.kafka, self.collector, self.aggregator, self.shop, self.visitors):
            server.on_spawned = self.remember
        self.save_state()

    def remember(self, server):
        """From its first moment, so that `stop` finds it whatever happens next."""
        self.processes.append([server.name, server.pid, started_at(server.pid)])
        self.save_state()

    def save_state(self):
        save_state({"is_up": self.is_up, "processes": self.processes, "summary": self.summary(),
                    "conninfo": self.postgres.conninfo(), "aggregator": self.aggregator.admin})

    def start(self):
        self.step("postgres", self.start_postgres)
        self.step("kafka", self.start_kafka)
        self.step("collector", self.collector.start)
        self.step("aggregator", self.aggregator.start)
        self.step("nginx", self.start_shop)
        self.is_up = True
        self.save_state()

    @staticmethod
    def step(name, start):
        print(f"starting {name} …", end="", flush=True)
        begin = time.monotonic()
        try:
            start()
        except BaseException:
            print(flush=True)
            raise
        print(f" {time.monotonic() - begin:.1f} s", flush=True)

    def start_postgres(self):
        self.postgres.start()
        self.postgres.create_database()

    def start_kafka(self):
        self.kafka.start()
        self.kafka.create_topic("hits")

    def start_shop(self):
        self.shop.configure(self.beacons, self.mirror)
        self.shop.start(self.shop.shop_port)

    def send_visitors(self, *arguments):
        return self.visitors.start(f"http://127.0.0.1:{self.beacons}", *arguments)

    def summary(self):
        admin = "http://127.0.0.1:{}/metrics"
        return "\n".join([
            "", f"  the shop        http://127.0.0.1:{self.shop.shop_port}/   (open it; each page is a hit)",
            f"  the database    psql '{self.postgres.conninfo()}'",
            f"  reports         psql '{self.postgres.conninfo()}' -f {TOP}/sql/reports/hits_by_country.sql",
            f"  metrics         {admin.format(self.collector.admin)} (collector), {admin.format(self.aggregator.admin)} (aggregator)",
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

    def __init__(self, state):
        self.conninfo = state["conninfo"]
        self.admin = state["aggregator"]

    def ask(self, sql):
        done = subprocess.run(["psql", "-XAtq", self.conninfo, "-c", sql], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=True)
        return done.stdout.strip().split("|")

    def lag(self):
        return int(fetch_metrics(self.admin)["footfall_lag_messages"])

    def counts(self):
        return [int(value) for value in self.ask(COUNTS)]


def watch(look):
    """For ever, until Ctrl-C or until somebody ends the demo."""
    print(f"{'hits':>10} {'open':>8} {'closed':>8} {'rejected':>9} {'lag':>8}   newest hit")
    before = 0
    while True:
        try:
            hits, opened, closed, rejected = look.counts()
            newest, lag = " ".join(look.ask(LATEST)), look.lag()
        except (subprocess.CalledProcessError, ServerError):
            if is_up(load_state()):
                raise
            print("quickstart: it was ended")
            return
        print(f"{hits:>10} {opened:>8} {closed:>8} {rejected:>9} {lag:>8}   {newest}  (+{hits - before})", flush=True)
        before = hits
        time.sleep(1)


def print_reports(look):
    """Each with its head and its first rows."""
    for report in sorted((TOP / "sql/reports").glob("*.sql")):
        done = subprocess.run(["psql", "-Xq", look.conninfo, "-v", "ON_ERROR_STOP=1", "-P", "pager=off", "-P", "footer=off",
                               "-f", report], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
        lines = done.stdout.rstrip().splitlines()
        print(f"\n---- {report.stem.replace('_', ' ')}: {len(lines) - HEAD_LINES} rows\n")
        print("\n".join(lines[:HEAD_LINES + REPORT_ROWS]), flush=True)
        if len(lines) > HEAD_LINES + REPORT_ROWS:
            print("…")


# ---- The ways to call it ----

def start(kafka, mmdb, then):
    """A fresh demo, and then(demo, look); whatever goes wrong or interrupts it, nothing is left behind."""
    try:
        end_processes()  # of a start that was killed
        demo = Demo(kafka, mmdb)
        demo.start()
        then(demo, Look(load_state()))
    except KeyboardInterrupt:
        say("\nquickstart: interrupted; ending what was started")
        end_all()
        sys.exit(130)
    except (ServerError, subprocess.CalledProcessError, OSError) as error:
        with contextlib.suppress(OSError):
            print(f"quickstart: {error}", getattr(error, "stderr", None) or "", file=sys.stderr, flush=True)
        end_all()
        sys.exit(70)


def run_once(demo, look):
    count = HISTORY_HITS["once"]
    visitors = demo.send_visitors("--hits", str(count))
    print(f"{count} hits of the last three hours are on their way …", flush=True)
    if visitors.process.wait(600) != 0:
        raise ServerError(f"visitors failed:\n{visitors.log_tail()}")
    wait_until(lambda: look.counts()[0] >= count, f"{count} rows", 300)
    print("all are stored; waiting until the sessions that are over are closed …", flush=True)
    wait_until(lambda: look.ask(OVERDUE) == ["0"], "closed sessions", 300)
    hits, opened, closed, rejected = look.counts()
    print_reports(look)
    print(f"\n{hits} hits ({count} were answered 204), {closed} closed and {opened} open sessions, {rejected} rejected")
    if hits != count or rejected:
        raise ServerError("the rows are not what was sent")


def once(kafka, mmdb):
    with locked():
        if is_up(load_state()):
            sys.exit(ALREADY)
        start(kafka, mmdb, run_once)
        end_all()


def live(kafka=None, mmdb=()):
    """Without arguments it must be up."""
    with locked():
        was_up = is_up(load_state())
        if not was_up:
            start(kafka, mmdb, lambda demo, _: demo.send_visitors("--hits", str(HISTORY_HITS["live"]), "--rate", str(LIVE_RATE)))
        state = load_state()
    missing = {name for name, _, _ in state["processes"]} - running(state)
    if was_up:
        print("quickstart: it is already running" + (f", but without {', '.join(sorted(missing))}" if missing else ""))
    print(state["summary"])
    watch(Look(state))


def stop():
    if not FOLDER.exists():
        print("quickstart: nothing is running")
        return
    with locked():
        end_all()


def on_signal(*_):
    raise KeyboardInterrupt


def main(command, *arguments):
    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGHUP, on_signal)
    if command == "running":
        sys.exit(0 if is_up(load_state()) else 1)
    if command == "stop":
        stop()
    elif command == "live":
        live(*arguments[:1], arguments[1:])
    elif arguments:
        once(arguments[0], arguments[1:])
    else:
        sys.exit(ALREADY)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        if is_up(load_state()):
            say("\nquickstart: it goes on; ./deploy/quickstart shows it again, ./deploy/quickstart stop ends it")
    except (subprocess.CalledProcessError, ServerError) as failure:
        sys.exit(f"quickstart: {failure} {getattr(failure, 'stderr', '')}\nthe logs are {FOLDER}/*/*.log")
