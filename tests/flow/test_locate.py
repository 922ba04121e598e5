# SPDX-License-Identifier: Apache-2.0
"""The command locate, with a stub of ip2location.io: every class of answer, and every way in which a service fails."""
import gzip
import json
import socket
import subprocess

import pytest

from bench.footfall import BUILD
from bench.ip2location import KEY, Authority, Reply, Stub, error, place
from bench.web import Front
from conftest import TOP
from servers import free_ports

IP = "8.8.8.8"  # which the file places in California
FILES = TOP / "tests/data/mmdb/world.mmdb"


def locate(database, url, *addresses, **settings):
    """The lines that it prints, of each its source, geodata and the rest."""
    values = {"postgres.conninfo": database.conninfo, "geo.databases": FILES, "ip2location.url": url, "ip2location.key": KEY,
              **{key.replace("__", "."): value for key, value in settings.items()}}
    arguments = [text for key, value in values.items() for text in ("--set", f"{key}={value}")]
    done = subprocess.run([BUILD / "bin/footfall-aggregator", *arguments, "locate", *addresses], text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)
    assert done.returncode == 0, done.stderr
    assert KEY not in done.stdout + done.stderr
    return done.stdout.splitlines()


def assert_from_file(lines):
    assert len(lines) == 1 and lines[0].startswith(f'{IP} mmdb {{"country": "US", "state": "California"'), lines
    return lines[0]


def test_the_service_comes_first_and_its_answer_is_kept(migrated, stub):
    line, = locate(migrated, stub.url, IP)
    city = place(IP)["city_name"]
    assert line.startswith(f'{IP} api {{"country": "IN", "state": "Karnataka", "city": "{city}"}} 12.9719 77.5937 (')
    assert "just now" in line
    line, = locate(migrated, stub.url, IP)
    assert line.startswith(f"{IP} api") and "footfall.ip_locations" in line
    assert stub.addresses() == [IP] and stub.keys == {(KEY, None)}
    assert migrated.rows("SELECT ip, country, city, source FROM footfall.ip_locations") == [(IP, "IN", city, "ip2location")]
    assert migrated.value("SELECT sum(calls) FROM footfall.ip2location_calls") == 1


def test_private_addresses_never_leave(migrated, stub):
    lines = locate(migrated, stub.url, "10.0.0.1", "192.168.1.1", "203.0.113.9", "::1", "fe80::1", "2001:db8::1", "100.64.0.1")
    assert [line.split()[1] for line in lines] == ["private"] * 7
    assert not stub.asked


def test_an_ipv6_network_is_asked_of_once(migrated, stub):
    lines = locate(migrated, stub.url, "2405:200:1:2:a::1", "2405:200:1:2:b::2", "2405:200:1:3::1")
    assert [line.split()[1] for line in lines] == ["api"] * 3
    assert stub.addresses() == ["2405:200:1:2::", "2405:200:1:3::"]


def test_the_key_can_come_from_a_file_and_go_into_the_header(migrated, stub, own_folder):
    file = own_folder / "key"
    file.write_text(f"{KEY}\r\nsecond line\n")
    locate(migrated, stub.url, IP, ip2location__key="", ip2location__key_file=file, ip2location__key_in="header")
    assert stub.keys == {(None, f"Bearer {KEY}")}


def test_without_a_key_the_service_is_asked_only_if_wanted(migrated, stub):
    locate(migrated, stub.url, IP, ip2location__key="")
    locate(migrated, stub.url, IP, ip2location__enabled="false")
    assert not stub.asked
    locate(migrated, stub.url, IP, ip2location__key="", ip2location__enabled="true")
    assert stub.keys == {(None, None)}


