# SPDX-License-Identifier: Apache-2.0
"""The part `enriched` of measure: what a backlog costs with `enriched.topic` against without, in turns."""
import collections

import backlog

import confluent_kafka

PARTITIONS = 12


def _count(pipe, topic):
    """Messages in it."""
    consumer = confluent_kafka.Consumer({"bootstrap.servers": pipe.kafka.brokers, "group.id": "figures"})
    ends = [consumer.get_watermark_offsets(confluent_kafka.TopicPartition(topic, each))[1] for each in range(PARTITIONS)]
    consumer.close()
    return sum(ends)


def measure_enriched(pipe, tools, count, rounds=3):
    """tools: as measure_places wants them."""
    tools.produce(pipe, count)
    runs = collections.defaultdict(list)
    for number in range(rounds):
        topic = f"processed_events_{number}"
        pipe.kafka.create_topic(topic, PARTITIONS)
        for mode, settings in (("without", {}), ("with", {"enriched.topic": topic})):
            runs[mode].append(backlog.run(pipe, tools, f"enriched_{mode}_{number}", count, settings))
        assert _count(pipe, topic) == count, "each hit once"
    for mode, figures in runs.items():
        print(f"enriched: {mode} the topic: "
              + ", ".join(f"{each.speed:,.0f} hits/s with {each.ours:.2f} + {each.theirs:.2f} CPU s a million" for each in figures), flush=True)
