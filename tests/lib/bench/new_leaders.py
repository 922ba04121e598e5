# SPDX-License-Identifier: Apache-2.0
"""A wire between a producer and Kafka behind which each partition's leader has only just become one: the first batch to it is
answered NOT_LEADER_OR_FOLLOWER, as by a broker that does not know yet, and what is sent after it arrives.

It reads requests as far as that takes (Produce, version 7, is what librdkafka 2.0 speaks)."""
import struct
import threading

from bench.wire import Pair, Wire

PRODUCE, VERSION = 0, 7
NOT_LEADER_OR_FOLLOWER = 6
PATIENCE_S = 0.5  # to see whether another batch to the partition follows the first one


class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        value, = struct.unpack_from("!" + form, self.data, self.at)
        self.at += struct.calcsize("!" + form)
        return value

    def text(self):
        size = self.take("h")
        self.at += max(size, 0)
        return self.data[self.at - max(size, 0):self.at]


def _refusal(correlation, topic, partition):
    """The answer to a Produce request with one batch."""
    body = struct.pack("!iih", correlation, 1, len(topic)) + topic + struct.pack(
        "!iihqqqi", 1, partition, NOT_LEADER_OR_FOLLOWER, -1, -1, -1, 0)
    return struct.pack("!i", len(body)) + body


class _Connection(Pair):
    def __init__(self, wire, client, address):
        self.up = b""
        self.refused = {}  # what waits for its answer: (topic, partition) -> the answer
        super().__init__(wire, client, address)

    def carry_up(self, piece):
        self.up += piece
        while len(self.up) >= 4 and len(self.up) >= (end := 4 + struct.unpack_from("!i", self.up)[0]):
            request, self.up = self.up[:end], self.up[end:]
            self._take(request)

    def _take(self, request):
        reader = _Reader(request[4:])
        key, version, correlation = reader.take("h"), reader.take("h"), reader.take("i")
        if key != PRODUCE:
            self.server.sendall(request)
            return
        assert version == VERSION, f"Produce, version {version}"
        reader.text()                                      # the client
        reader.text()                                      # the transaction
        assert (reader.take("h"), reader.take("i") > 0, reader.take("i")) == (-1, True, 1), "acks, time, topics"
        topic = reader.text()
        assert reader.take("i") == 1, "partitions of a request"
        place = topic, reader.take("i")
        if self.wire.is_first(place):
            self.refused[place] = _refusal(correlation, *place)
            threading.Timer(PATIENCE_S, self._answer, [place]).start()
        else:
            self.server.sendall(request)
            self.wire.followed += self._answer(place)

    def _answer(self, place):
        """False: it is answered already."""
        answer = self.refused.pop(place, None)
        if answer is None:
            return False
        self.carry_down(answer)
        return True


class NewLeaders(Wire):
    """places: the partitions whose first batch was refused; followed: how often the next was on its way before the refusal."""

    pair = _Connection

    def __init__(self, ways):
        self.places, self.followed = set(), 0
        super().__init__(ways)

    def is_first(self, place):
        is_first = place not in self.places
        self.places.add(place)
        return is_first