GOOD = {
    "escapes": (place(IP, city_name="São Paulo"), '"city": "São Paulo"}'),
    "no city": (place(IP, city_name="-"), '"city": "-"} ('),          # and no coordinates
    "no state": (place(IP, region_name="-"), '"state": "-"'),
    "more fields": (place(IP, continent={"name": "Asia", "hemisphere": ["north", "east"]}), "Karnataka"),
    "a message": (place(IP, message="Limit to 1,000 queries per day."), "Karnataka"),
    "no coordinates": (place(IP, latitude=None, longitude=None), "Karnataka"),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_answer_is_taken(migrated, stub, name):
    body, expected = GOOD[name]
    stub.answer = Reply(body=body)
    line, = locate(migrated, stub.url, IP)
    assert line.startswith(f"{IP} api") and expected in line, line


def raw(*lines):
    return "\r\n".join(lines).encode()


BAD = {
    "unknown": (Reply(body=place(IP, country_code="-", region_name="-", city_name="-")), "does not know it"),
    "bad address": (Reply(400, error(10001)), "does not know it"),
    "bad key": (Reply(401, error(10000)), "refuses the key"),
    "bad key without a code": (Reply(401, b""), "refuses the key"),
    "forbidden": (Reply(403, {}), "refuses the key"),
    "internal error": (Reply(400, error(10002)), "usable answer"),
    "language": (Reply(400, error(10003)), "usable answer"),
    "translation": (Reply(400, error(10004)), "usable answer"),
    "busy": (Reply(429, {"error": "rate limited"}), "too many requests"),
    "404": (Reply(404, {}), "usable answer"),
    "500": (Reply(500, b"<html>"), "usable answer"),
    "503": (Reply(503, b""), "usable answer"),
    "hang": (Reply(hang=True), "usable answer"),
    "slow drip": (Reply(drip_s=1), "usable answer"),
    "cut body": (Reply(raw=raw("HTTP/1.1 200 OK", "Content-Length: 500", "", json.dumps(place(IP)))), "usable answer"),
    "1 MiB": (Reply(body=b" " * (1 << 20)), "usable answer"),
    "1 MiB without a length": (Reply(raw=raw("HTTP/1.1 200 OK", "", " " * (1 << 20))), "usable answer"),
    "gzip bomb": (Reply(body=gzip.compress(b" " * (1 << 20)), headers={"Content-Encoding": "gzip"}), "usable answer"),
    "HTML": (Reply(body=b"<html><body>Hello</body></html>"), "usable answer"),
    "half an object": (Reply(body=json.dumps(place(IP)).encode()[:-20]), "usable answer"),
    "another address": (Reply(body=place("8.8.4.4")), "usable answer"),
    "a long country": (Reply(body=place(IP, country_code="IND")), "usable answer"),
    "no HTTP": (Reply(raw=b"220 mail.example ESMTP\r\n"), "usable answer"),
    "many headers": (Reply(headers={f"X-{n}": "x" * 8000 for n in range(80)}), "usable answer"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_answer_is_not_taken(migrated, stub, name):
    stub.answer, why = BAD[name]
    assert why in assert_from_file(locate(migrated, stub.url, IP))
    assert len(stub.asked) == 1  # and not tried again
    kept = migrated.rows("SELECT country, expires_at - located_at < interval '11 min' FROM footfall.ip_locations")
    assert kept == ([(None, True)] if why == "does not know it" else [])


def test_a_redirect_is_not_followed(migrated, stub):
    stub.answer = Reply(302, b"", {"Location": f"{stub.url}?ip={IP}"})
    assert_from_file(locate(migrated, stub.url, IP))
    assert len(stub.asked) == 1


def test_nobody_there(migrated):
    assert_from_file(locate(migrated, f"http://127.0.0.1:{free_ports(1)[0]}/", IP))
    assert_from_file(locate(migrated, f"https://{'a' * 64}.example/", IP))  # a label too long to be looked up anywhere


def test_a_database_that_is_away(migrated, stub, postgres):
    line = assert_from_file(locate(migrated, stub.url, IP, postgres__conninfo=f"host=127.0.0.1 port={free_ports(1)[0]} dbname=x"))
    assert "the database is away" in line and not stub.asked


def test_a_budget_that_cannot_be_read(migrated, stub):
    migrated.execute("ALTER TABLE footfall.ip2location_calls RENAME TO gone")
    line = assert_from_file(locate(migrated, stub.url, IP))
    assert "the database, which holds the budget, is away" in line and not stub.asked


def test_the_budget_is_not_exceeded(migrated, stub):
    addresses = [f"8.8.4.{number}" for number in range(8)]
    lines = locate(migrated, stub.url, *addresses[:4], ip2location__daily_budget=6)
    assert [line.split()[1] for line in lines] == ["api"] * 4
    lines = locate(migrated, stub.url, *addresses[3:], ip2location__daily_budget=6)
    assert [line.split()[1] for line in lines] == ["api"] * 3 + ["mmdb"] * 2 and "budget" in lines[-1]
    lines = locate(migrated, stub.url, "1.1.1.1", ip2location__monthly_budget=6)
    assert "budget" in lines[0]
    assert len(stub.asked) == 6


@pytest.fixture(scope="module")
def authority(folder):
    path = folder / "certificates"
    path.mkdir()
    return Authority(path)


TLS = {
    "good": ({}, True),
    "expired": ({"days": -1}, False),
    "self-signed": ({"is_self_signed": True}, False),
    "wrong name": ({"address": "127.0.0.2"}, False),
}


@pytest.mark.parametrize("name", TLS)
def test_the_certificate_is_checked(migrated, authority, name):
    options, is_good = TLS[name]
    stub = Stub(authority.certificate(name.replace(" ", "-"), **options))
    try:
        line, = locate(migrated, stub.url, IP, ip2location__ca_file=authority.path)
        assert line.split()[1] == ("api" if is_good else "mmdb"), line
        assert len(stub.asked) == is_good
        if is_good:  # by this authority, which the system does not know
            migrated.execute("DELETE FROM footfall.ip_locations")
            assert_from_file(locate(migrated, stub.url, IP))
    finally:
        stub.stop()


def test_http_2_is_spoken_where_the_service_can(migrated, stub, authority, own_folder):
    front = Front(own_folder / "front")
    try:
        url = front.serve(authority.certificate("front"), stub.url)
        lines = locate(migrated, url, IP, "8.8.4.4", ip2location__ca_file=authority.path)
        assert [line.split()[1] for line in lines] == ["api", "api"]
        assert front.protocols() == ["HTTP/2.0", "HTTP/2.0"]
    finally:
        front.kill()


def test_a_stalled_handshake(migrated, authority):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert_from_file(locate(migrated, f"https://127.0.0.1:{silent.getsockname()[1]}/", IP,
                                ip2location__ca_file=authority.path))


def test_no_tls_where_there_should_be(migrated, stub, authority):
    assert_from_file(locate(migrated, stub.url.replace("http:", "https:"), IP, ip2location__ca_file=authority.path))
    assert not stub.asked


@pytest.mark.parametrize("url", ["http://api.ip2location.io/", "ftp://127.0.0.1/", "https://user:word@api.ip2location.io/", "x"])
def test_a_bad_url_is_refused_at_the_start(url):
    done = subprocess.run([BUILD / "bin/footfall-aggregator", "--set", f"ip2location.url={url}", "--check-config"], text=True,
                          check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 78 and "ip2location.url" in done.stderr


def test_the_key_is_never_printed():
    done = subprocess.run([BUILD / "bin/footfall-aggregator", "--set", f"ip2location.key={KEY}", "--print-config"], text=True,
                          check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert KEY not in done.stdout and "key_file" in done.stdout
    done = subprocess.run([BUILD / "bin/footfall-aggregator", "--set", f"ip2location.key={KEY} {KEY}", "locate", IP], text=True,
                          check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 78 and KEY not in done.stdout
