# SPDX-License-Identifier: Apache-2.0
"""The files of a collector's journal, read without its help and damaged on purpose. How they look: collector/segment.h and
collector/frame.h."""
import collections
import struct

BLOCK = 4096
FIRST_NUMBERS_AT = 20  # of a header: its length, behind magic, checksum and version
HEAD = struct.Struct("<QIHHIIqq")
HIT = 1

Frame = collections.namedtuple("Frame", "at bytes partition kind seq head key value")


class Segment:
    """One file. Its frames must be whole when it is read."""

    def __init__(self, path):
        self.path = path
        data = path.read_bytes()
        self.header_bytes = struct.unpack_from("<I", data, FIRST_NUMBERS_AT)[0] if any(data[:BLOCK]) else 0
        self.frames = list(self._frames(data)) if self.header_bytes else []
        self.end = self.frames[-1].at + self.frames[-1].bytes if self.frames else 2 * self.header_bytes

    def _frames(self, data):
        at = 2 * self.header_bytes
        while at + HEAD.size <= len(data):
            _, length, key_length, partition, kind, _, seq, _ = HEAD.unpack_from(data, at)
            if kind == 0:
                return
            payload = data[at + HEAD.size:at + HEAD.size + length]
            yield Frame(at, (HEAD.size + length + 7) // 8 * 8, partition, kind, seq, data[at:at + HEAD.size],
                        payload[:key_length], payload[key_length:])
            at += (HEAD.size + length + 7) // 8 * 8

    def hits(self):
        return [each for each in self.frames if each.kind == HIT]

    def write(self, at, data):
        with open(self.path, "r+b") as file:
            file.seek(at)
            file.write(data)

    def flip(self, at):
        self.write(at, bytes([self.path.read_bytes()[at] ^ 0x10]))

    def cut(self, at):
        with open(self.path, "r+b") as file:
            file.truncate(at)


def segments(folder):
    """Those that hold a header, the oldest first."""
    found = (Segment(path) for path in sorted(folder.glob("*.segment")))
    return [each for each in found if each.header_bytes]
