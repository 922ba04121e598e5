# SPDX-License-Identifier: Apache-2.0
"""The network between a collector and Kafka: a relay before each broker of a cluster, on loopback, that can be cut.

What is to be lost is dropped by a packet filter of the kernel on the relay's own sockets, so that the collector meets what a broken
network is: no answer to a SYN, data that nobody acknowledges. That needs no namespace and no rights, except on kernels that allow
ordinary users no filters; there the relay itself falls silent, takes connections which it then does not serve, and lets data wait
as long as a lost packet would."""
import ctypes
import itertools
import random
import socket
import struct
import threading
import time

_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27                  # Python does not name them
_LOAD, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x35, 0x06           # classic BPF
_RANDOM = -0x1000 + 56 & 0xffffffff                            # SKF_AD_OFF + SKF_AD_RANDOM
_KEEP, _DROP = 0xffffffff, 0
_PIECE = 65536
_RESEND_S = 0.2                                                # about what TCP waits before it sends again


def _filter(lost):
    """The program that drops this share of the packets that come, as (the memory it stands in, the option's value)."""
    steps = [(_LOAD, 0, 0, _RANDOM), (_JUMP_IF_AT_LEAST, 0, 1, min(int(lost * 2**32), 2**32 - 1)),
             (_RETURN, 0, 0, _KEEP), (_RETURN, 0, 0, _DROP)]
    memory = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    return memory, struct.pack("HL", len(steps), ctypes.addressof(memory))


def _ignoring_errors(call, *arguments):
    """For ends that may be closed already."""
    try:
        call(*arguments)
    except OSError:
        pass


class _Pair:
    """A collector's connection, and ours to its broker."""

    def __init__(self, wire, client, port):
        self.client = client
        self.broker = socket.create_connection(("127.0.0.1", port))
        self.is_closed = False
        for end in (self.client, self.broker):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for source, sink, gate in ((self.client, self.broker, wire.up), (self.broker, self.client, wire.down)):
            threading.Thread(target=self._forward, args=(wire, source, sink, gate), daemon=True).start()

    def _forward(self, wire, source, sink, gate):
        try:
            while piece := source.recv(_PIECE):
                gate.wait()
                if random.random() < wire.late_share:
                    time.sleep(_RESEND_S)
                sink.sendall(piece)
        except OSError:
            pass
        self.close()

    def close(self, with_reset=False):
        if self.is_closed:
            return
        self.is_closed = True
        if with_reset:
            _ignoring_errors(self.client.setsockopt, socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for end in (self.client, self.broker):  # shutdown ends a recv of the other thread; for writing it would send a FIN
            _ignoring_errors(end.shutdown, socket.SHUT_RD if with_reset and end is self.client else socket.SHUT_RDWR)
            end.close()


class Wire:
    """Give its `brokers` to a collector. One state at a time; heal() ends each of them."""

    def __init__(self, cluster):
        self.members = cluster.members
        self.brokers = ",".join(f"127.0.0.1:{member.wire_port}" for member in self.members)
        self.up, self.down = threading.Event(), threading.Event()  # set: data goes on, to Kafka and from it
        self.listeners, self.pairs = [], []
        self.has_filters = True
        self.late_share = 0
        self._open()

    def _open(self):
        self.up.set()
        self.down.set()
        for member in self.members:
            listener = socket.create_server(("127.0.0.1", member.wire_port))
            self.listeners.append(listener)
            threading.Thread(target=self._accept, args=(listener, member.wired_port), daemon=True).start()

    def _accept(self, listener, port):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # closed
                return
            try:
                self.up.wait()
                self.pairs.append(_Pair(self, client, port))
            except OSError:  # the broker is dead
                client.close()

    def _sockets(self):
        self.pairs = [pair for pair in self.pairs if not pair.is_closed]
        return itertools.chain(self.listeners, (pair.client for pair in self.pairs))

    def _drop_incoming(self, share):
        if not self.has_filters:
            return
        _memory, option = _filter(share)
        try:
            for each in self._sockets():
                each.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, option)
        except PermissionError:
            self.has_filters = False

    def cut(self):
        """Nothing arrives any more, in either direction, and nobody is told."""
        self.down.clear()
        self._drop_incoming(1)
        if not self.has_filters:
            self.up.clear()

    def lose(self, share):
        """This share of the packets to Kafka is lost."""
        self._drop_incoming(share)
        if not self.has_filters:
            self.late_share = share

    def lose_answers(self):
        """Kafka gets all; what it answers never arrives."""
        self.down.clear()

    def refuse(self):
        """Connections are reset, new ones are refused."""
        self.close(with_reset=True)

    def heal(self):
        self.late_share = 0
        for each in self._sockets():
            _ignoring_errors(each.setsockopt, socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
        if self.listeners:
            self.up.set()
            self.down.set()
        else:
            self._open()

    def close(self, with_reset=False):
        for listener in self.listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for pair in self.pairs:
            pair.close(with_reset)
        self.listeners, self.pairs = [], []
        self.up.set()
        self.down.set()
