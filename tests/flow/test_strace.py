# SPDX-License-Identifier: Apache-2.0
"""The bench's strace: it sees the calls on one folder only, and each fault happens at the call that was named."""
import sys

import pytest

from bench.strace import Strace, read_calls
from servers import Server, wait_until

LOG = """\
7 openat(3</j>, "0000000000000001.segment", O_RDWR|O_CREAT, 0600) = 9</j/0000000000000001.segment>
7 pwrite64(9</j/0000000000000001.segment>, ") = -1"..., 8, 0) = 8
8 fdatasync(9</j/0000000000000001.segment> <unfinished ...>
7 renameat(3</j>, "a", 3</j>, "quarantine/a" <unfinished ...>
8 <... fdatasync resumed>)              = -1 EIO (Input/output error) (INJECTED)
7 <... renameat resumed>)               = 0
8 fdatasync(9</j/0000000000000001.segment> <unfinished ...>
8 +++ killed by SIGKILL +++
"""
PROGRAM = """
import os, sys
folder = sys.argv[1]
file = os.open(folder + "/0000000000000001.segment", os.O_RDWR | os.O_CREAT)
other = os.open(folder + "/../other", os.O_RDWR | os.O_CREAT)
while sys.stdin.readline():
    for each in (other, file):
        os.pwrite(each, b"x", 0)
        try:
            os.fdatasync(each)
        except OSError as error:
            print(error, flush=True)
    print("done", flush=True)
"""


class Writer(Server):
    """Writes and syncs two files for each line that it is sent."""

    name = "writer"

    def start(self):
        (self.folder / "j").mkdir()
        self.pipe = self.folder / "lines"
        self.spawn(["/bin/sh", "-c", 'mkfifo lines; exec "$0" -c "$1" "$2" <>lines', sys.executable, PROGRAM, self.folder / "j"])
        self.wait_ready(self.pipe.exists)
        return self

    def write(self, count):
        before = self.log.read_text().count("done")
        self.pipe.write_text("\n" * count)
        wait_until(lambda: not self.is_running() or self.log.read_text().count("done") == before + count, "it has written")


@pytest.fixture
def writer(own_folder):
    program = Writer(own_folder).start()
    program.write(1)
    yield program
    program.kill()


def test_a_log_is_read():
    first = "/j/0000000000000001.segment"
    calls = read_calls(LOG)
    assert [(each.thread, each.name, each.path, each.result, each.error, each.is_injected) for each in calls] == [
        (7, "openat", first, 9, None, False), (7, "pwrite64", first, 8, None, False),
        (8, "fdatasync", first, -1, "EIO", True), (7, "renameat", "/j/a", 0, None, False)]


def test_calls_on_the_folder_are_seen_and_others_are_not(writer):
    with Strace(writer, writer.folder / "j") as tracer:
        writer.write(3)
    writer.write(1)
    assert [each.name for each in tracer.calls()] == ["pwrite64", "fdatasync"] * 3
    assert {each.path for each in tracer.calls()} == {str(writer.folder / "j/0000000000000001.segment")}


def test_the_call_that_was_named_fails(writer):
    with Strace(writer, writer.folder / "j", ["fdatasync:error=EIO:when=2"]) as tracer:
        writer.write(3)
    assert [each.error for each in tracer.calls("fdatasync")] == [None, "EIO", None]
    assert writer.log.read_text().count("Input/output error") == 1


@pytest.mark.parametrize("thread", ["all", "this"])
def test_the_call_that_was_named_is_the_last(writer, thread):
    with Strace(writer, writer.folder / "j", ["fdatasync:signal=SIGKILL:when=2"], None if thread == "all" else writer.pid) as tracer:
        writer.write(3)
        wait_until(lambda: not writer.is_running(), "it is dead")
    assert len(tracer.calls("pwrite64")) == 2 and len(tracer.calls("fdatasync")) == 1


def test_a_thread_met_in_the_middle_of_a_call(writer, monkeypatch):
    """strace says so; it is attached anew, and then every call is seen."""
    tracer = Strace(writer, writer.folder / "j")
    command = tracer.command
    complaint = 'echo "strace: pid 7: entering, ptrace_syscall_info.op == 2" >&2; exec sleep 60'
    tracer.command = ["/bin/sh", "-c", complaint]
    stop = Strace.stop

    def stop_and_mend(self):
        self.command = command
        return stop(self)

    monkeypatch.setattr(Strace, "stop", stop_and_mend)
    with tracer:
        writer.write(2)
    assert [each.name for each in tracer.calls()] == ["pwrite64", "fdatasync"] * 2


def test_what_else_strace_complains_of_is_an_error(writer):
    tracer = Strace(writer, writer.folder / "j", ["nosuchcall:error=EIO:when=1"])
    with pytest.raises(AssertionError, match="nosuchcall"):
        tracer.start()
