# SPDX-License-Identifier: Apache-2.0
"""The network between a program and its servers: a relay before each server, on loopback, that can be cut.

What is to be lost is dropped by a packet filter of the kernel on the relay's own sockets, so that the program meets what a broken
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


def _connect(address):
    """A pair of host and port, the path of a unix socket, or what connects."""
    if callable(address):
        return address()
    if isinstance(address, tuple):
        server = socket.create_connection(address)
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return server
    server = socket.socket(socket.AF_UNIX)
    server.connect(str(address))
    return server


class Pair:
    """A program's connection, and ours to its server."""

    def __init__(self, wire, client, address):
        self.wire, self.client = wire, client
        self.server = _connect(address)
        self.is_closed = False
        self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for source, gate, carry in ((self.client, wire.up, self.carry_up), (self.server, wire.down, self.carry_down)):
            threading.Thread(target=self._forward, args=(source, gate, carry), daemon=True).start()

    def _forward(self, source, gate, carry):
        try:
            while piece := source.recv(_PIECE):
                gate.wait()
                if random.random() < self.wire.late_share:
                    time.sleep(_RESEND_S)
                carry(piece)
        except OSError:
            pass
        self.close()

    def carry_up(self, piece):
        self.server.sendall(piece)

    def carry_down(self, piece):
        self.client.sendall(piece)

    def close(self, with_reset=False):
        if self.is_closed:
            return
        self.is_closed = True
        if with_reset:
            _ignoring_errors(self.client.setsockopt, socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for end in (self.client, self.server):  # shutdown ends a recv of the other thread; for writing it would send a FIN
            _ignoring_errors(end.shutdown, socket.SHUT_RD if with_reset and end is self.client else socket.SHUT_RDWR)
            end.close()


def drop_incoming(ends, share):
    """The kernel drops this share of the packets that come to these sockets. False: ordinary users may have no filters here."""
    _memory, option = _filter(share)
    try:
        for each in ends:
            each.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, option)
    except PermissionError:
        return False
    return True


class Wire:
    """One state at a time; heal() ends each of them. `addresses` is what a program needs to come this way."""

    pair = Pair

    def __init__(self, ways, listen=lambda port: socket.create_server(("127.0.0.1", port))):
        """ways: {the port on loopback: the address behind it}, which is a pair, the path of a unix socket, or what connects."""
        self.ways, self._listen = ways, listen
        self.addresses = ",".join(f"127.0.0.1:{port}" for port in ways)
        self.up, self.down = threading.Event(), threading.Event()  # set: data goes on, to the servers and from them
        self.listeners, self.pairs = [], []
        self.has_filters = True
        self.late_share = 0
        self._open()

    def _open(self):
        self.up.set()
        self.down.set()
        for port, address in self.ways.items():
            listener = self._listen(port)
            self.listeners.append(listener)
            threading.Thread(target=self._accept, args=(listener, address), daemon=True).start()

    def _accept(self, listener, address):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # closed
                return
            try:
                self.up.wait()
                self.pairs.append(self.pair(self, client, address))
            except OSError:  # the server is dead
                client.close()

    def _sockets(self):
        self.pairs = [pair for pair in self.pairs if not pair.is_closed]
        return itertools.chain(self.listeners, (pair.client for pair in self.pairs))

    def _drop_incoming(self, share):
        self.has_filters = self.has_filters and drop_incoming(self._sockets(), share)

    def cut(self):
        """Nothing arrives any more, in either direction, and nobody is told."""
        self.down.clear()
        self._drop_incoming(1)
        if not self.has_filters:
            self.up.clear()

    def lose(self, share):
        """This share of the packets to the servers is lost."""
        self._drop_incoming(share)
        if not self.has_filters:
            self.late_share = share

    def lose_answers(self):
        """The servers get all; what they answer never arrives."""
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
