# SPDX-License-Identifier: Apache-2.0
"""How programs start: what they say, and leave with, when they cannot, and what they do not let out when they can. systemd
starts them again unless they leave with what says that only a person can help."""
import os
import pathlib
import re
import resource
import socket

import pytest

from conftest import TOP

PLACES = TOP / "tests/data/mmdb"


def make(programs, topic, database, part, **options):
    return programs.collector(topic, **options) if part == "collector" else programs.aggregator(topic, database, **options)


def refused(program, setting, code=os.EX_TEMPFAIL):
    assert program.wait_left() == code, program.log_tail()
    assert setting in program.log_text().splitlines()[-1]
    return program


def listen_at(address):
    taken = socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind(address)
    taken.listen()
    return taken


@pytest.mark.parametrize("part, setting", [("collector", "http.listen"), ("collector", "mirror.listen"),
                                           ("collector", "admin.listen"), ("aggregator", "admin.listen")])
def test_an_address_that_is_taken_is_taken_for_now(programs, topic, database, own_folder, part, setting):
    mirror = own_folder / "mirror.sock"
    program = make(programs, topic, database, part, **({"mirror__listen": f"unix:{mirror}"} if setting == "mirror.listen" else {}))
    program.stop_well()
    with listen_at({"http.listen": ("127.0.0.1", getattr(program, "port", 0)), "mirror.listen": str(mirror),
                    "admin.listen": ("127.0.0.1", program.admin)}[setting]):
        refused(program.start_again(wait=False), setting)
    program.start_again()


def test_a_folder_that_is_not_there_may_be_mounted_later(programs, topic, own_folder):
    """/proc stands for a disk on which nothing can be made."""
    journal = own_folder / "disk"
    journal.symlink_to("/proc/nothing")
    collector = refused(programs.collector(topic, ready=False, journal__directory=journal), "journal.directory")
    journal.unlink()
    collector.start_again()


@pytest.mark.parametrize("setting", ["geo.databases", "ip2location.key_file"])
def test_a_file_that_is_not_there_may_come(programs, topic, database, own_folder, setting):
    file = own_folder / "file"
    aggregator = make(programs, topic, database, "aggregator", ready=False, **{setting.replace(".", "__"): file})
    refused(aggregator, setting)
    file.write_bytes(b"KEY\n" if setting == "ip2location.key_file" else (PLACES / "world.mmdb").read_bytes())
    aggregator.start_again()


@pytest.mark.parametrize("part", ["collector", "aggregator"])
def test_certificates_that_are_not_there_may_come(programs, topic, database, own_folder, part):
    refused(make(programs, topic, database, part, ready=False, rdkafka__security__protocol="ssl",
                 rdkafka__ssl__ca__location=own_folder / "authorities.pem"), "ssl.ca.location")


@pytest.mark.parametrize("part, setting, value", [
    ("aggregator", "geo.databases", PLACES / "truncated.mmdb"), ("aggregator", "ip2location.key_file", PLACES / "make.pl"),
    ("collector", "mirror.listen", "nowhere"), ("collector", "rdkafka.acks", "1"), ("aggregator", "rdkafka.nonsense", "1")])
def test_what_is_wrong_is_for_a_person(programs, topic, database, part, setting, value):
    program = make(programs, topic, database, part, ready=False, **{setting.replace(".", "__"): value})
    refused(program, setting, os.EX_CONFIG)


@pytest.mark.parametrize("part", ["collector", "aggregator"])
def test_no_core_file_is_left(programs, topic, database, part):
    """With no secret in its settings either: the sanitizer's own limit is lifted, and the test's is as high as may be."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    try:
        program = make(programs, topic, database, part, env={"ASAN_OPTIONS": "disable_coredump=0"})
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
    limits = pathlib.Path(f"/proc/{program.pid}/limits").read_text()
    assert re.search(r"^Max core file size +0 +0 ", limits, re.M), limits
