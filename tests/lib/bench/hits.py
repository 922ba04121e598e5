# SPDX-License-Identifier: Apache-2.0
"""Hits made from a seed, and the messages that collectors, or today's producers, would make of them.

Times are shuffled over three days, gaps within a visitor stand exactly at, one millisecond below and above the session gap,
and times repeat. Every hit has a url of its own, so that one that is stored twice, or not at all, can be named."""
import collections
import datetime
import functools
import itertools
import json
import random
import uuid

from bench.topics import Message

GAP_MS = 300_000
GAPS_MS = (0, 0, 1, 900, 17_000, 60_000, 240_000, GAP_MS - 1, GAP_MS, GAP_MS, GAP_MS + 1, 2 * GAP_MS, 3_600_000)
SPAN_MS = 3 * 24 * 3_600_000
HITS_PER_VISITOR = 50
HOSTS = ("shop.example", "blog.example", "www.example.org", "a-rather-long-name-of-a-host.example.net")
AGENTS = ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
          "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0")
SOURCES = ("beacon", "pixel", "mirror", "log", "api")
FLAGS = (0, 0, 1, 2, 4, 16, 19)  # robots, pages fetched in advance, remarks: see proto/hit.h

Hit = collections.namedtuple("Hit", "ts ip host url referrer agent")


def now_ms():
    return int(datetime.datetime.now(datetime.timezone.utc).timestamp() * 1000)


def time_text(ts):
    return datetime.datetime.fromtimestamp(ts / 1000, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ts % 1000:03d}Z"


def _address(rng):
    if rng.random() < 0.2:
        return f"2001:db8:{rng.randrange(1, 65536):x}::{rng.randrange(1, 65536):x}"
    return f"81.2.{rng.randrange(256)}.{rng.randrange(1, 255)}"


def _visitor_times(rng, count, start):
    ts = start
    for _ in range(count):
        yield ts
        ts += rng.choice(GAPS_MS)


def make(count, seed, until=None):
    """`count` hits, the latest of them an hour before `until` (now), in shuffled order."""
    rng = random.Random(seed)
    start = (until or now_ms()) - 3_600_000 - SPAN_MS
    hits = []
    while len(hits) < count:
        ip, host = _address(rng), rng.choice(HOSTS)
        for ts in _visitor_times(rng, HITS_PER_VISITOR, start + rng.randrange(SPAN_MS // 2)):
            number = len(hits)
            referrer = "" if number % 3 else f"https://{host}/from/{number % 97}"
            hits.append(Hit(min(ts, start + SPAN_MS), ip, host, f"https://{host}/page/{number}", referrer, AGENTS[number % 2]))
    del hits[count:]
    rng.shuffle(hits)
    return hits


# ---- The partition, as Java's producer chooses it ----

def murmur2(data):
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = (0x9747B28C ^ len(data)) & mask
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at:at + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    if len(data) > whole:
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


@functools.cache
def home_of(host, ip, partitions):
    return (murmur2(f"{host}|{ip}".encode()) & 0x7FFFFFFF) % partitions


# ---- Messages ----

def old_fields(hit):
    """The seven fields that today's producers write."""
    return {"url": hit.url, "referrer": hit.referrer, "user_agent": hit.agent, "host": hit.host, "ip": hit.ip,
            "headers": '{"Accept-Language": "en"}', "event_time": time_text(hit.ts)}


def from_collectors(hits, partitions, seed, collectors=3, repeated=0.02):
    """As `collectors` collectors publish them: keyed, in streams, numbered. Some are sent a second time, at once or much
    later, as a journal does when it does not know what arrived."""
    rng = random.Random(seed)
    boots = [f"{rng.getrandbits(128):032x}" for _ in range(collectors)]
    numbers, late = collections.Counter(), []
    for hit in hits:
        home, boot = home_of(hit.host, hit.ip, partitions), rng.choice(boots)
        numbers[boot, home] += 1
        message = Message(home, f"{hit.host}|{hit.ip}".encode(), json.dumps({
            **old_fields(hit), "v": 1, "id": str(uuid.UUID(int=rng.getrandbits(128))), "source": SOURCES[hit.ts % 5],
            "flags": FLAGS[hit.ts % 7], "stream": f"{boot}-{home}", "seq": numbers[boot, home], "received_time": time_text(hit.ts + 3)}).encode())
        yield message
        if rng.random() < repeated:
            yield message
            late.append(message)
    yield from late


def from_old_producers(hits, partitions):
    """Seven fields, no key, round and round over all partitions."""
    for partition, hit in zip(itertools.cycle(range(partitions)), hits):
        yield Message(partition, None, json.dumps(old_fields(hit)).encode())


def with_content(hits, seed):
    """[(hit, fields)]: what stands in its message whoever sends it. A third has the seven fields only."""
    rng = random.Random(seed)
    return [(hit, old_fields(hit) if rng.random() < 0.33 else {
        **old_fields(hit), "v": 1, "id": str(uuid.UUID(int=rng.getrandbits(128))), "source": rng.choice(SOURCES),
        "flags": rng.choice(FLAGS)}) for hit in hits]


def from_everybody(contents, partitions, rng):
    """Each sent by one of two collectors, at times twice, or by a producer that keys, or by one that does not."""
    boots = [f"{rng.getrandbits(128):032x}" for _ in range(2)]
    numbers, late = collections.Counter(), []
    for hit, fields in contents:
        home = home_of(hit.host, hit.ip, partitions)
        key = f"{hit.host}|{hit.ip}".encode()
        kind = rng.random()
        if kind < 0.2:
            yield Message(rng.randrange(partitions), None, json.dumps(fields).encode())
        elif kind < 0.4:
            yield Message(home, key, json.dumps(fields).encode())
        else:
            boot = rng.choice(boots)
            numbers[boot, home] += 1
            message = Message(home, key, json.dumps({
                **fields, "stream": f"{boot}-{home}", "seq": numbers[boot, home], "received_time": time_text(now_ms())}).encode())
            yield message
            if kind > 0.95:
                late.append(message)
    yield from late
