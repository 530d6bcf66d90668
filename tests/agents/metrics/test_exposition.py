"""What Prometheus reads: names, types and units by its rules."""

from __future__ import annotations

import re

import pytest

from agents.metrics.instruments import Histogram, LabelledCounter
from agents.metrics.measures import ALL, close_code
from agents.metrics.snapshot import Snapshot
from tests.support.services import module

parser = module("prometheus_client.parser", extra="metrics")
UNBOUNDED = {"user", "session", "run", "connection", "address", "token", "trace"}


def exposed(snapshot: Snapshot, accept: str = "text/plain", *, of_one_process: bool = True):
    from agents.metrics.exposition import written

    kind, text = written(snapshot, accept, of_one_process=of_one_process)
    return kind, text.decode()


def test_what_was_counted_is_read_back():
    some = Histogram("myagent_commit_duration_seconds", "", bounds=(0.1, 1.0))
    for value in (0.05, 0.5, 5):
        some.observe(value)
    known = next(one for one in ALL if one.name == some.name)
    seen = some.values[()]
    seen.counts += [0] * (len(known.bounds) + 1 - len(seen.counts))
    snapshot = Snapshot(
        counters={"myagent_refusals_total": {("bad_json",): 2}, "process_cpu_seconds_total": {(): 1.5}},
        gauges={"myagent_connections": {("websocket",): 3}, "process_open_fds": {(): 9}},
        histograms={some.name: {(): seen}},
    )
    kind, text = exposed(snapshot)
    assert kind.startswith("text/plain")
    families = {family.name: family for family in parser.text_string_to_metric_families(text)}
    assert families["myagent_connections"].samples[0].value == 3
    assert families["myagent_refusals"].samples[0].labels == {"code": "bad_json"}
    assert families["process_cpu_seconds"].samples[0].value == 1.5
    assert families["process_open_fds"].samples[0].value == 9
    (build,) = families["myagent_build_info"].samples
    assert build.value == 1 and set(build.labels) == {"version", "python"}
    buckets = [sample.value for sample in families[some.name].samples if sample.name.endswith("_bucket")]
    assert buckets == sorted(buckets) and buckets[-1] == 3
    assert families["myagent_commit_retries"].samples[0].value == 0, "known before the first one"
    assert "python_gc_objects_collected" in families
    assert "_created" not in text
    assert "python_gc_objects_collected" not in exposed(snapshot, of_one_process=False)[1]
    assert exposed(snapshot, "application/openmetrics-text; version=1.0.0")[1].endswith("# EOF\n")


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
def test_names_follow_the_rules(one):
    assert re.fullmatch(r"myagent_[a-z_]+", one.name) and one.text.endswith(".")
    assert isinstance(one, LabelledCounter) == one.name.endswith("_total")
    assert not isinstance(one, Histogram) or one.name.endswith("_seconds") and list(one.bounds) == sorted(one.bounds)
    assert not {*one.labels} & {*UNBOUNDED, "le", "quantile"}


def test_names_are_there_once():
    names = [one.name for one in ALL]
    assert len(set(names)) == len(names) > 30


@pytest.mark.parametrize(("code", "label"), [(1000, "1000"), (4408, "4408"), (None, "1006"), (4999, "other")])
def test_close_codes_are_few(code, label):
    assert close_code(code) == label
