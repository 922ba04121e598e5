# SPDX-License-Identifier: Apache-2.0
"""A journal full of hits that Kafka never had is torn or damaged, while its collector is dead: what is whole arrives once, what is
lost is said, to people and to the audit. The unit tests of the journal damage every byte; here the whole way is gone."""
import json
import os
import subprocess

import pytest

from bench import promises
from bench.footfall import LONG, SMALL_SEGMENTS
from bench.load import UNKNOWN, Load
from bench.segments import BLOCK, HEAD, segments
from servers import can_connect, wait_until

HITS = 500  # about four segments
NOWHERE = "127.0.0.1:1"  # no broker is there


# ---- What happens to the files ----

def cut_at(offset):
    """Of the very last frame; what lies behind it was never used."""
    def cut(files):
        frame = files[-1].frames[-1]
        files[-1].cut(frame.at + (offset if offset >= 0 else HEAD.size + len(frame.key) + len(frame.value) + offset))
    return cut


def flip(files):
    frame = files[1].frames[len(files[1].frames) // 2]
    files[1].flip(frame.at + HEAD.size + len(frame.key) + 100)


def flip_in_head(files):
    """The length, so that the next frame must be searched for."""
    files[1].flip(files[1].frames[3].at + 9)


def page(segment, number):
    at = 2 * segment.header_bytes + number * BLOCK
    return at, segment.path.read_bytes()[at:at + BLOCK]


def zero_page(files):
    files[1].write(page(files[1], 5)[0], bytes(BLOCK))


def double_page(files):
    files[1].write(page(files[1], 6)[0], page(files[1], 5)[1])


def swap_pages(files):
    (first, one), (second, other) = page(files[1], 5), page(files[1], 9)
    files[1].write(first, other)
    files[1].write(second, one)


def forge_frame(files):
    """A whole frame stands inside the payload of a damaged one; where it stood before are zeros. It belongs to its place only."""
    victim = max(files[1].hits()[5:-5], key=lambda each: each.bytes)
    forged = min(files[1].hits()[5:-5], key=lambda each: each.bytes)
    data = files[1].path.read_bytes()[forged.at:forged.at + forged.bytes]
    inside = victim.at + HEAD.size + (victim.bytes - HEAD.size - forged.bytes) // 16 * 8
    files[1].write(forged.at, bytes(forged.bytes))
    files[1].write(victim.at, bytes(HEAD.size))
    files[1].write(inside, data)


def zero_headers(files):
    files[1].write(0, bytes(2 * files[1].header_bytes))


def remove(files):
    files[1].path.unlink()


# name: (what is done, the log's word for it, the figure that counts it)
DAMAGES = {
    "cut in the last head": (cut_at(17), "torn_tail", "torn_tails"),
    "cut in the last payload": (cut_at(HEAD.size + 120), "torn_tail", "torn_tails"),
    "cut before the last byte": (cut_at(-1), "torn_tail", "torn_tails"),
    "byte flipped": (flip, "segment_damaged", "damaged_segments"),
    "length flipped": (flip_in_head, "segment_damaged", "damaged_segments"),
    "page zeroed": (zero_page, "segment_damaged", "damaged_segments"),
    "page doubled": (double_page, "segment_damaged", "damaged_segments"),
    "pages swapped": (swap_pages, "segment_damaged", "damaged_segments"),
    "frame forged": (forge_frame, "segment_damaged", "damaged_segments"),
    "headers zeroed": (zero_headers, "segment_damaged", "damaged_segments"),
    "segment removed": (remove, "segment_missing", "missing_segments")}


def hits_lost_by(damage, files):
    """[hit] whose frames are not what they were."""
    damage(files)
    lost = []
    for segment in files:
        data = segment.path.read_bytes() if segment.path.exists() else b""
        has_header = any(data[:2 * segment.header_bytes])
        for frame in segment.hits():
            left = data[frame.at:frame.at + HEAD.size + len(frame.key) + len(frame.value)]
            if not has_header or left[HEAD.size:] != frame.key + frame.value or left[:HEAD.size] != frame.head:
                lost.append(json.loads(frame.value))
    return lost


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_whole_arrives_and_what_is_lost_is_said(programs, topic, database, kafka, seed, name):
    damage, event, figure = DAMAGES[name]
    collector = programs.collector(topic, ready=False, env=SMALL_SEGMENTS, kafka__brokers=NOWHERE)
    wait_until(lambda: can_connect(collector.port), "it listens")
    visitors = Load(collector.port, seed, visitors=2, **LONG)
    with visitors.running():
        visitors.wait_taken(HITS)
    collector.kill()
    files = segments(collector.journal)
    assert len(files) >= 3
    lost = hits_lost_by(damage, files)
    for hit in lost:
        visitors.told[hit["id"]] = UNKNOWN
    checked = subprocess.run([collector.binary, "check-journal", collector.journal], capture_output=True, text=True, check=False)
    assert checked.returncode == (os.EX_DATAERR if figure == "damaged_segments" else 0), checked.stdout + checked.stderr
    collector.config.write_text(collector.config.read_text().replace(f"= {NOWHERE}\n", f"= {kafka.brokers}\n"))
    collector.start_again()
    collector.wait_drained()
    assert collector.figure(f"journal_{figure}_total") == 1
    assert f"event={event} " in collector.log_text()
    if figure == "damaged_segments":
        wait_until(lambda: collector.figure("journal_quarantined_total") == 1, "the file is put aside")
        assert (collector.journal / "quarantine" / files[1].path.name).exists()
    collector.stop_well()

    published = promises.check(programs, topic, database, visitors)
    assert lost and not {hit["id"] for hit in lost} & set(published.ids())
    for hit in lost:  # the last of a stream may go without anybody's knowing that it was there
        number = hit["stream"], hit["seq"]
        assert number in published.skipped() or hit["seq"] > published.ends.get(hit["stream"], 0), f"{number} is not accounted for"
    assert len(published.skipped()) <= len(lost)
    assert not published.open_streams()
