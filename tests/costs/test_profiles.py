"""Cost profiles: values, overrides, sums, hash, files of a calibration, and the struct of the cores."""

import math
import pickle
import tomllib
from importlib.resources import files

import pytest

from hinting import costs
from hinting._core.costs import SECTIONS, Costs, fields
from hinting.costs.profile import DRAWN
from hinting.errors import CostError, HintingError


def raw():
    return tomllib.loads(files("hinting.costs").joinpath("default.toml").read_text())


def test_struct_and_table_have_the_same_costs():
    table = {cost_id.replace(".", "_") for cost_id in costs.default_table().costs}
    assert {cost_id.partition(".")[0] for cost_id in costs.default_table().costs} == set(SECTIONS)
    assert {name for name in fields() if name in table} == table
    extra = fields() - table
    assert {name.removesuffix("_high") for name in extra} <= table
    assert all(name.endswith("_high") for name in extra)


def test_every_field_has_the_value_of_its_cost():
    compiled = Costs(costs.load())
    tree = raw()["cost"]
    for cost_id, cost in costs.default_table().costs.items():
        assert compiled[cost_id] == cost.typical
    assert compiled.as_dict()["fault_thp_alloc_high"] == tree["fault"]["thp_alloc"]["high"]


@pytest.mark.parametrize("change", [lambda items: items[1:], lambda items: (*items, ("guest.unheard_of", 1.0))])
def test_a_profile_with_other_costs_is_refused(change):
    profile = costs.load()

    class Other:
        name, hash, items, upper = "other", "", profile.items, profile.upper

    Other.items = change(profile.items)
    with pytest.raises(CostError, match="costs_t must have the same costs"):
        Costs(Other)


@pytest.mark.parametrize("mode", costs.MODES)
def test_modes_take_their_column(mode):
    profile = costs.load(mode=mode)
    for cost_id, cost in costs.default_table().costs.items():
        assert profile[cost_id] == getattr(cost, "typical" if mode in DRAWN else mode)


def test_named_profiles():
    assert costs.names() == ("default", "xeon6252-hyperalloc", "zen3-vm-example")
    profile = costs.load("xeon6252-hyperalloc")
    assert profile["fault.gup_path_4k"] == 1600
    assert profile["guest.pcp_alloc_hit"] == costs.load()["guest.pcp_alloc_hit"]
    assert "Xeon" in profile.description


def test_a_sum_follows_its_parts():
    assert costs.load("xeon6252-hyperalloc")["fault.ept_4k_total"] == 3600
    assert costs.load(overrides={"virt.vm_exit_entry": 5000})["virt.kick_total"] == 5600
    assert costs.load(overrides={"virt.vm_exit_entry": 5000, "virt.kick_total": 7})["virt.kick_total"] == 7


def test_overrides_win():
    profile = costs.load("xeon6252-hyperalloc", {"fault.gup_path_4k": 5})
    assert profile["fault.gup_path_4k"] == 5
    assert profile.overrides == (("fault.gup_path_4k", 5.0),)
    assert costs.load(overrides={"fault.thp_alloc": 300_000}).upper_values["fault.thp_alloc"] == 300_000


def test_hash_is_of_the_resolved_values():
    default = costs.load()
    assert default.hash == costs.load(overrides={"guest.pcp_alloc_hit": 60}).hash
    assert default.hash != costs.load(overrides={"guest.pcp_alloc_hit": 61}).hash
    assert len({costs.load(mode=mode).hash for mode in costs.MODES}) == 5
    assert len(default.hash) == 64


