# SPDX-License-Identifier: Apache-2.0
"""What collectors have put on a topic, as the aggregator must understand it: hits by stream and number, and what was said
about streams."""
import collections
import json

Span = collections.namedtuple("Span", "first last reason")


class Published:
    """Everything that is on the topic now."""

    def __init__(self, topic):
        self.hits = {}                              # (stream, seq): value
        self.copies = 0                             # of hits that were sent more than once
        self.skips = collections.defaultdict(list)  # stream: spans
        self.ends = {}                              # stream: last number
        for message in topic.read():
            if message.value is None:
                self._take_control(json.loads(dict(message.headers)["footfall-control"]))
            else:
                self._take_hit(message.value)

    def _take_hit(self, value):
        hit = json.loads(value)
        name = hit["stream"], hit["seq"]
        self.copies += name in self.hits
        assert self.hits.setdefault(name, value) == value, f"two hits have the number {name}"

    def _take_control(self, record):
        if "fin" in record:
            end = record["fin"]
            self.ends[end["stream"]] = max(end["last"], self.ends.get(end["stream"], 0))  # a copied journal ends earlier
        else:
            skip = record["skip"]
            self.skips[skip["stream"]].append(Span(skip["from"], skip["to"], skip.get("reason", "")))

    def ids(self):
        """Of all hits, those that have the same number once."""
        return [json.loads(value)["id"] for value in self.hits.values()]

    def skipped(self):
        """{(stream, seq)} that will never come, as was said."""
        return {(stream, seq) for stream, spans in self.skips.items() for span in spans
                for seq in range(span.first, span.last + 1)}

    def holes(self):
        """{(stream, seq)} of which nothing is known, up to the last number that was seen or told of a stream."""
        last = collections.defaultdict(int, self.ends)
        for stream, seq in self.hits:
            last[stream] = max(last[stream], seq)
        return {(stream, seq) for stream, end in last.items() for seq in range(1, end + 1)} - set(self.hits) - self.skipped()

    def open_streams(self):
        """Those whose end was not told."""
        return {stream for stream, _ in self.hits} - set(self.ends)
