# SPDX-License-Identifier: Apache-2.0
"""A model of the pair of PyFlink jobs that wrote the two tables before, as their source and Flink's documentation have it.

One appends each event to `processed_events`, with the place of its address as json.dumps writes it. The other groups events by
(ip, host) in session windows of event time and writes a window to `session_events_aggregated_ip` when the watermark has passed
it. An event opens the window [t, t + gap); windows of a key that intersect or touch become one (TimeWindow.intersects and
mergeWindows); the watermark is the greatest time seen less 15 s; an event whose window has passed by then is dropped.

It shares nothing with the aggregator, nor with bench.oracle, which knows no windows and no watermark."""
import datetime
import heapq
import json

GAP_MS = 5 * 60_000
OUT_OF_ORDER_MS = 15_000
_EPOCH = datetime.datetime(1970, 1, 1)


def _timestamp(ms):
    """As timestamp(3)."""
    return _EPOCH + datetime.timedelta(milliseconds=ms)


class Window:
    def __init__(self, start, end, events):
        self.start, self.end, self.events = start, end, events

    def intersects(self, other):
        return self.start <= other.end and self.end >= other.start

    def cover(self, other):
        return Window(min(self.start, other.start), max(self.end, other.end), self.events + other.events)


class OldJobs:
    """place_of(ip): the answer's (country_code, region_name, city_name), or None when the service had none."""

    def __init__(self, place_of):
        self.place_of = place_of
        self.watermark = -1 << 62
        self.open = {}      # (ip, host): windows that have not passed, apart from each other
        self.timers = []    # (last millisecond, (ip, host)) of each window
        self.events = []    # rows of processed_events
        self.sessions = []  # of session_events_aggregated_ip
        self.dropped = 0

    def run(self, hits):
        """All of a bounded stream, in this order: at its end the watermark passes everything."""
        for hit in hits:
            self._store_event(hit)
            self._add_to_window(hit)
            self._move_watermark(hit.ts - OUT_OF_ORDER_MS)
        self._move_watermark(1 << 62)
        return self

    def _store_event(self, hit):
        place = self.place_of(hit.ip)
        geodata = json.dumps(dict(zip(("country", "state", "city"), place)) if place else {})
        self.events.append((hit.ip, _timestamp(hit.ts), hit.referrer, hit.host, hit.url, geodata))

    def _add_to_window(self, hit):
        key = hit.ip, hit.host
        window, apart = Window(hit.ts, hit.ts + GAP_MS, 1), []
        for each in self.open.get(key, ()):
            if window.intersects(each):
                window = window.cover(each)
            else:
                apart.append(each)
        if window.end - 1 <= self.watermark:
            self.dropped += 1
            return
        self.open[key] = [*apart, window]
        heapq.heappush(self.timers, (window.end - 1, key))

    def _move_watermark(self, watermark):
        self.watermark = max(watermark, self.watermark)
        while self.timers and self.timers[0][0] <= self.watermark:
            self._fire(heapq.heappop(self.timers)[1])

    def _fire(self, key):
        """Those windows of a key that have passed; none when the one that set the timer has become part of a longer one."""
        windows = self.open.pop(key, [])
        self.open[key] = [window for window in windows if window.end - 1 > self.watermark]
        self.sessions += [(_timestamp(window.start), _timestamp(window.end), *key, window.events)
                          for window in windows if window.end - 1 <= self.watermark]
