# SPDX-License-Identifier: Apache-2.0
"""Our programs under test: started with a settings file, watched for sanitizer reports, ended with the test."""
import http.client
import os
import pathlib
import re
import signal
import subprocess

from servers import Program, free_ports, wait_until

BUILD = pathlib.Path(os.environ.get("FOOTFALL_TEST_BUILD", pathlib.Path(__file__).resolve().parents[3] / "build/asan"))
COMMAND_S = 120
_REPORT = re.compile(r"ERROR: (Address|Leak|Thread)Sanitizer|: runtime error: |LeakSanitizer: detected")
_SANITIZERS = {"UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1", "ASAN_OPTIONS": "detect_stack_use_after_return=1"}


# For a collector whose journal rolls often: segments with room for three of the largest hits, and one thread for all that is slow,
# so that its system calls have numbers. Some hundred hits of LONG visitors fill such a segment.
SEGMENT_BYTES = 512 * 1024
SMALL_SEGMENTS = {"FOOTFALL_FAILPOINT_NUMBERS": f"segment_bytes={SEGMENT_BYTES}", "UV_THREADPOOL_SIZE": "1"}
LONG = {"most": 3, "padding": 3000}

# For an aggregator: however fast a machine is, what a test produces is many batches.
SMALL_BATCHES = {"FOOTFALL_FAILPOINT_NUMBERS": "batch_messages=500"}


class Ours(Program):
    """One of our programs. Only the test ends it (kill, a failpoint, stop_well, wait_left), it does not end by itself; and it
    never reports a sanitizer's find."""

    before = ()  # its command: what it is started by

    def __init__(self, folder, program, settings, failpoint="", env=None):
        super().__init__(folder, BUILD / "bin" / program, settings, free_ports(1)[0], name=program,
                         env={**_SANITIZERS, "FOOTFALL_FAILPOINT": failpoint, **(env or {})})
        self.is_wanted = True

    def spawn(self, command, user=None, env=None):
        super().spawn([*self.before, *command], user, env)

    def start_again(self, wait=True):
        """After its end, without failpoints."""
        assert not self.is_running()
        self.env["FOOTFALL_FAILPOINT"] = ""
        self.is_wanted = True
        return self.start(wait)

    def start_held(self):
        """A process that becomes the program when it gets a SIGCONT, so that strace sees its first steps."""
        assert not self.is_running()
        self.is_wanted = True
        self.spawn(["/bin/sh", "-c", 'kill -STOP $$; exec "$@"', "sh", self.binary, "--config", self.config], env=self.env)
        wait_until(self.is_stopped, f"{self.name} held")
        return self

    def is_stopped(self):
        return pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def kill(self):
        self.is_wanted = False
        super().kill()

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait_killed(self):
        """Until its failpoint, or strace, has killed it."""
        self.is_wanted = False
        wait_until(lambda: not self.is_running(), f"{self.name} killed by its failpoint")
        assert self.process.returncode == -signal.SIGKILL, f"ended with {self.process.returncode}"

    def wait_stopped(self):
        """Until its failpoint has stopped it."""
        def is_stopped():
            assert self.is_running(), f"{self.name} has ended"
            return self.is_stopped()
        wait_until(is_stopped, f"{self.name} stopped by its failpoint")

    def stop_well(self):
        """Ends it as systemd does; it must drain and leave with 0."""
        self.is_wanted = False
        status = self.stop()
        assert status == 0, f"{self.name} left with {status}; its log ends:\n{self.log_tail()}"

    def wait_left(self):
        """The exit status, when it has left by itself or by a signal that the test sent."""
        self.is_wanted = False
        wait_until(lambda: not self.is_running(), f"{self.name} has left")
        return self.process.returncode

    def check_log(self):
        found = _REPORT.search(self.log_text())
        assert not found, f"{self.name} was caught by a sanitizer:\n{self.log_text()[found.start():][:6000]}"


class Collector(Ours):
    def __init__(self, folder, kafka, topic, env=None, **settings):
        self.port = free_ports(1)[0]
        self.journal = pathlib.Path(settings.get("journal__directory", f"{folder}/journal"))
        super().__init__(folder, "footfall-collector", {
            "http.listen": f"127.0.0.1:{self.port}", "kafka.brokers": kafka.brokers, "kafka.topic": topic.name,
            "kafka.partitions": topic.partitions, "sites.hosts": "shop.example, *.example.org",
            "http.trusted_proxies": "127.0.0.1", "journal.directory": self.journal,
            **{key.replace("__", "."): value for key, value in settings.items()}}, env=env)

    def request(self, method, path, body=None, headers=None, timeout_s=90):
        """(status, headers, body) on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request(method, path, body, headers or {})
            reply = connection.getresponse()
            return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
        finally:
            connection.close()

    def figure(self, name):
        return self.metrics()[f"footfall_collector_{name}"]

    def wait_drained(self):
        """Until Kafka has confirmed all that it has taken."""
        wait_until(lambda: self.figure("journal_pending") == 0, "the journal is drained")

    def post(self, body, **headers):
        """A page's hit, as JSON text."""
        return self.request("POST", "/v1/hits", body, {
            "Content-Type": "text/plain;charset=UTF-8", **{name.replace("_", "-"): value for name, value in headers.items()}})


class Aggregator(Ours):
    def __init__(self, folder, kafka, topic, database, failpoint="", env=None, program="footfall-aggregator", before=(), **settings):
        self.before = before
        super().__init__(folder, program, {
            "kafka.brokers": kafka.brokers, "kafka.topic": topic.name, "postgres.conninfo": database.conninfo,
            "sessions.lateness": "1s", "rdkafka.session.timeout.ms": "6000",
            **{key.replace("__", "."): value for key, value in settings.items()}}, failpoint, env)


    def command(self, *arguments, failpoint=""):
        """(exit status, stdout, stderr) of a command, with this aggregator's settings."""
        done = subprocess.run([self.binary, "--config", self.config, *arguments], capture_output=True, text=True,
                              timeout=COMMAND_S, env={**os.environ, **_SANITIZERS, "FOOTFALL_FAILPOINT": failpoint})
        assert not _REPORT.search(done.stderr), done.stderr
        return done.returncode, done.stdout, done.stderr


class Programs:
    """Those of one test."""

    def __init__(self, folder, kafka):
        self.folder = folder
        self.kafka = kafka
        self.all = []

    def _added(self, program):
        self.all.append(program)
        return program

    def _folder(self):
        return self.folder / f"program{len(self.all)}"

    def collector(self, topic, ready=True, env=None, **settings):
        return self._added(Collector(self._folder(), self.kafka, topic, env, **settings)).start(wait=ready)

    def aggregator(self, topic, database, failpoint="", ready=True, env=None, **settings):
        """ready: wait until it is; one with a failpoint may never be."""
        program = Aggregator(self._folder(), self.kafka, topic, database, failpoint, env, **settings)
        return self._added(program).start(wait=ready and not failpoint)

    def end(self):
        """Ends what still runs and looks at every log."""
        for program in self.all:
            assert program.is_running() or not program.is_wanted, (
                f"{program.name} ended with {program.process.returncode}; its log ends:\n{program.log_tail()}")
            if program.is_running():
                program.stop_well()
        for program in self.all:
            program.check_log()

    def kill(self):
        for program in self.all:
            program.kill()

    def logs(self):
        return [(f"{program.name} in {program.folder.name}", program.log_tail(60)) for program in self.all if program.log.exists()]
