# SPDX-License-Identifier: Apache-2.0
"""User instructions a hit in a collector, counted by valgrind: nearly the same in every run on any machine."""
import json
import re
import socket
import uuid

AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
CONNECTIONS = 64


def post(connection, number, ip):
    """One hit, as a browser behind a proxy sends it."""
    body = json.dumps({"url": f"https://shop.example/latency/{number}", "id": uuid.uuid4().hex})
    connection.sendall((f"POST /v1/hits HTTP/1.1\r\nHost: c\r\nContent-Type: text/plain\r\nX-Forwarded-For: {ip}\r\n"
                        f"User-Agent: {AGENT}\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode())


def read_replies(connection, count, failures):
    data = b""
    while data.count(b"\r\n\r\n") < count:
        piece = connection.recv(65536)
        if not piece:
            break
        data += piece
    if data.count(b"HTTP/1.1 204") != count:
        failures.append(data[-500:])


def send_hits(port, hits):
    """On kept connections, one hit a request, each connection's next when all are answered."""
    failures = []
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    for first in range(0, hits, CONNECTIONS):
        for number, connection in enumerate(connections, first):
            post(connection, number, f"81.2.{number % 200}.{number % 250 + 1}")
        for connection in connections:
            read_replies(connection, 1, failures)
    assert not failures, failures


def count(collector, hits):
    """What a whole life of a collector (servers.Program with its port) takes: (on its loop, in the other threads)."""
    out = collector.folder / f"callgrind.{collector.name}"
    collector.spawn(["valgrind", "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={out}",
                     str(collector.binary), "--config", collector.config])
    collector.wait_ready(collector.is_ready)
    send_hits(collector.port, hits)
    assert collector.stop() == 0
    counts = [int(re.search(r"^(?:summary|totals): (\d+)", each.read_text(), re.M).group(1))
              for each in sorted(out.parent.glob(f"{out.name}-*"))]
    return counts[0], sum(counts[1:])


def count_a_hit(make_collector, few, many):
    """(on the loop, in the other threads): the difference of two lives, so that start and end do not count."""
    short, long = count(make_collector(few), few), count(make_collector(many), many)
    return tuple((b - a) / (many - few) for a, b in zip(short, long))
