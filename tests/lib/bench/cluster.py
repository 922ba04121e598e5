# SPDX-License-Identifier: Apache-2.0
"""Three brokers, controllers too, that keep everything three times: two of them must have a message before it is confirmed.

Each broker has a listener more, for those who come through a wire (bench/wire.py): a client goes on to the address that the
broker advertises, so that listener advertises the wire's own end."""
import pathlib
import shutil
import signal

from confluent_kafka.admin import AdminClient

from servers import Kafka, free_ports, wait_until

NODES = (1, 2, 3)
ANSWER_S = 10  # of a broker that may be dead


class Member(Kafka):
    memory = "256m"
    replication = len(NODES)

    def __init__(self, folder, libs, node, controllers, ports):
        """ports: of its listener, of its other listener, of the wire before that."""
        port, self.wired_port, self.wire_port = ports
        super().__init__(folder, libs, port)
        self.node = node
        self.settings |= {
            "node.id": node,
            "controller.quorum.voters": ",".join(f"{each}@127.0.0.1:{at}" for each, at in controllers.items()),
            "listeners": f"PLAINTEXT://{self.brokers},WIRE://127.0.0.1:{self.wired_port},"
                         f"CONTROLLER://127.0.0.1:{controllers[node]}",
            "advertised.listeners": f"PLAINTEXT://{self.brokers},WIRE://127.0.0.1:{self.wire_port}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,WIRE:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "min.insync.replicas": 2, "broker.session.timeout.ms": 3000, "broker.heartbeat.interval.ms": 500,
            "replica.lag.time.max.ms": 3000, "num.network.threads": 2, "num.io.threads": 2}

    def wipe(self):
        """Its disk is lost; a new one takes its place, empty."""
        assert not self.is_running()
        shutil.rmtree(self.data)


class Cluster:
    replication = len(NODES)

    def __init__(self, folder, libs):
        self.folder = pathlib.Path(folder)
        ports = free_ports(4 * len(NODES))
        controllers = dict(zip(NODES, ports))
        self.members = [Member(self.folder / f"kafka{node}", libs, node, controllers, ports[3 * node:3 * node + 3])
                        for node in NODES]
        for member in self.members:
            member.cluster_id = self.members[0].cluster_id
        self.brokers = ",".join(member.brokers for member in self.members)
        self.java = self.members[0].java

    def ways(self):
        """For a wire."""
        return {member.wire_port: ("127.0.0.1", member.wired_port) for member in self.members}

    def start(self):
        """Those that do not run, until all is well."""
        started = [member.start(wait=False) for member in self.members if not member.is_running()]
        for member in started:
            member.wait_listening()
        wait_until(self.is_whole, "three brokers, and three replicas of everything")
        return self

    def kill(self):
        for member in self.members:
            member.kill()

    def send_signal(self, number):
        for member in self.members:
            if member.is_running():
                member.send_signal(number)

    def mend(self):
        """After whatever a test did."""
        self.send_signal(signal.SIGCONT)
        self.start()

    def _metadata(self):
        return AdminClient({"bootstrap.servers": self.brokers}).list_topics(timeout=ANSWER_S)

    def is_whole(self):
        found = self._metadata()
        return len(found.brokers) == len(NODES) and all(
            len(partition.isrs) == len(NODES) for topic in found.topics.values() for partition in topic.partitions.values())

    def leader(self, topic, partition=0):
        node = self._metadata().topics[topic.name].partitions[partition].leader
        return next(member for member in self.members if member.node == node)
