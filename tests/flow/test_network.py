# SPDX-License-Identifier: Apache-2.0
"""The aggregator in a network of its own, in which ip2location.io's name cannot be found, or packets are lost on the way to it:
rows get their places from the files, the stream goes on, and when all is well again the service is asked."""
import itertools
import re

import pytest

from bench import hits, oracle
from bench.ip2location import KEY, Authority, Stub
from bench.namespace import NameServer, Namespace
from bench.wire import Wire
from conftest import TOP
from servers import free_ports, wait_until

NAME, PUBLIC = "places.example", "8.8.4.4"  # where it stands in that network; a private address is refused
FEW = 3            # failures that are borne without leaving the service alone
MANY = 300
ONE_BY_ONE = 15
LOST_PERCENT = 10
_addresses = (f"8.9.{number >> 8}.{number & 255}" for number in itertools.count())


class Inside:
    """An aggregator in its network; Kafka is reached by a relay, Postgres by its socket, and the test reaches its admin
    listener."""

    def __init__(self, programs, topic, database, kafka, namespace, seed, **settings):
        self.topic, self.database, self.seed, self.hits = topic, database, seed, []
        port = int(kafka.brokers.rpartition(":")[2])
        self.wires = [Wire({port: ("127.0.0.1", port)}, lambda port: namespace.listen("127.0.0.1", port))]
        self.aggregator = programs.aggregator(topic, database, ready=False, before=namespace.enter, ip2location__key=KEY,
                                              geo__databases=TOP / "tests/data/mmdb/world.mmdb", **settings)
        admin = self.aggregator.admin
        self.wires.append(Wire({admin: lambda: namespace.connect(admin)}))
        self.aggregator.wait_ready(self.aggregator.is_ready)

    def place(self, count, at_once=False):
        """So many hits of visitors that are new, one after the other. Where their places came from: {source: hits}"""
        fresh = [hit._replace(ip=next(_addresses), url=f"https://{hit.host}/{len(self.hits) + number}")
                 for number, hit in enumerate(hits.make(count, f"{self.seed}/{len(self.hits)}"))]
        self.hits += fresh
        for some in [fresh] if at_once else ([hit] for hit in fresh):
            self.topic.produce(hits.from_collectors(some, self.topic.partitions, some[0].url, repeated=0))
            self.database.wait_stored(self.topic)
        return dict(self.database.rows("SELECT geo_source, count(*) FROM processed_events WHERE ip = ANY(%s) GROUP BY 1",
                                       [hit.ip for hit in fresh]))

    def close(self):
        for wire in self.wires:
            wire.close()


@pytest.fixture
def namespace(own_folder):
    """A lookup that nobody answers takes 450 s: whoever waits for it is taken for dead."""
    namespace = Namespace(own_folder, "timeout:30 attempts:5")
    yield namespace
    namespace.close()


@pytest.fixture
def names(namespace):
    names = NameServer(namespace)
    yield names
    names.stop()


@pytest.fixture
def authority(own_folder):
    return Authority(own_folder)


@pytest.fixture
def service(namespace, authority):
    """At PUBLIC, and at all other addresses there, with a certificate of its name."""
    namespace.run("ip", "address", "add", f"{PUBLIC}/32", "dev", "lo")
    stub = Stub(authority.certificate("good", host=NAME))
    wire = Wire({443: ("127.0.0.1", stub.port)}, lambda port: namespace.listen("0.0.0.0", port))
    yield stub
    wire.close()
    stub.stop()


@pytest.fixture
def inside(programs, topic, database, kafka, namespace, seed):
    """inside(settings): it runs until the programs end."""
    made = []
    yield lambda **options: made.append(Inside(programs, topic, database, kafka, namespace, seed, **options)) or made[-1]
    for each in made:
        each.aggregator.stop_well()
        each.close()


def test_a_name_that_is_not_there(inside, names, service, authority):
    there = inside(ip2location__url=f"https://{NAME}/", ip2location__ca_file=authority.path)
    assert there.place(FEW) == {"mmdb": FEW}
    assert NAME in names.asked and not service.asked
    names.addresses[NAME] = PUBLIC
    assert there.place(FEW) == {"api": FEW}
    names.addresses.clear()
    oracle.check(there.database, there.hits)


def test_a_name_server_that_never_answers(inside, names, service, authority):
    """Neither hits, nor the service when it is asked of again, nor the end wait for it."""
    there = inside(ip2location__url=f"https://{NAME}/", ip2location__ca_file=authority.path)
    names.is_silent = True
    assert there.place(FEW) == {"mmdb": FEW}
    assert there.place(MANY, at_once=True) == {"mmdb": MANY}
    assert NAME in names.asked and not service.asked
    assert there.aggregator.metrics()['footfall_ip2location_requests_total{outcome="unreached"}'] >= FEW
    oracle.check(there.database, there.hits)
    there.aggregator.stop_well()


def test_a_name_that_stands_for_an_address_inside(inside, names, service, authority):
    """DNS is not ours: whoever answers must not make us ask hosts inside."""
    names.addresses[NAME] = "127.0.0.1"
    there = inside(ip2location__url=f"https://{NAME}/", ip2location__ca_file=authority.path)
    assert there.place(FEW) == {"mmdb": FEW}
    assert NAME in names.asked and not service.asked


def test_packets_are_lost_on_the_way_to_the_service(inside, namespace, stub):
    port, = free_ports(1)
    wire = Wire({port: ("127.0.0.1", stub.port)}, lambda port: namespace.listen("127.0.0.1", port))
    namespace.run("nft", "add table inet loss; add chain inet loss in { type filter hook input priority 0; };" + "".join(
        f"add rule inet loss in tcp {end} {port} numgen random mod 100 < {LOST_PERCENT} counter drop;" for end in ("sport", "dport")))
    there = inside(ip2location__url=f"http://127.0.0.1:{port}/")
    first, then = there.place(ONE_BY_ONE), there.place(MANY, at_once=True)
    assert set(first) | set(then) <= {"api", "mmdb"} and first.get("api", 0) > 0, (first, then)
    lost = [int(count) for count in re.findall(r"counter packets (\d+)", namespace.run("nft", "list", "ruleset"))]
    assert len(lost) == 2 and all(lost), f"packets lost to and fro: {lost}"
    oracle.check(there.database, there.hits)
    wire.close()
