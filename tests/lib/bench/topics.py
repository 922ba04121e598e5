# SPDX-License-Identifier: Apache-2.0
"""A topic of the test's broker: filled, read, measured, its beginning deleted."""
import collections
import json

import confluent_kafka
from confluent_kafka.admin import AdminClient, NewTopic

from servers import wait_until

REPLY_S = 60  # of a broker on a busy machine

Message = collections.namedtuple("Message", "partition key value headers timestamp", defaults=(None, 0))  # in ms; 0: now
Stored = collections.namedtuple("Stored", "partition offset key value headers timestamp")


class Topic:
    def __init__(self, kafka, name, partitions=12):
        self.kafka = kafka
        self.name = name
        self.partitions = partitions

    def create(self):
        client = AdminClient({"bootstrap.servers": self.kafka.brokers})
        made = client.create_topics([NewTopic(self.name, self.partitions, self.kafka.replication)], operation_timeout=REPLY_S)
        made[self.name].result(REPLY_S)
        self.watermarks()
        return self

    def delete(self):
        client = AdminClient({"bootstrap.servers": self.kafka.brokers})
        client.delete_topics([self.name], operation_timeout=REPLY_S)[self.name].result(REPLY_S)
        wait_until(lambda: self.name not in client.list_topics(timeout=REPLY_S).topics, f"{self.name} is gone")

    def produce(self, messages):
        """Stores them all, in this order within each partition; returns how many."""
        producer = confluent_kafka.Producer({
            "bootstrap.servers": self.kafka.brokers, "enable.idempotence": True, "compression.codec": "lz4",
            "queue.buffering.max.messages": 1000000, "linger.ms": 20})
        failures = []

        def on_delivery(error, _):
            if error:
                failures.append(error)

        count = 0
        for message in messages:
            producer.produce(self.name, message.value, message.key, message.partition, headers=message.headers,
                             timestamp=message.timestamp, on_delivery=on_delivery)
            count += 1
            if count % 1000 == 0:
                producer.poll(0)
        left = producer.flush(REPLY_S)
        assert left == 0 and not failures, f"{left} hits were not stored, {len(failures)} failed: {failures[:1]}"
        return count

    def _consumer(self):
        return confluent_kafka.Consumer({
            "bootstrap.servers": self.kafka.brokers, "group.id": "flow-tests", "enable.auto.commit": False,
            "auto.offset.reset": "earliest"})

    def watermarks(self):
        """[(first, end)] by partition. Waits for leaders, which a new topic and a broker that was restarted lack at first."""
        return wait_until(self._read_watermarks, f"leaders for {self.name}")

    def _read_watermarks(self):
        consumer = self._consumer()
        try:
            return [consumer.get_watermark_offsets(confluent_kafka.TopicPartition(self.name, each), timeout=REPLY_S)
                    for each in range(self.partitions)]
        except confluent_kafka.KafkaException:
            return None
        finally:
            consumer.close()

    def count(self):
        return sum(end - first for first, end in self.watermarks())

    def read(self):
        """All messages that are there now."""
        watermarks = self.watermarks()
        left = sum(end - first for first, end in watermarks)
        consumer = self._consumer()
        try:
            consumer.assign([confluent_kafka.TopicPartition(self.name, each, watermarks[each][0])
                             for each in range(self.partitions)])
            messages = []
            while len(messages) < left:
                batch = consumer.consume(min(1000, left - len(messages)), REPLY_S)
                assert batch, f"{len(messages)} of {left} messages, then none for {REPLY_S} s"
                for each in batch:
                    assert not each.error(), each.error()
                    messages.append(Stored(each.partition(), each.offset(), each.key(), each.value(), each.headers(),
                                           each.timestamp()[1]))
            return sorted(messages, key=lambda each: (each.partition, each.offset))
        finally:
            consumer.close()

    def delete_before(self, offsets):
        """Deletes the beginning of partitions: {partition: first offset that stays}."""
        plan = self.kafka.folder / f"delete-{self.name}.json"
        plan.write_text(json.dumps({"version": 1, "partitions": [
            {"topic": self.name, "partition": partition, "offset": offset} for partition, offset in offsets.items()]}))
        self.kafka.java("org.apache.kafka.tools.DeleteRecordsCommand", "--bootstrap-server", self.kafka.brokers,
                        "--offset-json-file", str(plan))