def test_a_profile_is_frozen_and_can_be_sent_to_another_process():
    profile = costs.load("zen3-vm-example")
    assert profile["mem.clear_4k"] == 370
    assert pickle.loads(pickle.dumps(profile)) == profile
    with pytest.raises(AttributeError):
        profile.name = "x"
    with pytest.raises(TypeError):
        profile.values["mem.clear_4k"] = 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"profile": "xeon"}, "costs.profile must be one of default, xeon6252-hyperalloc, .* got 'xeon'"),
        ({"profile": 3}, "costs.profile must be one of"),
        ({"mode": "median"}, "costs.mode must be one of typical, low, high, triangular, lognormal, got 'median'"),
        ({"overrides": {"guest.pcp_alloc": 1}}, "unknown cost .guest.pcp_alloc., did you mean .guest.pcp_alloc_hit."),
        ({"overrides": {"x": 1}}, r"costs.overrides: unknown cost 'x', expected one of guest\.\*, .*swap\.\*, [^,]*, size\.\*$"),
        ({"overrides": {"host.pcp_alloc_hit": 1}}, "did you mean 'guest.pcp_alloc_hit'"),
        ({"overrides": {"guest.pcp_alloc_hit": -1}}, "guest.pcp_alloc_hit must be a number of ns, 0 or more, got -1"),
        ({"overrides": {"guest.pcp_alloc_hit": math.nan}}, "must be a number of ns, 0 or more, got nan"),
        ({"overrides": {"guest.pcp_alloc_hit": math.inf}}, "got inf"),
        ({"overrides": {"guest.pcp_alloc_hit": "60"}}, "got '60'"),
        ({"overrides": {"guest.pcp_alloc_hit": True}}, "got True"),
        ({"overrides": {"size.struct_page_ratio": 1.1}}, "must be a fraction between 0 and 1, got 1.1"),
        ({"overrides": {"mem.stream_1t_gib_s": 0}}, "must be a number of GiB/s above 0, got 0"),
        ({"overrides": {"dev.nvme.qd": 1.5}}, "must be a whole number of requests, 1 or more, got 1.5"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(CostError, match=message):
        costs.load(**arguments)
    assert issubclass(CostError, HintingError)
    assert issubclass(HintingError, ValueError)


def test_unknown_id():
    with pytest.raises(CostError, match=r"unknown id 'x\.y'"):
        costs.load()["x.y"]
    with pytest.raises(CostError, match=r"unknown id 'x\.y'"):
        Costs(costs.load())["x.y"]


# Calibration files

HEAD = 'schema = 1\nname = "here"\n'


def write(tmp_path, text):
    path = tmp_path / "here.toml"
    path.write_text(text)
    return path


def test_a_calibration_file(tmp_path):
    path = write(tmp_path, HEAD + '[cost.mem.clear_4k]\ntypical = 321\nunit = "ns"\np10 = 300\nn = 50\n')
    for given in (path, str(path)):
        profile = costs.load(given, {"mem.clear_2m": 1})
        assert (profile.name, profile["mem.clear_4k"], profile["mem.clear_2m"]) == ("here", 321, 1)
        assert profile["guest.pcp_alloc_hit"] == 60
    assert costs.load(path, mode="low")["mem.clear_4k"] == 321


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema = ", "expected a readable TOML file"),
        ("schema = 2", "schema 2 is of a newer version"),
        ("schema = 0", "schema must be 1, got 0"),
        (HEAD + "costs = 1", "unknown key 'costs', expected one of cost, description"),
        (HEAD + "cost = 1", "cost must be a table, got 1"),
        (HEAD + "[cost.mem]\nclear_4k = 5", r"\[cost.mem\] must have the key typical|unknown key mem.clear_4k"),
        (HEAD + '[cost.mem.clear_4k]\ntypical = 1\nunit = "us"', "clear_4k.unit must be 'ns', got 'us'"),
        (HEAD + "[cost.mem.clear_4k]\nunit = 'ns'", r"\[cost.mem.clear_4k\] must have the key typical, got unit"),
        (HEAD + "[cost.mem.clear_4k]\ntypical = -3", "mem.clear_4k must be a number of ns, 0 or more, got -3"),
        (HEAD + "[cost.mem.clear_4k]\ntypicl = 3", "unknown key mem.clear_4k.typicl"),
        (HEAD + "[cost.mem.clear_8k]\ntypical = 3", "unknown cost 'mem.clear_8k'"),
    ],
)
def test_a_bad_calibration_file(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(CostError, match=message) as caught:
        costs.load(path)
    assert str(path) in str(caught.value)


def test_a_missing_calibration_file(tmp_path):
    with pytest.raises(CostError, match=r"nowhere\.toml: expected a readable TOML file"):
        costs.load(tmp_path / "nowhere.toml")
