# SPDX-License-Identifier: Apache-2.0
"""Both /metrics as Prometheus' own tool sees them, and what the counters say of a run that is known."""
import json
import subprocess

from bench import hits


def promtool(program):
    done = subprocess.run(["promtool", "check", "metrics"], input=program.fetch("/metrics")[1], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0 and not done.stdout.strip(), done.stdout


def test_metrics_are_well_formed_and_agree_with_the_tables(programs, topic, database):
    collector = programs.collector(topic)
    aggregator = programs.aggregator(topic, database)
    for number in range(50):
        assert collector.post(json.dumps({"url": f"https://shop.example/{number}"}))[0] == 204
    assert collector.post("{")[0] == 400
    collector.wait_drained()
    some = hits.make(500, seed=2)
    messages = list(hits.from_collectors(some, topic.partitions, 2, repeated=0))
    topic.produce([*messages, *messages[:100]])
    database.wait_stored(topic)
    promtool(collector)
    promtool(aggregator)
    taken, stored = collector.metrics(), aggregator.metrics()
    assert taken['footfall_collector_hits_taken_total{source="beacon"}'] == 50
    assert taken["footfall_collector_hits_delivered_total"] == 50
    assert taken['footfall_collector_requests_refused_total{reason="malformed"}'] == 1
    assert stored["footfall_messages_total"] == 650
    assert stored["footfall_hits_total"] == 550 == database.value("SELECT count(*) FROM processed_events")
    assert stored["footfall_duplicates_total"] == 100
    assert stored["footfall_partitions_held"] == topic.partitions
    assert stored["footfall_lag_messages"] == 0


def test_both_programs_say_whether_they_are_well(programs, topic, database):
    for program in (programs.collector(topic), programs.aggregator(topic, database)):
        assert program.fetch("/healthz")[0] == program.fetch("/readyz")[0] == 200
        assert program.fetch("/other")[0] == 404
