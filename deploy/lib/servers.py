# SPDX-License-Identifier: Apache-2.0
"""Private servers on loopback: Kafka, Postgres, nginx, and our own programs, for the quick start and the tests.

Each server lives in a folder of its own, listens on free ports, is ended with the process that started it unless it is
detached, and leaves nothing behind but its folder. Nothing here touches servers that it did not start."""
import base64
import contextlib
import ctypes
import os
import pathlib
import pwd
import random
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

LEAST_PORT, MIN_CHOICE = 10000, 1000
START_DEADLINE_S = 120        # machines are slow at times


class ServerError(Exception):
    """A server did not come up; the text says which, and shows the end of its log."""


def free_ports(count):
    """Ports that nobody listens on now, all different; none that the kernel gives to outgoing connections, or a server that
    is started again could find its port taken. FOOTFALL_PORTS=1/2 in the environment: only those of the second of two runs
    beside each other, which could otherwise both find a port free."""
    first_ephemeral = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    share, _, shares = os.environ.get("FOOTFALL_PORTS", "0/1").partition("/")
    candidates = random.sample(range(LEAST_PORT + int(share), max(first_ephemeral, LEAST_PORT + MIN_CHOICE * int(shares)),
                                     int(shares)), MIN_CHOICE)
    ports = [port for port in candidates if _is_free(port)][:count]
    if len(ports) < count:
        raise ServerError("hardly any port is free")
    return ports


def _is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def wait_until(condition, what, deadline_s=START_DEADLINE_S, every_s=0.05):
    """The first true value of condition(); ServerError when the deadline passes."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise ServerError(f"{what}: not within {deadline_s} s")
        time.sleep(every_s)


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Server:
    """A child process with a log file."""

    name = "server"

    def __init__(self, folder, detached=False):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / f"{self.name}.log"
        self.detached = detached
        self.on_spawned = None  # called with the server at the first moment of each process
        self.process = None

    def spawn(self, command, user=None, env=None):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                env=env, user=user, group=user, extra_groups=[] if user else None, start_new_session=True,
                preexec_fn=None if self.detached else _die_with_parent)
        if self.on_spawned:
            self.on_spawned(self)

    @property
    def pid(self):
        return self.process.pid

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def log_tail(self, lines=25):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def wait_ready(self, is_ready, deadline_s=START_DEADLINE_S):
        def check():
            if not self.is_running():
                raise ServerError(f"{self.name} ended with {self.process.returncode}; its log ends:\n{self.log_tail()}")
            return is_ready()
        try:
            wait_until(check, self.name, deadline_s)
        except ServerError as error:
            if "its log ends" in str(error):
                raise
            raise ServerError(f"{error}; its log ends:\n{self.log_tail()}") from None

    def send_signal(self, number):
        os.kill(self.pid, number)

    @contextlib.contextmanager
    def paused(self):
        """Stands still, and then goes on as if nothing had been."""
        self.send_signal(signal.SIGSTOP)
        try:
            yield self
        finally:
            self.send_signal(signal.SIGCONT)

    def kill(self):
        if self.is_running():
            self.process.kill()
            self.process.wait()

    def stop(self, number=signal.SIGTERM, deadline_s=60):
        """Asks it to end; the exit status, or -9 when it had to be killed."""
        if not self.is_running():
            return self.process.returncode if self.process else 0
        self.send_signal(signal.SIGCONT)
        self.send_signal(number)
        try:
            return self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL


def can_connect(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Kafka(Server):
    """One broker that is its own controller. libs: the folder of its jars. `settings` are its properties; it reads them when it
    is started."""

    name = "kafka"
    memory = "512m"
    replication = 1

    def __init__(self, folder, libs, port=None, detached=False):
        super().__init__(folder, detached)
        self.classpath = f"{libs}/*"
        self.cluster_id = base64.urlsafe_b64encode(b"F" + os.urandom(15))[:22].decode()  # a letter first: '-' is an option
        ports = free_ports(2)
        self.port = port or ports[0]
        self.brokers = f"127.0.0.1:{self.port}"
        self.properties = self.folder / "server.properties"
        self.data = self.folder / "data"
        self.settings = {
            "process.roles": "broker,controller", "node.id": "1", "controller.quorum.voters": f"1@127.0.0.1:{ports[1]}",
            "listeners": f"PLAINTEXT://{self.brokers},CONTROLLER://127.0.0.1:{ports[1]}",
            "advertised.listeners": f"PLAINTEXT://{self.brokers}", "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT", "log.dirs": self.data,
            "offsets.topic.replication.factor": self.replication, "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": self.replication, "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.replication.factor": self.replication,
            "share.coordinator.state.topic.min.isr": 1, "group.initial.rebalance.delay.ms": 0,
            "auto.create.topics.enable": "false"}

    def java(self, *arguments, **options):
        return subprocess.run(["java", "-cp", self.classpath, *arguments], check=True, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder, **options).stdout

    def start(self, wait=True):
        self.properties.write_text("".join(f"{name}={value}\n" for name, value in self.settings.items()))
        if not self.data.exists():
            self.java("kafka.tools.StorageTool", "format", "-t", self.cluster_id, "-c", str(self.properties))
        self.spawn(["java", f"-Xmx{self.memory}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", self.classpath,
                    "kafka.Kafka", self.properties])
        if wait:
            self.wait_listening()
        return self

    def wait_listening(self):
        self.wait_ready(lambda: can_connect(self.port))

    def create_topic(self, name, partitions=12):
        self.java("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", self.brokers, "--create",
                  "--if-not-exists", "--topic", name, "--partitions", str(partitions))


def postgres_bin():
    for version in ("17", "16", "15"):
        path = pathlib.Path(f"/usr/lib/postgresql/{version}/bin")
        if (path / "initdb").exists():
            return path
    raise ServerError("no Postgres server is installed: apt-get install postgresql")


class Postgres(Server):
    """A private cluster on a unix socket in its folder. It refuses to run as root, so root runs it as `postgres`."""

    name = "postgres"

    def __init__(self, folder, detached=False, settings=()):
        super().__init__(folder, detached)
        self.bin = postgres_bin()
        self.user = "postgres" if os.geteuid() == 0 else None
        if self.user:
            self.folder.chmod(0o755)
        self.sockets = self.folder / "socket"
        self.data = self.folder / "data"
        self.settings = [f"-c{setting}" for setting in ("listen_addresses=", *settings)]
        for each in (self.sockets, self.data):
            each.mkdir(mode=0o700, exist_ok=True)
            if self.user:
                os.chown(each, pwd.getpwnam(self.user).pw_uid, pwd.getpwnam(self.user).pw_gid)
        if self.user:
            self.sockets.chmod(0o755)

    def conninfo(self, database="footfall"):
        return f"host={self.sockets} user=footfall dbname={database}"

    def start(self):
        if not any(self.data.iterdir()):
            self.spawn([self.bin / "initdb", "-D", self.data, "-U", "footfall", "-A", "trust", "-E", "UTF8",
                        "--locale=C.UTF-8", "--no-sync"], user=self.user)
            if self.process.wait() != 0:
                raise ServerError(f"initdb failed; its log ends:\n{self.log_tail()}")
        self.spawn([self.bin / "postgres", "-D", self.data, "-k", self.sockets, *self.settings], user=self.user)
        self.wait_ready(lambda: subprocess.run([self.bin / "pg_isready", "-q", "-h", self.sockets], check=False,
                                               stdout=subprocess.DEVNULL).returncode == 0)
        return self

    def stop(self, number=signal.SIGINT, deadline_s=60):  # SIGINT: fast shutdown
        return super().stop(number, deadline_s)

    def create_database(self, name="footfall"):
        subprocess.run([self.bin / "createdb", "-h", self.sockets, "-U", "footfall", name], check=True)

    def ask(self, sql, database="footfall"):
        """Rows as lines, columns separated by '|'."""
        return subprocess.run([self.bin / "psql", "-XAtq", self.conninfo(database), "-v", "ON_ERROR_STOP=1", "-c", sql],
                              check=True, text=True, stdout=subprocess.PIPE).stdout.strip()


def fetch(port, path):
    """(status, text) of a listener on loopback; (0, reason) without an answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def fetch_metrics(port):
    """{name or name{labels}: value} of an admin listener; ServerError without an answer."""
    status, text = fetch(port, "/metrics")
    if status != 200:
        raise ServerError(f"no metrics on port {port}: {status} {text}")
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


