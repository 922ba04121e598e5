# SPDX-License-Identifier: Apache-2.0
"""README.md and docs/operations.md are followed as they stand, up to the first hits in the database: on a Kafka with access
control and with the roles that they make, so that these are known to be enough. What they name must exist."""
import contextlib
import fcntl
import json
import re
import shlex
import subprocess
import urllib.parse
import urllib.request

import pytest

from bench.documents import Machine, blocks
from bench.footfall import BUILD
from bench.topics import Topic
from conftest import TOP
from servers import Kafka, Postgres, Server, fetch, fetch_metrics, free_ports, wait_until
from shop import Shop

README, OPERATIONS = TOP / "README.md", TOP / "docs/operations.md"
DOCUMENTS = [README, *sorted((TOP / "docs").glob("*.md"))]
SECRETS = {"footfall-collector": "a-secret", "footfall-aggregator": "b-secret"}


class GuardedKafka(Kafka):
    """Whoever comes to `guarded` logs in and may do what ACLs say; the other listener is the administrator's."""

    def __init__(self, folder, libs):
        super().__init__(folder, libs)
        port = free_ports(1)[0]
        self.guarded = f"127.0.0.1:{port}"
        users = " ".join(f'user_{name}="{secret}"' for name, secret in SECRETS.items())
        for name in ("listeners", "advertised.listeners"):
            self.settings[name] += f",SASL_PLAINTEXT://{self.guarded}"
        self.settings["listener.security.protocol.map"] += ",SASL_PLAINTEXT:SASL_PLAINTEXT"
        self.settings |= {
            "sasl.enabled.mechanisms": "PLAIN", "super.users": "User:ANONYMOUS",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config":
                f"org.apache.kafka.common.security.plain.PlainLoginModule required {users};"}


class Started(Server):
    """A program as its unit starts it: its settings file, the variables of its .env file, ports that are free here."""

    def __init__(self, machine, name, **settings):
        self.name = name
        super().__init__(machine.root.parent / name)
        self.admin = free_ports(1)[0]
        settings = {**settings, "admin.listen": f"127.0.0.1:{self.admin}"}
        file = machine.root / "etc/footfall" / name.removeprefix("footfall-")
        variables = file.with_suffix(".env")
        lines = shlex.split(variables.read_text()) if variables.exists() else []
        self.spawn([BUILD / "bin" / name, "--config", file.with_suffix(".conf"),
                    *(word for key, value in settings.items() for word in ("--set", f"{key}={value}"))],
                   env=dict([("PATH", "/usr/bin:/bin"), *(line.split("=", 1) for line in lines)]))

    def is_ready(self):
        return fetch(self.admin, "/readyz")[0] == 200


@pytest.fixture(scope="module")
def guarded(folder, kafka):
    broker = GuardedKafka(folder / "guarded", kafka.classpath.removesuffix("/*")).start()
    yield broker
    broker.kill()


@pytest.fixture(scope="module")
def machine(folder, guarded):
    """A cluster of its own: the roles that are made here belong to all of it."""
    postgres = Postgres(folder / "readme/postgres", settings=["fsync=off"]).start()
    machine = Machine(folder / "readme/machine", BUILD / "bin", guarded, postgres)
    machine.names.update({
        "/var/lib/GeoIP/GeoLite2-City.mmdb": TOP / "tests/data/mmdb/world.mmdb",
        "/run/footfall/mirror.sock": folder / "readme/mirror.sock",
        "--replication-factor 3": "--replication-factor 1", "min.insync.replicas=2": "min.insync.replicas=1"})
    yield machine
    postgres.stop()


