# SPDX-License-Identifier: Apache-2.0
"""A wire between an aggregator and Postgres on which COMMITs are lost, or their replies.

It understands what it carries as far as that takes: which transaction a COMMIT ends, and when the server has done it. What became
of the transaction is then asked of the server, over a connection that does not go through the wire."""
import collections
import random
import struct
import threading
import time

from bench.wire import Pair, Wire, drop_incoming
from servers import free_ports, wait_until

CLAIM, BATCH = "claim", "batch"
# What is lost: the COMMIT on its way there; its reply; the COMMIT, in silence, so that nobody is told; nothing, it is only late.
UNSENT, UNANSWERED, SILENT, LATE = "unsent", "unanswered", "silent", "late"
LATE_S = 1
MOST_PASSED = 3  # of the COMMITs that may be lost, before one is

Loss = collections.namedtuple("Loss", "kind way outcome")  # outcome: the server's word for it, committed or aborted


class _Transaction:
    def __init__(self):
        self.kind = None
        self.commits = 0

    def note(self, sql):
        """Claims say how they want to be committed; whoever copies rows is a batch."""
        if b"SET LOCAL synchronous_commit = on" in sql:
            self.kind = CLAIM
        elif sql.startswith(b"COPY "):
            self.kind = BATCH


class _Session(Pair):
    """One connection: messages of the protocol, version 3, without encryption."""

    def __init__(self, wire, client, address):
        self.up, self.down = b"", b""
        self.has_started = False
        self.is_in_transaction = False
        self.transaction = _Transaction()
        self.backend = 0
        self.has_answered = threading.Event()  # the server, everything up to now
        self.is_deaf = False                   # for what the server says
        super().__init__(wire, client, address)

    def carry_up(self, piece):
        self.up += piece
        while message := self._cut_first():
            self._take(message)

    def _cut_first(self):
        """The next whole message; the first one of a connection has no type."""
        head = 1 if self.has_started else 0
        if len(self.up) < head + 4:
            return None
        end = head + struct.unpack_from("!I", self.up, head)[0]
        if len(self.up) < end:
            return None
        self.has_started = True
        message, self.up = self.up[:end], self.up[end:]
        return message

    def _take(self, message):
        if message[:1] != b"Q":
            self.server.sendall(message)
            return
        sql = message[5:-1]
        if sql.startswith(b"BEGIN"):
            self.transaction = _Transaction()
        self.transaction.note(sql)
        if sql == b"COMMIT":
            self._take_commit(message)
        else:
            self.server.sendall(message)

    def _take_commit(self, message):
        self.transaction.commits += 1
        way = self.wire.choose(self)
        if way is None:
            self.server.sendall(message)
            return
        number = self.wire.ask_number(self.backend)
        self.has_answered.clear()
        if way in (UNANSWERED, LATE):
            self.is_deaf = way == UNANSWERED
            if way == LATE:
                time.sleep(LATE_S)
            self.server.sendall(message)
            wait_until(self.has_answered.is_set, "the server's answer to a COMMIT")
        if way in (UNSENT, UNANSWERED):
            self.close(with_reset=True)
        if way == SILENT:
            drop_incoming([self.client], 1)
        self.wire.note_lost(self.transaction.kind, way, number)

    def carry_down(self, piece):
        self._read_answers(piece)
        if not self.is_deaf:
            self.client.sendall(piece)

    def _read_answers(self, piece):
        self.down += piece
        while len(self.down) >= 5 and len(self.down) > (size := struct.unpack_from("!I", self.down, 1)[0]):
            kind, body, self.down = self.down[:1], self.down[5:size + 1], self.down[size + 1:]
            if kind == b"K":
                self.backend = struct.unpack_from("!I", body)[0]
            elif kind == b"Z":
                self.is_in_transaction = body == b"T"
                self.has_answered.set()


class Commits(Wire):
    """lose() says which; `lost` is what came of it. `strange` are COMMITs that end no transaction, as one that is sent again."""

    pair = _Session

    def __init__(self, database):
        """database: a bench.database.Database that the test does not use itself."""
        self.database = database
        self.port, = free_ports(1)
        self.plan, self.to_pass = [], 0  # of what is lost next
        self.lost, self.strange, self.count = [], [], 0
        self.lock = threading.Lock()
        super().__init__({self.port: database.postgres.sockets / ".s.PGSQL.5432"})

    @property
    def conninfo(self):
        return f"host=127.0.0.1 port={self.port} user=footfall dbname={self.database.name} sslmode=disable gssencmode=disable"

    def lose(self, plan, seed):
        """plan: [(kind, way)], one after the other, each at one of the next COMMITs of its kind."""
        self.random = random.Random(seed)
        self.plan = list(plan)

    def wait_lost(self, count):
        wait_until(lambda: self.strange or len(self.lost) >= count, f"{count} COMMITs lost")
        assert not self.strange, f"COMMITs that end no transaction: {self.strange}"

    # ---- For the connections ----

    def choose(self, session):
        """How this COMMIT is lost; None: it is not."""
        kind = session.transaction.kind
        with self.lock:
            self.count += 1
            if not session.is_in_transaction or session.transaction.commits != 1:
                self.strange.append(kind)
                return None
            if not self.plan or self.plan[0][0] != kind:
                return None
            if self.to_pass > 0:
                self.to_pass -= 1
                return None
            self.to_pass = self.random.randrange(MOST_PASSED)
            return self.plan.pop(0)[1]

    def ask_number(self, backend):
        """Of its transaction."""
        with self.lock:
            return self.database.value("SELECT backend_xid::text FROM pg_stat_activity WHERE pid = %s", backend)

    def ask_outcome(self, number):
        with self.lock:
            said = self.database.value("SELECT pg_xact_status(%s::xid8)", number)
        return said if said != "in progress" else None

    def note_lost(self, kind, way, number):
        assert number is not None, f"a {kind} that has written nothing"
        self.lost.append(Loss(kind, way, wait_until(lambda: self.ask_outcome(number), f"the end of transaction {number}")))
