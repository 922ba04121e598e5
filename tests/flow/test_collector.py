# SPDX-License-Identifier: Apache-2.0
"""The collector before a real broker: what it answers, when, and what it publishes."""
import concurrent.futures
import http.client
import json
import re
import signal
import socket
import uuid

import jsonschema
import pytest

from bench import hits
from conftest import TOP
from servers import wait_until


def page(number=0, **more):
    return json.dumps({"url": f"https://shop.example/page/{number}", **more})


def hit_of(message):
    return json.loads(message.value)


@pytest.fixture
def crowd():
    """Threads for requests that wait for their answers."""
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        yield pool


def test_with_ack_kafka_a_204_comes_after_kafka_has_the_hit(programs, topic):
    collector = programs.collector(topic, journal__ack="kafka")
    for number in range(20):
        assert collector.post(page(number))[0] == 204
        assert topic.count() == number + 1
    assert {hit_of(each)["url"] for each in topic.read()} == {f"https://shop.example/page/{number}" for number in range(20)}


def test_an_array_is_taken_whole_or_not_at_all(programs, topic):
    collector = programs.collector(topic, journal__ack="kafka")
    good = [{"url": f"https://shop.example/{number}"} for number in range(64)]
    status, _, reason = collector.post(json.dumps([*good[:5], {"url": "https://elsewhere.example/"}, *good[5:10]]))
    assert status == 403 and b"hits[5]" in reason
    assert topic.count() == 0
    assert collector.post(json.dumps(good))[0] == 204
    assert sorted(hit_of(each)["url"] for each in topic.read()) == sorted(each["url"] for each in good)


def test_what_is_refused_says_why_in_one_line_and_is_not_published(programs, topic):
    collector = programs.collector(topic, journal__ack="kafka")
    for body, headers, status in (
            ("{", {}, 400), ("{}", {}, 400), (page(id=7), {}, 400), ('{"url":"https://shop.example/","url":"x"}', {}, 400),
            (page(), {"Origin": "https://elsewhere.example"}, 403), ('{"url":"https://elsewhere.example/"}', {}, 403),
            (page(), {"Content_Type": "application/xml"}, 415), (page(title="x" * 20000), {}, 413),
            (page(), {"Transfer_Encoding": "chunked"}, 411), (page(), {"Content_Encoding": "gzip"}, 415)):
        got, _, reason = collector.post(body, **headers)
        assert got == status, (body, headers, reason)
        assert reason.count(b"\n") <= 1 and len(reason) > 5
    assert topic.count() == 0
    assert collector.post(page())[0] == 204


def test_messages_go_to_their_home_in_streams_without_holes(programs, topic):
    collector = programs.collector(topic, journal__ack="kafka")
    for number in range(200):
        assert collector.post(page(number), X_Forwarded_For=f"81.2.3.{number % 20}")[0] == 204
    seqs = {}
    for message in topic.read():
        hit = hit_of(message)
        assert message.key.decode() == f"{hit['host']}|{hit['ip']}"
        assert message.partition == hits.home_of(hit["host"], hit["ip"], topic.partitions)
        assert hit["stream"].endswith(f"-{message.partition}")
        seqs.setdefault(hit["stream"], []).append(hit["seq"])
    assert sum(len(each) for each in seqs.values()) == 200
    assert all(each == list(range(1, len(each) + 1)) for each in seqs.values())


def test_a_repeated_id_is_published_once(programs, topic, crowd):
    collector = programs.collector(topic, journal__ack="kafka")
    mine = str(uuid.uuid4())
    answers = list(crowd.map(lambda _: collector.post(page(id=mine))[0], range(20)))
    assert answers == [204] * 20
    assert collector.post(page(id=mine))[0] == 204
    assert [hit_of(each)["id"] for each in topic.read()] == [mine]


def through_unix(path, request):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(path))
        connection.sendall(request)
        reply = http.client.HTTPResponse(connection)
        reply.begin()
        return reply.status