@contextlib.contextmanager
def alone_in_the_tree():
    """One builds at a time: deploy/quickstart and tests/run keep to the same lock."""
    (TOP / "build").mkdir(exist_ok=True)
    with open(TOP / "build/.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="module")
def followed(machine):
    """Everything in the README done, in its order."""
    kept = {}
    for block in blocks(README):
        if "./deploy/quickstart" in block.text:
            commands = [line.split()[0] for line in block.text.splitlines()]
            assert commands == ["./deploy/quickstart", "./tests/run"]  # the one has its own test, the other runs this
        elif block.language in ("nginx", "html", "json"):
            kept[block.language] = block.text
        else:
            with alone_in_the_tree():
                machine.follow(block)
    return kept


@pytest.fixture(scope="module")
def operated(machine, followed, guarded):
    """And what docs/operations.md says before anything starts: rights on Kafka, and the log-in."""
    found = blocks(OPERATIONS)
    for block in found:
        if "kafka-acls.sh" in block.text:
            machine.sh(block.text)
    login = next(block.text for block in found if block.text.startswith("[rdkafka]"))
    for name, secret in SECRETS.items():
        file = machine.root / "etc/footfall" / f"{name.removeprefix('footfall-')}.conf"
        file.write_text(file.read_text().replace(guarded.brokers, guarded.guarded) +
                        login.replace("footfall-collector", name).replace("a-secret", secret))


@pytest.fixture(scope="module")
def site(machine, followed, operated):
    """Collector, aggregator, and the nginx of the README in front of a page with its line in it."""
    port, beacons = free_ports(2)
    collector = Started(machine, "footfall-collector", **{
        "http.listen": f"127.0.0.1:{beacons}", "journal.directory": machine.root / "var/lib/footfall/journal"})
    aggregator = Started(machine, "footfall-aggregator", **{"sessions.lateness": "1s", "enriched.topic": "processed_events"})
    shop = Shop(machine.root.parent / "nginx", port)
    shop.configure(beacons, machine.names["/run/footfall/mirror.sock"])  # puts the snippets there, for these ports
    shop.configuration.write_text("pid nginx.pid; events { }\n" + nginx_here(machine, shop, followed["nginx"]))
    (shop.folder / "html").mkdir()
    (shop.folder / "html/index.html").write_text(f"<!doctype html>{followed['html']}<h1>A page</h1>")
    for server in (collector, aggregator):
        server.wait_ready(server.is_ready)
    shop.start(port)
    yield {"port": port, "collector": collector, "aggregator": aggregator}
    for server in (shop, collector, aggregator):
        assert server.stop() == 0, server.log_tail()


def nginx_here(machine, shop, text):
    for name in re.findall(r"include (\S+);", text):
        assert (machine.root / name.lstrip("/")).exists(), name
    text = text.replace("/usr/share/footfall/nginx/", f"{shop.folder}/")
    temporary = "".join(f"{kind}_temp_path tmp/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return text.replace("http {", f"http {{ access_log off; {temporary}", 1).replace(
        "server {", f"server {{ listen 127.0.0.1:{shop.shop_port};", 1)


def get(site, path, data=None):
    request = urllib.request.Request(f"http://127.0.0.1:{site['port']}{path}", data,
                                     {"Host": "www.example.com", "Content-Type": "text/plain"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return reply.status, reply.read().decode()


# ---- The tests ----

def test_the_units_that_are_enabled_exist(followed, machine):
    assert machine.said.read_text().splitlines() == [
        "enable --now footfall-collector", "enable --now footfall-aggregator"]


def test_the_topic_is_as_the_settings_say(followed, machine):
    said = machine.sh("kafka-topics.sh --bootstrap-server kafka:9092 --describe --topic hits")
    assert "PartitionCount: 12" in said and "retention.ms=1209600000" in said


def check_other_readers(guarded, followed):
    """They get what the README shows."""
    messages = Topic(guarded, "processed_events").read()
    assert len(messages) == 2
    shown = json.loads(followed["json"])
    for each in messages:
        value = json.loads(each.value)
        assert list(value) == list(shown) and len(value["event_timestamp"]) == len(shown["event_timestamp"])
    assert list(json.loads(shown["geodata"])) == ["country", "state", "city"]


def test_hits_arrive_on_both_ways_and_readers_see_them(site, machine, guarded, followed):
    page = get(site, "/")[1]
    script = re.search(r'<script async src="([^"]+)"', page).group(1)
    assert "sendBeacon" in get(site, script)[1]
    assert get(site, urllib.parse.urljoin(script, "v1/hits"), b'{"url": "https://www.example.com/beacon"}')[0] == 204
    wait_until(lambda: machine.sql("SELECT count(*) FROM processed_events") == "2", "two hits")
    assert machine.sql("SELECT source, host, url FROM processed_events ORDER BY 1").splitlines() == [
        "beacon|www.example.com|https://www.example.com/beacon", "mirror|www.example.com|http://www.example.com/"]
    assert machine.sql("SELECT hits FROM report_hits_by_host_and_date", user="footfall_look") == "2"
    check_other_readers(guarded, followed)


def test_what_the_documents_call_metrics_and_roles_exist(site, machine):
    metrics = {name.split("{")[0] for part in ("collector", "aggregator") for name in fetch_metrics(site[part].admin)}
    labelled = {name for part in ("collector", "aggregator") for name in fetch_metrics(site[part].admin)}
    roles = set(machine.sql("SELECT rolname FROM pg_roles").splitlines())
    for document in DOCUMENTS:
        for name, labels in re.findall(r"\b(footfall_[a-z0-9_]+)(\{[^}]*\})?", document.read_text()):
            assert name in metrics | roles and (not labels or name + labels in labelled), f"{document.name}: {name}{labels}"


def test_reasons_of_rejects_are_those_that_are_counted(site):
    counted = set(re.findall(r'footfall_rejects_total\{reason="(\w+)"', "\n".join(fetch_metrics(site["aggregator"].admin))))
    rows = re.search(r"^## Rejects\n.*?(^\|.*?)(?=\n\n|\Z)", OPERATIONS.read_text(), re.M | re.S).group(1)
    assert {name for row in rows.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])} == counted


def test_halts_are_those_of_the_source():
    source = "".join(path.read_text() for path in sorted((TOP / "aggregator").glob("*.c")))
    source = re.sub(r'%\.?\*?[0-9]*l*[dsu]|" PRI\w+ "', "…", re.sub(r'"\s*"', "", source))
    rows = re.search(r"^## Halts\n.*?(^\|.*?)\n\n", OPERATIONS.read_text(), re.M | re.S).group(1)
    words = [row.split("|")[1].strip() for row in rows.splitlines()[2:]]
    assert len(words) > 5
    for each in words:
        if each.startswith("SQLSTATE "):
            each = f'"{each.removeprefix("SQLSTATE ").rstrip("…")}"'
        for part in each.split("…"):
            assert part.strip() in source, each


def test_a_halt_ends_as_the_document_says(site, machine):
    block = next(block.text for block in blocks(OPERATIONS) if " resume 3" in block.text)
    assert "partition 3 of hits is not halted" in machine.sh(block)
    machine.sql("UPDATE footfall.partitions SET halted_at = now(), halt_reason = 'a test' WHERE partition = 3", user="footfall_migrate")
    assert "partition 3 of hits goes on" in machine.sh(block)
    assert machine.sql("SELECT count(*) FROM footfall.partitions WHERE halted_at IS NOT NULL") == "0"


def test_rejects_are_retried_as_the_document_says(site, machine):
    block = next(block.text for block in blocks(OPERATIONS) if "retry-rejects" in block.text)
    assert machine.sh(block).startswith("0 rejects of topic hits were tried")
    for table in ("rejected_hits", "footfall.received", "footfall.audit"):
        assert machine.sql(f"SELECT has_table_privilege('footfall_aggregate', '{table}', 'DELETE')") == "t"


def test_an_address_is_erased_as_the_document_says(site, machine):
    block = next(block.text for block in blocks(OPERATIONS) if " erase " in block.text)
    said = machine.sh(block)
    assert said.startswith("nothing of 203.0.113.7 was found") and ": until its retention.ms of 1209600000 deletes" in said


def test_commands_of_the_readme_are_those_of_the_help(machine):
    told = set(re.findall(r"^  ([a-z-]+) ", machine.sh("footfall-aggregator --help").partition("\ncommands")[2], re.M))
    rows = re.search(r"(^\| `footfall-aggregator.*?)\n\n", README.read_text(), re.M | re.S).group(1)
    assert set(re.findall(r"^\| `footfall-aggregator ([a-z-]+)", rows, re.M)) == told


def test_a_web_server_of_another_group(followed, machine):
    unit = (machine.root / "usr/lib/systemd/system/footfall-collector.service").read_text()
    block = next(block.text for block in blocks(OPERATIONS) if block.text.startswith("[Service]"))
    cleared, ours = block.splitlines()[1:]
    assert cleared == "ExecStartPre=" and ours.replace("chgrp nginx", "chgrp www-data") in unit.splitlines()


def test_statements_for_operators(site, machine):
    """As the owner of the tables, while all runs."""
    assert machine.sql("SELECT footfall.make_day('2025-02-01')", user="footfall_migrate") == "t"
    statements = [block.text for block in blocks(OPERATIONS) if block.language == "sql"]
    for each in statements:
        machine.sql(each, user="footfall_migrate")
    assert machine.sql("SELECT to_regclass('processed_events_20250201') IS NULL") == "t"
    assert machine.sql("SELECT count(*) FROM processed_events") == "2"


def test_links_lead_somewhere():
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)]+)\)", document.read_text()):
            if target.startswith("https://"):
                continue
            name, _, anchor = target.partition("#")
            path = (document.parent / name).resolve() if name else document
            assert path.exists(), f"{document.name}: {target}"
            anchors = {re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
                       for line in path.read_text().splitlines() if line.startswith("#")} if anchor else {""}
            assert anchor in anchors, f"{document.name}: {target}"


@pytest.mark.parametrize("section", ["ip2location", "retention"])
def test_the_settings_of_operators_are_taken(tmp_path, section):
    settings = tmp_path / "aggregator.conf"
    settings.write_text(next(block.text for block in blocks(OPERATIONS) if f"[{section}]" in block.text))
    subprocess.run([BUILD / "bin/footfall-aggregator", "--config", settings, "--check-config"], check=True)


def test_the_hosts_of_postgres_are_taken(tmp_path):
    settings = tmp_path / "aggregator.conf"
    settings.write_text(next(block.text for block in blocks(OPERATIONS) if "host=db1,db2" in block.text))
    subprocess.run([BUILD / "bin/footfall-aggregator", "--config", settings, "--check-config"], check=True)


def test_every_block_has_its_test():
    """Those of docs/cutover.md are in test_cutover.py."""
    assert {block.language for block in blocks(README)} <= {"sh", "ini", "sql", "nginx", "html", "json"}
    assert [block.language for block in blocks(OPERATIONS)] == [
        "sh", "ini", "sql", "ini", "ini", "sql", "sh", "ini", "ini", "sql", "sql", "sql", "sh", "sh", "sql", "sh", "sql", "sql", "sql", "sh"]
