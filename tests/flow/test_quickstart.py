# SPDX-License-Identifier: Apache-2.0
"""deploy/quickstart as a newcomer calls it: bounded, live in a terminal, as root and as an ordinary user. Other servers that
run on the machine, and the system's own settings, stay as they are."""
import contextlib
import os
import pathlib
import pty
import pwd
import re
import select
import shutil
import signal
import subprocess
import time
import urllib.request

import pytest

from conftest import TOP
from servers import Nginx, can_connect, free_ports, wait_until

REPORTS = sorted(path.stem.replace("_", " ") for path in (TOP / "sql/reports").glob("*.sql"))
WORLD = TOP / "tests/data/mmdb/world.mmdb"
COUNTS = re.compile(r"^ +(\d+) +\d+ +\d+ +\d+ +\d+ ", re.M)
PATIENCE_S = 400  # for the whole tree to be built, too


class Caller:
    """Somebody with a tree and a data folder; user: None is who runs the tests."""

    def __init__(self, tree, folder, cache, user=None):
        self.tree = tree
        self.folder = folder
        self.entry = pwd.getpwnam(user) if user else None
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder.parent), "TERM": "xterm", "LANG": "C.UTF-8",
                            "FOOTFALL_DEMO_FOLDER": str(folder), "FOOTFALL_CACHE": str(cache)}
        for name in ("CMAKE_C_COMPILER_LAUNCHER", "CCACHE_NOHASHDIR"):
            if name in os.environ and not user:
                self.environment[name] = os.environ[name]

    def call(self, *arguments, expected=0):
        """What it says; without a terminal, from another folder."""
        user = {"user": self.entry.pw_uid, "group": self.entry.pw_gid, "extra_groups": []} if self.entry else {}
        done = subprocess.run([self.tree / "deploy/quickstart", *arguments], text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.environment, cwd="/", timeout=PATIENCE_S,
                              check=False, **user)
        assert done.returncode == expected, done.stdout
        return done.stdout

    @contextlib.contextmanager
    def terminal(self, *arguments):
        pid, master = pty.fork()
        if pid == 0:
            os.chdir("/")
            if self.entry:
                os.setgroups([])
                os.setgid(self.entry.pw_gid)
                os.setuid(self.entry.pw_uid)
            os.execve(self.tree / "deploy/quickstart", ["quickstart", *arguments], self.environment)
        terminal = Terminal(pid, master)
        try:
            yield terminal
        finally:
            terminal.close()

    def processes(self):
        """Those that work in the data folder."""
        found = []
        for each in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.readlink(each / "cwd").startswith(str(self.folder)):
                    found.append((int(each.name), (each / "comm").read_text().strip()))
        return found

    def check_nothing_is_left(self):
        assert self.processes() == []
        assert not self.folder.exists()


class Terminal:
    def __init__(self, pid, master):
        self.pid = pid
        self.master = master
        self.text = ""
        self.status = None

    def read(self):
        """More of what it says, if anything comes within a moment."""
        if select.select([self.master], [], [], 0.2)[0]:
            with contextlib.suppress(OSError):  # the other side is closed
                self.text += os.read(self.master, 65536).decode(errors="replace").replace("\r", "")

    def wait_for(self, condition, what):
        end = time.monotonic() + PATIENCE_S
        while not condition(self.text):
            self.read()
            assert not self.has_ended() or condition(self.text), f"{what}: it ended and had said:\n{self.text}"
            assert time.monotonic() < end, f"{what}: not yet, it says:\n{self.text}"

    def press_control_c(self):
        os.write(self.master, b"\x03")

    def has_ended(self):
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
                self.read()
        return self.status is not None

    def wait_ended(self):
        end = time.monotonic() + PATIENCE_S
        while not self.has_ended():
            self.read()
            assert time.monotonic() < end, f"it does not end; it says:\n{self.text}"
        return self.status

    def close(self):
        if not self.has_ended():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.master)


@pytest.fixture(scope="module")
def cache(folder, kafka):
    """Jars that an ordinary user may read, too, and the places that the quick start brings itself."""
    path = folder / "cache"
    path.mkdir()
    shutil.copytree(pathlib.Path(kafka.classpath).parent, path / "kafka-4.1.1")
    places = subprocess.run([TOP / "deploy/lib/fetch", "mmdb"], check=True, text=True, stdout=subprocess.PIPE).stdout.strip()
    (path / "dbip-city").symlink_to(places)
    return path


@pytest.fixture
def short_folder():
    """Sockets need short paths, and the demo's folder is made by itself."""
    path = pathlib.Path(f"/var/tmp/footfall-test-{os.getpid()}")
    path.mkdir()
    yield path
    shutil.rmtree(path)


@pytest.fixture
def caller(short_folder, cache):
    caller = Caller(TOP, short_folder / "demo", cache)
    yield caller
    caller.call("stop")


@pytest.fixture
def user(short_folder, cache):
    """An ordinary user with a copy of the tree; who is one already needs neither."""
    if os.geteuid() != 0:
        caller = Caller(TOP, short_folder / "demo", cache)
        yield caller
        caller.call("stop")
        return
    name = f"footfall-{os.getpid()}"
    subprocess.run(["useradd", "--no-create-home", "--home-dir", short_folder, name], check=True)
    try:
        shutil.copytree(TOP, short_folder / "tree", ignore=shutil.ignore_patterns("build", ".git", "__pycache__"))
        subprocess.run(["chown", "-R", f"{name}:", short_folder], check=True)
        caller = Caller(short_folder / "tree", short_folder / "demo", cache, name)
        yield caller
        caller.call("stop")
    finally:
        subprocess.run(["userdel", name], check=True)


