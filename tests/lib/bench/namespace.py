# SPDX-License-Identifier: Apache-2.0
"""A network of its own, with loopback and nothing else, for programs whose packets or names are to get lost; and the name server
there.

Programs are started in it with `enter` before their command. The test itself stays outside: it gets sockets that belong to the
network, so a server in the test's process can listen there, and the test can connect to what listens there. Needs no rights:
who is not root is root inside."""
import os
import socket
import struct
import subprocess
import sys
import threading

_NXDOMAIN, _RECURSIVE_ANSWER = 3, 0x8180
_ADDRESS, _TTL_S = 1, 60  # type A

_SETUP = 'ip link set lo up && mount --bind "$1" /etc/resolv.conf && mount --bind "$2" /etc/nsswitch.conf && shift 2 && exec "$@"'
_GIVE_SOCKETS = """
import socket, sys
orders = socket.socket(fileno=int(sys.argv[1]))
orders.send(b"ready")
while kind := orders.recv(1):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == b"t" else socket.SOCK_DGRAM) as made:
        socket.send_fds(orders, [kind], [made.fileno()])
"""


class Namespace:
    def __init__(self, folder, resolver_options=""):
        """Names are asked of three servers there, all of them the one below."""
        resolver, switch = folder / "resolv.conf", folder / "nsswitch.conf"
        resolver.write_text("".join(f"nameserver 127.0.0.{number}\n" for number in (1, 2, 3)) + f"options {resolver_options}\n")
        switch.write_text("passwd: files\ngroup: files\nhosts: files dns\n")
        is_root = os.geteuid() == 0
        self._orders, theirs = socket.socketpair()
        self._lock = threading.Lock()
        with theirs:
            self._holder = subprocess.Popen(
                ["unshare", *([] if is_root else ["--map-root-user"]), "--net", "--mount", "sh", "-c", _SETUP, "sh", resolver, switch,
                 sys.executable, "-c", _GIVE_SOCKETS, str(theirs.fileno())], pass_fds=[theirs.fileno()])
        assert self._orders.recv(16) == b"ready", "no namespace: see what unshare said"
        self.enter = ["nsenter", f"--target={self._holder.pid}", "--net", "--mount",
                      *([] if is_root else ["--user", "--preserve-credentials"]), "--"]

    def run(self, *command):
        """What it prints."""
        return subprocess.run([*self.enter, *command], check=True, text=True, stdout=subprocess.PIPE).stdout

    def socket(self, kind=b"t"):
        """t: TCP, u: UDP."""
        with self._lock:
            self._orders.send(kind)
            _, (made,), _, _ = socket.recv_fds(self._orders, 1, 1)
        return socket.socket(fileno=made)

    def listen(self, host, port):
        listener = self.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
        return listener

    def connect(self, port):
        connection = self.socket()
        connection.connect(("127.0.0.1", port))
        return connection

    def close(self):
        self._orders.close()
        self._holder.wait()


class NameServer:
    """addresses: {name: IPv4 address}; of others it says that there are none. is_silent: it hears, and says nothing."""

    def __init__(self, namespace):
        self.addresses = {}
        self.is_silent = False
        self.asked = []
        self._is_over = threading.Event()
        self._socket = namespace.socket(b"u")
        self._socket.bind(("0.0.0.0", 53))
        self._socket.settimeout(0.1)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while not self._is_over.is_set():
            try:
                question, peer = self._socket.recvfrom(512)
            except TimeoutError:
                continue
            reply = self._answer(question)
            if not self.is_silent:
                self._socket.sendto(reply, peer)

    def _answer(self, question):
        labels, at = [], 12
        while length := question[at]:
            labels.append(question[at + 1:at + 1 + length].decode())
            at += 1 + length
        end = at + 5  # the root's label, type, class
        kind, name = struct.unpack(">H", question[at + 1:at + 3])[0], ".".join(labels)
        self.asked.append(name)
        address = self.addresses.get(name)
        answers = b""
        if address and kind == _ADDRESS:
            answers = struct.pack(">HHHIH", 0xC00C, _ADDRESS, 1, _TTL_S, 4) + socket.inet_aton(address)
        flags = _RECURSIVE_ANSWER | (0 if address else _NXDOMAIN)
        return question[:2] + struct.pack(">HHHHH", flags, 1, 1 if answers else 0, 0, 0) + question[12:end] + answers

    def stop(self):
        self._is_over.set()
        self._thread.join()
        self._socket.close()
