"""Each parameter of each strategy: both sides of its limits, other types, unknown names."""

import pytest

from hinting import strategies
from hinting.errors import StrategyError

SPECS = [strategies.V8, strategies.V8Stats, strategies.V8Posted]
RANGES = [(spec, name, rule) for spec in SPECS for name, rule in spec.parameters().items() if rule.choices is None]
CHOICES = [(spec, name, rule) for spec in SPECS for name, rule in spec.parameters().items() if rule.choices is not None]


def name_of(value):
    return value.name if isinstance(value, type) else value if isinstance(value, str) else ""


@pytest.mark.parametrize(("spec", "name", "rule"), RANGES, ids=name_of)
def test_both_sides_of_each_limit(spec, name, rule):
    for value in (rule.low, rule.high):
        assert getattr(spec(**{name: value}), name) == value
    for value in (rule.low - 1, rule.high + 1, float(rule.low), True, None, "x", [rule.low]):
        with pytest.raises(StrategyError, match=f"strategy {spec.name}: {name}"):
            spec(**{name: value})


@pytest.mark.parametrize(("spec", "name", "rule"), CHOICES, ids=name_of)
def test_choices(spec, name, rule):
    for value in rule.choices:
        assert getattr(spec(**{name: value}), name) == value
        assert getattr(strategies.find(spec.name, {name: str(value).upper()}), name) == value
    for value in ("x", "", 0, 1, None):
        with pytest.raises(StrategyError, match=f"{name} must be one of"):
            spec(**{name: value})


def test_text_from_a_command_line():
    spec = strategies.find("v8", {"entries": "500", "wake_latency": "2ms", "scan_drop_non_buddy": "true", "drain": "all"})
    assert (spec.entries, spec.wake_latency, spec.scan_drop_non_buddy, spec.drain) == (500, 2_000_000, True, "all")
    for name, value in [
        *(("entries", text) for text in ("5.5", "", "--5", "\u00b2", "0x10", "1_000")),
        *(("wake_latency", text) for text in ("soon", "-1ms", "1.5.5s")),
    ]:
        with pytest.raises(StrategyError, match=name):
            strategies.find("v8", {name: value})


def test_unknown_names():
    with pytest.raises(StrategyError, match=r"unknown strategy .v13., expected one of none, .*v8"):
        strategies.find("v13")
    with pytest.raises(StrategyError, match="unknown parameter 'size', expected one of entries"):
        strategies.find("v8", {"size": 1})
    with pytest.raises(StrategyError, match="strategy none has no parameters"):
        strategies.find("none", {"entries": 5})
    assert strategies.find("none") is None


def test_a_specification_does_not_change():
    spec = strategies.V8()
    with pytest.raises(AttributeError):
        spec.entries = 5