@pytest.fixture
def neighbours(kafka, postgres, own_folder):
    """Servers of somebody else, of the kinds that the quick start brings up, and the settings of the system's own."""
    port = free_ports(1)[0]
    nginx = Nginx(own_folder / "nginx", "pid nginx.pid; events { } http { access_log off; server { listen 127.0.0.1:%d; "
                  "return 200 'still here'; } }" % port).start(port)
    before = [(each.pid, each.process.poll()) for each in (kafka, postgres, nginx)]
    settings = system_settings()
    yield
    assert [(each.pid, each.process.poll()) for each in (kafka, postgres, nginx)] == before
    assert can_connect(kafka.port) and postgres.ask("SELECT 'still here'", "postgres") == "still here"
    assert urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60).read() == b"still here"
    assert system_settings() == settings
    nginx.stop()


def system_settings():
    return {path: path.lstat().st_mtime_ns for top in ("/etc/nginx", "/etc/postgresql", "/var/lib/postgresql", "/etc/footfall")
            for path in sorted(pathlib.Path(top).rglob("*"))}


def hits(text):
    return [int(count) for count in COUNTS.findall(text)]


# ---- The tests ----

def test_a_bounded_run_shows_the_reports_and_leaves_nothing(caller, neighbours):
    said = caller.call("--once")
    assert re.findall(r"^---- ([a-z ]+): [1-9]\d* rows$", said, re.M) == REPORTS
    assert re.search(r"^3000 hits \(3000 were answered 204\), [1-9]\d* closed and \d+ open sessions, 0 rejected$", said, re.M), said
    assert said.endswith("quickstart: ended, and its data removed\n")
    caller.check_nothing_is_left()


def test_a_user_watches_leaves_comes_back_and_ends_it(user, neighbours):
    with user.terminal("--mmdb", str(WORLD)) as terminal:
        terminal.wait_for(lambda text: len(hits(text)) > 2 and hits(text)[-1] > hits(text)[0], "counts that grow")
        shop = re.search(r"http://127\.0\.0\.1:\d+/", terminal.text).group(0)
        conninfo = re.search(r"psql '([^']*)'$", terminal.text, re.M).group(1)
        terminal.press_control_c()
        assert terminal.wait_ended() == 0
        assert "it goes on" in terminal.text
    assert urllib.request.urlopen(f"{shop}plain.html", timeout=60).status == 200  # has no script: nginx counts it
    assert b"v1/hits" in urllib.request.urlopen(f"{shop}ff/footfall.js", timeout=60).read()
    wait_until(lambda: ask(conninfo, "SELECT count(*) FROM processed_events WHERE source = 'mirror'") == "1", "the mirrored page")

    assert "already running" in user.call("--once", expected=1)
    with user.terminal() as terminal:
        terminal.wait_for(lambda text: len(hits(text)) > 1, "counts again")
        assert "it is already running\n" in terminal.text and "starting" not in terminal.text
        assert shop in terminal.text
        # Somebody ends it while it is watched.
        said = user.call("stop")
        assert said.endswith("quickstart: ended, and its data removed\n"), said
        terminal.wait_ended()
        assert terminal.status == 0 and terminal.text.endswith("it was ended\n"), terminal.text
    user.check_nothing_is_left()
    assert user.call("stop") == "quickstart: nothing is running\n"


def ask(conninfo, sql):
    return subprocess.run(["psql", "-XAtq", conninfo, "-c", sql], check=True, text=True, stdout=subprocess.PIPE).stdout.strip()


def test_an_interrupted_start_leaves_nothing(caller):
    with caller.terminal(f"--mmdb={WORLD}") as terminal:
        terminal.wait_for(lambda text: "starting kafka" in text, "the start")
        assert caller.processes()
        terminal.press_control_c()
        assert terminal.wait_ended() == 130
        assert "interrupted" in terminal.text
    caller.check_nothing_is_left()


def test_a_start_that_was_killed_is_cleared_away(caller):
    with caller.terminal(f"--mmdb={WORLD}") as terminal:
        terminal.wait_for(lambda text: "starting kafka" in text, "the start")
        wait_until(lambda: '"kafka"' in (caller.folder / "state.json").read_text(), "Kafka")
        os.kill(terminal.pid, signal.SIGKILL)
        terminal.wait_ended()
    assert caller.processes()
    assert "ending kafka" in caller.call("stop")
    caller.check_nothing_is_left()


@pytest.mark.parametrize("arguments, status, words", [
    (["--bogus"], 64, "what is --bogus?"),
    (["--mmdb"], 64, "--mmdb needs a file"),
    (["--mmdb=/nowhere.mmdb"], 66, "/nowhere.mmdb cannot be read"),
    (["--help"], 0, "usage: quickstart"),
    (["stop"], 0, "nothing is running"),
])
def test_wrong_words_are_refused_at_once(caller, arguments, status, words):
    said = caller.call(*arguments, expected=status)
    assert words in said and "building" not in said