def test_published_messages_obey_the_schema(programs, topic, own_folder):
    mirror = own_folder / "mirror.sock"
    collector = programs.collector(topic, mirror__listen=f"unix:{mirror}")
    said = {"User_Agent": "Mozilla/5.0 (compatible; a robot)", "Accept_Language": "de-CH, fr;q=0.9", "Sec_GPC": "1",
            "X_Forwarded_For": "2001:db8::7"}
    assert collector.post(page(), **said)[0] == 204
    assert collector.post(page(referrer="https://example.org/", title="Ti\u0007tle \U0001F600", language="de", screen="1x1",
                               id=str(uuid.uuid4()), age=5000), **said)[0] == 204
    assert collector.post(page(title="x" * 9000, id="not a uuid"), **said)[0] == 204
    status, _, image = collector.request("GET", "/v1/hit.gif?url=https%3A%2F%2Fwww.example.org%2F&title=a+b")
    assert (status, image[:6]) == (200, b"GIF89a")
    assert collector.request("POST", "/v1/hits", "url=https%3A%2F%2Fshop.example%2Fform&referrer=",
                             {"Content-Type": "application/x-www-form-urlencoded"})[0] == 204
    assert through_unix(mirror, b"GET /v1/mirror HTTP/1.1\r\nHost: shop.example\r\nX-Original-URI: /a?b=c\r\n"
                                b"X-Real-IP: 81.2.69.160\r\nX-Forwarded-Proto: https\r\n\r\n") == 204
    wait_until(lambda: topic.count() == 6, "all six")
    schema = json.loads((TOP / "proto/hit.schema.json").read_text())
    validator_class = jsonschema.validators.validator_for(schema)
    validator_class.check_schema(schema)
    validator = validator_class(schema, format_checker=validator_class.FORMAT_CHECKER)
    messages = [hit_of(each) for each in topic.read()]
    for message in messages:
        validator.validate(message)
        json.loads(message["headers"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", message["event_time"])
    assert sorted(each["source"] for each in messages) == ["beacon"] * 4 + ["mirror", "pixel"]
    for harm in ({"ip": None}, {"seq": "1"}, {"event_time": "yesterday"}, {"stream": "x"}):  # it can say no
        with pytest.raises(jsonschema.ValidationError):
            validator.validate({**messages[0], **harm})


@pytest.mark.parametrize("ack", ["disk", "os", "memory"])
def test_without_a_broker_hits_wait_in_the_journal(programs, topic, kafka, ack):
    collector = programs.collector(topic, journal__ack=ack)
    assert collector.post(page(0))[0] == 204
    kafka.kill()
    try:
        for number in range(1, 20):
            assert collector.post(page(number))[0] == 204
        assert collector.fetch("/readyz")[0] == 200
        assert collector.metrics()["footfall_collector_journal_pending"] >= 19
    finally:
        kafka.start()
    wait_until(lambda: collector.metrics()["footfall_collector_journal_pending"] == 0, "everything is sent")
    assert sorted(hit_of(each)["url"] for each in topic.read()) == sorted(f"https://shop.example/page/{n}" for n in range(20))


def test_with_ack_kafka_a_silent_broker_is_503(programs, topic, kafka):
    collector = programs.collector(topic, journal__ack="kafka")
    mine = str(uuid.uuid4())
    assert collector.post(page(1))[0] == 204
    kafka.send_signal(signal.SIGSTOP)
    try:
        status, headers, reason = collector.post(page(2, id=mine))
        assert status == 503 and int(headers["retry-after"]) > 0 and b"Kafka did not confirm" in reason
    finally:
        kafka.send_signal(signal.SIGCONT)
    wait_until(lambda: collector.post(page(2, id=mine))[0] == 204, "the retry is answered")
    assert sorted(hit_of(each)["url"] for each in topic.read()) == [f"https://shop.example/page/{n}" for n in (1, 2)]


def test_a_topic_of_another_size_is_never_written_to(programs, topic):
    collector = programs.collector(topic, ready=False, kafka__partitions=7)
    wait_until(lambda: "12" in collector.fetch("/readyz")[1], "it says that the topic has 12 partitions")
    assert collector.fetch("/readyz")[0] == 503
    assert collector.post(page())[0] == 204  # it waits in the journal
    assert topic.count() == 0
    collector.stop_well()
    collector.config.write_text(collector.config.read_text().replace("partitions = 7", "partitions = 12"))
    collector.start_again()
    wait_until(lambda: topic.count() > 0, "it is sent")
    assert hit_of(topic.read()[0])["url"] == "https://shop.example/page/0"


def test_sigterm_answers_what_is_in_flight(programs, topic, kafka, crowd):
    collector = programs.collector(topic, journal__ack="kafka")
    assert collector.post(page(0))[0] == 204
    kafka.send_signal(signal.SIGSTOP)
    try:
        waiting = [crowd.submit(collector.post, page(number)) for number in range(1, 21)]
        wait_until(lambda: collector.metrics()["footfall_collector_requests_waiting"] == 20, "20 requests wait")
        collector.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses(collector.port), "it listens no more")
    finally:
        kafka.send_signal(signal.SIGCONT)
    assert [each.result()[0] for each in waiting] == [204] * 20
    assert collector.wait_left() == 0
    urls = [hit_of(each)["url"] for each in topic.read() if each.value]
    assert len(set(urls)) == len(urls) == 21


def refuses(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_sites_are_read_again_on_sighup(programs, topic):
    collector = programs.collector(topic)
    other = '{"url":"https://new.example/"}'
    assert collector.post(other)[0] == 403
    collector.config.write_text(collector.config.read_text().replace("shop.example,", "shop.example, new.example,"))
    collector.send_signal(signal.SIGHUP)
    wait_until(lambda: collector.post(other)[0] == 204, "new.example is taken")
    collector.config.write_text(collector.config.read_text().replace("new.example,", "not a host!,"))
    collector.send_signal(signal.SIGHUP)
    wait_until(lambda: "not a host" in collector.log_text(), "the bad list is refused")
    assert collector.post(other)[0] == 204