class Program(Server):
    """One of our programs. settings: {"section.key": value}; admin: its admin listener's port."""

    def __init__(self, folder, binary, settings, admin, detached=False, name=None, env=None):
        self.name = name or pathlib.Path(binary).name
        super().__init__(folder, detached)
        self.binary = binary
        self.admin = admin
        self.env = {**os.environ, **(env or {})}
        self.config = self.folder / f"{self.name}.conf"
        sections = {}
        for key, value in {**settings, "admin.listen": f"127.0.0.1:{admin}"}.items():
            section, _, leaf = key.partition(".")
            sections.setdefault(section, []).append(f"{leaf} = {value}")
        self.config.write_text("".join(f"[{s}]\n" + "\n".join(lines) + "\n" for s, lines in sections.items()))

    def start(self, wait=True):
        self.spawn([self.binary, "--config", self.config], env=self.env)
        if wait:
            self.wait_ready(self.is_ready)
        return self

    def fetch(self, path):
        return fetch(self.admin, path)

    def is_ready(self):
        return self.fetch("/readyz")[0] == 200

    def metrics(self):
        return fetch_metrics(self.admin)


class Nginx(Server):
    """nginx with a configuration of ours. Its workers stay the user who started it, so that they may read what he may."""

    name = "nginx"

    def __init__(self, folder, configuration, detached=False):
        super().__init__(folder, detached)
        self.configuration = self.folder / "nginx.conf"
        self.configuration.write_text(configuration)
        (self.folder / "tmp").mkdir(exist_ok=True)

    def start(self, port):
        binary = shutil.which("nginx") or "/usr/sbin/nginx"
        self.spawn([binary, "-p", self.folder, "-c", self.configuration, "-e", self.log, "-g",
                    "daemon off;" + (" user root;" if os.geteuid() == 0 else "")])
        self.wait_ready(lambda: can_connect(port))
        return self
