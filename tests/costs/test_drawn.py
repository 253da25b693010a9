"""Costs that vary: distributions, decks, streams, and runs with them."""

import json

import numpy as np
import pytest

import hinting
from hinting import costs
from hinting._core.costs import field_names, nr_cards
from hinting.costs.cards import HOST, cards, quantiles
from hinting.errors import CostError

SMALL = {"max_guests": 2, "guest_memory": "1GiB", "program": "600MiB", "host_memory": "4GiB"}


def column(deck, cost_id):
    return deck[:, field_names().index(cost_id.replace(".", "_"))]


def test_triangular_has_its_bounds_mean_and_mode():
    values = quantiles("triangular", 10, 20, 60, 100_000)
    assert values[0] >= 10
    assert values[-1] <= 60
    assert np.all(np.diff(values) > 0)
    assert values.mean() == pytest.approx((10 + 20 + 60) / 3, rel=1e-4)
    assert np.mean(values < 20) == pytest.approx((20 - 10) / (60 - 10), abs=1e-4)


@pytest.mark.parametrize(("low", "typical", "high"), [(10, 10, 60), (10, 60, 60)])
def test_triangular_with_its_mode_at_a_bound(low, typical, high):
    values = quantiles("triangular", low, typical, high, 10_000)
    assert values.mean() == pytest.approx((low + typical + high) / 3, rel=1e-3)


def test_lognormal_has_its_percentiles():
    values = quantiles("lognormal", 10, 20, 60, 100_000)
    assert [float(np.quantile(values, q)) for q in (0.01, 0.5, 0.99)] == pytest.approx([10, 20, 60], rel=1e-3)
    logs = np.log(values)
    assert logs[:50_000].mean() == pytest.approx(np.log(20) - np.log(2) / 2.3263 * np.sqrt(2 / np.pi), rel=1e-3)


@pytest.mark.parametrize("mode", ["triangular", "lognormal"])
def test_a_deck_has_each_distribution_exactly(mode):
    profile = costs.load(mode=mode)
    deck = cards(profile, 1, 0)
    assert deck.shape == (nr_cards(), len(field_names()))
    cost = costs.default_table().costs["fault.thp_alloc"]
    expected = quantiles(mode, cost.low, cost.typical, cost.high, nr_cards())
    assert np.array_equal(np.sort(column(deck, "fault.thp_alloc")), expected)
    assert abs(np.corrcoef(column(deck, "fault.thp_alloc"), column(deck, "mem.clear_2m"))[0, 1]) < 0.15
    assert set(column(deck, "fault.thp_alloc_high")) == {cost.high}


def test_sizes_sums_and_set_costs_are_constant():
    deck = cards(costs.load(overrides={"mem.clear_4k": 300}, mode="lognormal"), 1, 0)
    for cost_id, value in (("mem.clear_4k", 300), ("size.vmm_fixed_mib", 30), ("dev.nvme.qd", 64), ("virt.kick_total", 1600)):
        assert set(column(deck, cost_id)) == {value}
    assert len(set(column(deck, "mem.copy_4k"))) == nr_cards()


def test_a_profile_keeps_the_relative_spread():
    spread = {cost_id: (low, high) for cost_id, low, high in costs.load("xeon6252-hyperalloc", mode="triangular").spread}
    assert spread["fault.thp_alloc"] == (20_000 * 198 / 60, 200_000 * 198 / 60)
    assert spread["guest.pcp_alloc_hit"] == (25, 120)


def test_streams_follow_from_seed_and_guest():
    profile = costs.load(mode="triangular")
    assert np.array_equal(cards(profile, 1, 0), cards(profile, 1, 0))
    streams = [cards(profile, seed, number) for seed, number in ((1, 0), (1, 1), (2, 0), (1, HOST))]
    for i, one in enumerate(streams):
        assert not any(np.array_equal(one, other) for other in streams[:i])


@pytest.mark.parametrize("mode", ["typical", "low", "high"])
def test_columns_have_no_deck(mode):
    assert cards(costs.load(mode=mode), 1, 0) is None


def run(mode, seed=1, **changes):
    return hinting.run(hinting.Scenario.load("seed", SMALL | {"costs.mode": mode, "seed": seed} | changes, ["v8"]))


def values(result):
    return result.arms[0].metrics.to_pylist()


def test_runs_are_the_same_bytes_twice_and_differ_by_seed():
    assert values(run("lognormal")) == values(run("lognormal"))
    assert values(run("lognormal")) != values(run("lognormal", seed=2))
    assert values(run("lognormal")) != values(run("triangular"))


def test_drawn_costs_average_to_their_mean():
    """A guest that faults small pages in: its time follows the means of what such a fault costs."""
    bulk = {"guests.0.thp": "never", "guests.0.boot": False}
    at = {}
    for mode in ("typical", "triangular"):
        at[mode] = values(run(mode, **bulk))[0]["guest_time"]
    table = costs.default_table().costs
    names = ("guest.fault_path_4k", "mem.clear_4k", "virt.vm_exit_entry", "fault.gup_path_4k", "fault.tdp_map")
    expected = sum((table[n].low + table[n].typical + table[n].high) / 3 for n in names) / sum(table[n].typical for n in names)
    assert at["triangular"] / at["typical"] == pytest.approx(expected, rel=0.25)
    assert at["triangular"] > at["typical"]


def test_results_carry_profile_and_hash(tmp_path):
    from hinting.results.provenance import about

    scenario = hinting.Scenario.load("seed", SMALL | {"costs.mode": "triangular"}, ["none"])
    stamp = about("run", scenario)
    assert stamp["costs"] == {"profile": "default", "sha256": costs.load(mode="triangular").hash}
    assert json.loads(json.dumps(stamp))["scenario"]["costs"]["mode"] == "triangular"


def test_an_unknown_mode_is_refused():
    with pytest.raises(CostError, match="triangular, lognormal, got 'normal'"):
        costs.load(mode="normal")
