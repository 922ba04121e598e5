# SPDX-License-Identifier: Apache-2.0
"""The system calls of a program on one folder, or on some files, by strace: counted, made to fail, or made to be its last.

strace counts the n-th call by thread; so a call is named by a thread, a name and a number. It must not be attached when a
program under LeakSanitizer ends by itself: stop() it before. A call that it is just making fail when it lets go fails with
ENOSYS instead."""
import collections
import pathlib
import re
import signal
import subprocess

from servers import wait_until

CALLS = ("pwrite64", "pwritev", "fdatasync", "fsync", "openat", "renameat", "unlinkat", "ftruncate", "fallocate", "mkdirat", "?mkdir")
SEGMENTS_AHEAD = 400  # that are made while it is attached; strace must know their names
DETACH_S = 10

_BY_NAME = ("openat", "renameat", "unlinkat", "mkdirat")  # a name in the folder that a descriptor stands for

Call = collections.namedtuple("Call", "thread name path result error is_injected")

_BEGUN = re.compile(r"(\d+) +(\w+)\((.*)")
_RESUMED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*)")
_RESULT = re.compile(r"\) += (-?\d+)(?:<[^>]*>)?(?: ([A-Z]+) \([^)]*\))?( \(INJECTED\))?$")
_NAME = re.compile(r'"([^"]*)"')
_FILE = re.compile(r"\d+<([^>]*)>")
_OTHER_ERROR = re.compile(r"^(?!strace: pid \d+: (entering|exiting), ptrace_syscall_info\.op == \d+$).+$", re.M)


def _path_of(call, arguments):
    """The file that a call is about: a name in a folder, or what its descriptor stands for."""
    opened, _, rest = arguments.partition(", ")
    folder, name = _FILE.match(opened), _NAME.match(opened) or _NAME.match(rest)
    if not folder:
        return name[1] if name else ""
    return f"{folder[1]}/{name[1]}" if name and call in _BY_NAME else folder[1]


def read_calls(text):
    """Those of a log that have come to an end, in the order of their ends."""
    calls, begun = [], {}
    for line in text.splitlines():
        start, end = _BEGUN.match(line), _RESUMED.match(line)
        if start:
            begun[start[1]] = start[3]
        elif not end:
            continue
        thread, name, rest = (start or end).groups()
        result = _RESULT.search(rest)
        if result:
            calls.append(Call(int(thread), name, _path_of(name, begun.pop(thread, "")), int(result[1]), result[2], bool(result[3])))
    return calls


def _names_of_journal(folder):
    numbers = [int(each.name.partition(".")[0], 16) for each in folder.glob("*.segment")]
    last = max(numbers, default=0) + SEGMENTS_AHEAD
    return [folder, folder / "quarantine", *(folder / f"{number:016x}.segment" for number in {*numbers, *range(
        max(numbers, default=0) + 1, last)})]


class Strace:
    """Attached to a program that runs, or that is held before its start. inject: "fdatasync:error=EIO:when=3" …"""

    def __init__(self, program, names, inject=(), thread=None):
        """names: a journal, or a list of files. thread: only this one, which may be a child's; else all of the program, also those
        that are still to come."""
        self.program = program
        self.thread = thread
        self.log = program.folder / "strace.log"
        self.errors = program.folder / "strace.errors"
        if not isinstance(names, list):
            names = _names_of_journal(pathlib.Path(names))
        self.command = ["strace", "-qq", "-y", "-o", self.log, "-e", f"trace={','.join(CALLS)}", "-e", "signal=none",
                        *(part for each in names for part in ("-P", each)),
                        *(part for each in inject for part in ("-e", f"inject={each}")),
                        *(["-f", "-p", program.pid] if thread is None else ["-p", thread])]
        self.process = None

    def start(self):
        wait_until(self._attach, "strace is attached")
        return self

    def _attach(self):
        """False, and let go again, if it met a thread in the middle of a call: it could take the ends of that thread's calls
        for their beginnings from then on."""
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen([str(part) for part in self.command], stdin=subprocess.DEVNULL, stderr=errors)
        wait_until(lambda: self._is_confused() or self._is_attached(), "strace has attached")
        if self._is_confused():
            self.stop()
            return False
        return True

    def _is_confused(self):
        errors = self.errors.read_text()
        assert not _OTHER_ERROR.search(errors), errors
        return bool(errors)

    def _is_attached(self):
        """Or its program is dead already."""
        if not self.program.is_running() or self.process.poll() is not None:
            return not self.program.is_running()
        threads = [pathlib.Path(f"/proc/{self.thread}")] if self.thread else list(
            pathlib.Path(f"/proc/{self.program.pid}/task").iterdir())
        return all(f"TracerPid:\t{self.process.pid}\n" in self._status(each) for each in threads)

    @staticmethod
    def _status(thread):
        try:
            return (thread / "status").read_text()
        except OSError:  # it has ended
            return ""

    def stop(self):
        """Lets go of the program; it runs on."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(DETACH_S)
            except subprocess.TimeoutExpired:
                self._let_die()
        return self

    def _let_die(self):
        """A program that is killed at the moment of letting go of it makes strace wait for ever."""
        self.process.kill()
        self.process.wait()
        wait_until(lambda: not self.program.is_running(), f"{self.program.name} is dead")

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def calls(self, name=None):
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        if self.thread is not None:  # then strace does not write it
            text = "".join(f"{self.thread} {line}\n" for line in text.splitlines())
        return [each for each in read_calls(text) if name in (None, each.name)]
