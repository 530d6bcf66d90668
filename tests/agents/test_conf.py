"""The configuration: defaults, types, the command's options on top."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import override_settings

from agents import conf
from agents.budgets.shares import shares_of
from agents.conf import Config, build, configure, get_config
from agents.setting_values import ConfigError, UnknownKey, WrongType, WrongValue


@pytest.fixture(autouse=True)
def no_overrides():
    conf.reset_overrides()
    yield
    conf.reset_overrides()


def test_defaults_are_those_of_the_protocol():
    config = Config()
    assert (config.drain_seconds, config.max_runs, config.max_queued) == (10, 500, 10)
    assert (config.max_frame_bytes, config.inbound_frames, config.inbound_bytes) == (4 << 20, 32, 8 << 20)
    assert (config.heartbeat_seconds, config.stall_seconds, config.lease_seconds) == (25, 30, 15)
    assert (config.delta_interval_ms, config.grants_seconds, config.max_output_bytes) == (40, 2, 256 << 10)
    assert config.max_runs_per_agent is None
    assert config.llm == "openai"
    assert not (config.require_auth or config.allow_anonymous or config.debug)


def test_values_become_the_types_of_the_fields():
    config = build({"AGENTS": ["a.py"], "DATA_DIR": "/data", "DRAIN_SECONDS": 3, "MAX_RUNS_PER_AGENT": 2})
    assert config.agents == ("a.py",)
    assert config.data_dir == Path("/data")
    assert config.drain_seconds == 3
    assert config.max_runs_per_agent == 2


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"MAX_RUN": 1}, UnknownKey),
        ({"max_runs": 1}, UnknownKey),
        ({"MAX_RUNS": "5"}, WrongType),
        ({"MAX_RUNS": True}, WrongType),
        ({"MAX_RUNS": 1.5}, WrongType),
        ({"MAX_RUNS": None}, WrongType),
        ({"DEBUG": 1}, WrongType),
        ({"AGENTS": "a.py"}, WrongType),
        ({"AGENTS": [1]}, WrongType),
        ({"MAX_RUNS": 0}, WrongValue),
        ({"MAX_RUNS_PER_AGENT": 0}, WrongValue),
        ({"DRAIN_SECONDS": -1}, WrongValue),
        ({"STALL_SECONDS": float("inf")}, WrongValue),
        ({"HEARTBEAT_SECONDS": 0.0}, WrongValue),
        ({"LLM": "gpt"}, WrongValue),
        ({"LANGUAGE": "fr"}, WrongValue),
        ({"CURRENCY": "dollar"}, WrongValue),
        ({"CURRENCY": "usd"}, WrongValue),
        ({"USER_COST_PER_DAY": -1}, WrongValue),
        ({"TRUSTED_PROXIES": ["proxy.example"]}, WrongValue),
        ({"ALLOW_ORIGINS": ["app.example"]}, WrongValue),
        ({"ALLOW_ORIGINS": ["https://app.example/"]}, WrongValue),
    ],
)
def test_mistakes_are_refused_by_name(values, expected):
    with pytest.raises(expected) as caught:
        build(values)
    assert caught.value.key == next(iter(values))
    assert caught.value.hint


def test_a_language_may_be_named_as_systems_do():
    assert (build({"LANGUAGE": "zh_CN.UTF-8"}).language, build({"LANGUAGE": "en-US"}).language) == ("zh-hans", "en")


def test_every_configuration_can_be_looked_up_by():
    """What a process has one of is kept by it: of shares, for example."""
    config = build({"JWT_GROUPS": {"staff": "team"}})
    assert shares_of(config) is shares_of(config)


def test_zero_is_allowed_where_it_means_something():
    config = build({"DRAIN_SECONDS": 0, "MAX_QUEUED": 0, "DELTA_INTERVAL_MS": 0})
    assert (config.drain_seconds, config.max_queued, config.delta_interval_ms) == (0, 0, 0)


def test_origins_may_be_null():
    assert build({"ALLOW_ORIGINS": ["null", "https://app.example:8443"]}).allow_origins[0] == "null"


def test_trusted_networks_are_parsed():
    networks = build({"TRUSTED_PROXIES": ["10.0.0.0/8", "::1"]}).trusted_networks
    assert [str(network) for network in networks] == ["10.0.0.0/8", "::1/128"]


def test_changed_settings_are_noticed():
    before = get_config()
    assert get_config() is before
    with override_settings(MYAGENT={"MAX_RUNS": 7}):
        assert get_config().max_runs == 7
    assert get_config().max_runs == before.max_runs


def test_options_go_on_top_and_stay_there():
    configure(drain_seconds=1.5)
    with override_settings(MYAGENT={"MAX_RUNS": 7, "DRAIN_SECONDS": 9}):
        assert (get_config().max_runs, get_config().drain_seconds) == (7, 1.5)


def test_a_bad_option_changes_nothing():
    before = get_config()
    with pytest.raises(ConfigError):
        configure(drain_seconds=-1)
    assert get_config() is before
