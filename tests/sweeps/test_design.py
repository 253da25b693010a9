"""What points a sweep file makes."""

import numpy as np
import pytest

from hinting.errors import SweepError
from hinting.sweeps import Design, Sweep
from hinting.sweeps.axes import axis_values, sampled
from hinting.sweeps.design import scenario_of
from hinting.sweeps.where import compile_filter

SEED = {"name": "test", "scenario": "seed", "set": {"max_guests": 1}}


def design(**more):
    return Design(Sweep.model_validate(SEED | more))


def rows(made, *names):
    return [tuple(point.axes[name] for name in names) for point in made.points]


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ([1, "a", 1], [1, "a"]),
        ({"from": 1, "to": 7, "step": 2}, [1, 3, 5, 7]),
        ({"from": 1, "to": 6, "step": 2}, [1, 3, 5]),
        ({"from": 0.0, "to": 0.3, "step": 0.1}, [0.0, 0.1, 0.2, pytest.approx(0.3)]),
        ({"from": 10, "to": 1000, "points": 3, "log": True}, [10, 100, 1000]),
        ({"from": "1us", "to": "1ms", "points": 4, "log": True}, [1000, 10_000, 100_000, 1_000_000]),
        ({"from": "1GiB", "to": "2GiB", "step": "512MiB"}, [1 << 30, 3 << 29, 1 << 31]),
        ({"from": "1MiB", "to": "1.01MiB", "points": 3}, [256 << 12, 257 << 12, 259 << 12]),
        ({"from": 1, "to": 2, "points": 9}, [1, 2]),
    ],
)
def test_values_of_an_axis(given, values):
    assert axis_values(given) == values


def test_product_has_the_first_axis_outermost_and_repeats_innermost():
    made = design(axes={"thp": ["always", "never"], "strategy": ["v8", "none"]}, repeats=2)
    assert rows(made, "thp", "strategy") == [
        (thp, strategy) for thp in ("always", "never") for strategy in ("v8", "none") for _ in range(2)
    ]
    assert [point.repeat for point in made.points] == [0, 1] * 4
    assert [point.number for point in made.points] == list(range(8))


def test_paths_may_stand_without_quotes(tmp_path):
    text = """scenario = "seed"
[set]
v8.drain = "off"
[axes]
strategy = ["v8"]
guests.0.memory = ["1GiB", "2GiB"]
v8.entries = { from = 100, to = 200, step = 100 }
"""
    quoted = text
    for path in ("v8.drain", "guests.0.memory", "v8.entries"):
        quoted = quoted.replace(path, f'"{path}"')
    made = []
    for each in (text, quoted):
        (tmp_path / "same.toml").write_text(each)
        made.append(Design(Sweep.load(tmp_path / "same.toml")))
    assert made[0].axes == ("strategy", "guests.0.memory", "v8.entries")
    assert made[0].points == made[1].points
    assert made[0].points[0].strategy == {"name": "v8", "drain": "off", "entries": 100}


def test_zip_goes_together_and_multiplies():
    together = {"program": ["1GiB", "2GiB"], "vcpus": [1, 2]}
    made = design(zip=[together], axes={"thp": ["always", "never"]}, set=SEED["set"] | {"strategy": "none"})
    assert rows(made, "program", "vcpus", "thp") == [
        (*pair, thp) for thp in ("always", "never") for pair in (("1GiB", 1), ("2GiB", 2))
    ]


def test_the_scenarios_strategies_are_an_axis():
    made = design()
    assert rows(made, "strategy") == [("none",), ("v8",)]
    assert made.axes == ("strategy",)


def test_a_parameter_belongs_to_its_strategy():
    made = design(axes={"strategy": ["none", "v8", "v10", {"name": "v8", "drain": "off"}], "v8.entries": [100, 200]})
    assert rows(made, "strategy", "v8.entries") == [
        ("none", None), ("v8", 100), ("v8", 200), ("v10", None), ("v8:drain=off", 100), ("v8:drain=off", 200),
    ]  # fmt: skip
    assert made.same == 2
    assert made.points[-1].strategy == {"name": "v8", "drain": "off", "entries": 200}
    assert scenario_of(made.document, made.points[1]).arms()["v8"].parameters == {"entries": 100}


def test_a_parameter_of_every_strategy_that_has_it():
    made = design(axes={"strategy": ["none", "v8", "v8-stats"], "*.entries": [100]})
    assert rows(made, "strategy", "*.entries") == [("none", None), ("v8", 100), ("v8-stats", 100)]


def test_columns_have_types_and_units():
    made = design(
        axes={"strategy": ["v8"], "v8.wake_latency": ["1us", "2ms"], "program": {"from": "1GiB", "to": "2GiB", "points": 2},
              "thp": ["never"], "host.thp": [True, False], "fragmentation": [0, 0.5], "guest_memory": ["5GiB"]}
    )  # fmt: skip
    assert made.columns == {
        "strategy": ("string", ""), "v8.wake_latency": ("int64", "ns"), "program": ("int64", "bytes"), "thp": ("string", ""),
        "host.thp": ("bool", ""), "fragmentation": ("double", ""), "guest_memory": ("int64", "bytes"),
    }  # fmt: skip


@pytest.mark.parametrize("method", ["random", "latin-hypercube"])
def test_samples_lie_between_their_limits(method):
    sample = {"method": method, "points": 40, "axes": {"program": {"from": "1GiB", "to": "4GiB"}, "thp": ["always", "never"],
              "v8.entries": {"from": 10, "to": 1000, "log": True}}}  # fmt: skip
    made = design(sample=[sample], axes={"strategy": ["v8"]})
    programs, entries = zip(*rows(made, "program", "v8.entries"), strict=True)
    assert all(1 << 30 <= program <= 4 << 30 and program % 4096 == 0 for program in programs)
    assert all(10 <= entry <= 1000 for entry in entries)
    assert 10 <= sum(entry < 100 for entry in entries) <= 30
    strata = np.unique(((np.array(programs) - (1 << 30)) * 40) // (3 << 30))
    assert (len(strata) >= 39) == (method == "latin-hypercube")
    again = design(sample=[sample], axes={"strategy": ["v8"]})
    assert [point.key for point in again.points] == [point.key for point in made.points]
    other = design(sample=[sample], axes={"strategy": ["v8"]}, seed=1)
    assert rows(other, "program") != rows(made, "program")


def test_sampled_lists_use_every_item():
    assert sampled(["a", "b"], np.array([0.0, 0.49, 0.5, 0.999])) == ["a", "a", "b", "b"]


def test_seeds_are_shared_own_or_given():
    axes = {"thp": ["always", "never"], "strategy": ["none"]}
    shared = [point.seed for point in design(axes=axes, repeats=3).points]
    assert shared[:3] == shared[3:]
    assert len(set(shared)) == 3
    child = np.random.SeedSequence(0).spawn(2)[1].spawn(3)[2]
    assert shared[2] == int(child.generate_state(1, np.uint64)[0]) >> 1
    own = [point.seed for point in design(axes=axes, repeats=3, seeds="own").points]
    assert len(set(own)) == 6
    assert [point.seed for point in design(axes=axes, seeds=[7, 9]).points] == [7, 9, 7, 9]


@pytest.mark.parametrize("seeds", ["shared", "own"])
def test_a_point_depends_on_its_own_key_alone(seeds):
    def by_key(strategies, entries, repeats):
        made = design(axes={"strategy": strategies, "v8.entries": entries}, repeats=repeats, seeds=seeds)
        return {point.key: point for point in made.points}

    small, large = by_key(["v8"], [100, 300], 2), by_key(["none", "v8"], [200, 300, 100], 3)
    assert small.keys() < large.keys()
    assert all(large[key].seed == point.seed and large[key].strategy == point.strategy for key, point in small.items())


def test_filters():
    made = design(axes={"program": ["1GiB", "2GiB", "4GiB"], "strategy": ["none", "v8"], "v8.entries": [100, 1000]},
                  where=['program < "4GiB"', 'strategy == "none" or v8.entries >= 1000'])  # fmt: skip
    assert rows(made, "program", "strategy", "v8.entries") == [
        ("1GiB", "none", None), ("1GiB", "v8", 1000), ("2GiB", "none", None), ("2GiB", "v8", 1000),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "admitted"),
    [
        ('thp == "always"', True), ('thp in ("never", "no")', False), ("not vcpus > 2", True), ("1 < vcpus <= 2", True),
        ("vcpus * 2 + 1 == 5 and vcpus % 2 == 0", True), ("-vcpus < -1", True), ("v8.entries > 1", False),
        ("v8.entries == None", True), ("guests.0.memory == 1024 * 1024", True),
        ('thp == "vcpus"', False), ("wait == '1ms'", True),
    ],
)  # fmt: skip
def test_filter_expressions(text, admitted):
    values = {"thp": "always", "vcpus": 2, "v8.entries": None, "guests.0.memory": "1MiB", "wait": 1_000_000}
    assert compile_filter(text, list(values))(values) is admitted


NO_FILTERS = ["", "thp =", "__import__('os')", "thp.upper()", "unknown == 1", "[x for x in thp]", "thp[0]", "lambda: 1"]


@pytest.mark.parametrize("text", NO_FILTERS)
def test_what_is_no_filter(text):
    with pytest.raises(SweepError, match="where "):
        compile_filter(text, ["thp"])


BAD = [
    ({"axes": {"nothing": [1]}}, r"axis nothing: names no field, expected one of host_memory, .*or STRATEGY\.PARAMETER"),
    ({"axes": {"guests.0.nothing": [1]}}, r"axis guests.0.nothing: 1 is in no legal point: .*unknown key"),
    ({"axes": {"guests.7.memory": ["1GiB"]}}, r"axis guests.7.memory.*has 1 items"),
    ({"axes": {"thp": ["always", "sometimes"]}}, r'axis thp: "sometimes" is in no legal point'),
    ({"axes": {"v10.bitmap": [1]}}, r"axis v10.bitmap: names no field, and 'v10' is no strategy of this sweep \(none, v8\)"),
    ({"axes": {"v8.nothing": [1]}}, r"axis v8.nothing: unknown parameter 'nothing', expected one of entries"),
    ({"axes": {"v8.entries": [1]}}, r"axis v8.entries: 1 is in no legal point: .*between 2 and"),
    ({"axes": {"strategy": ["v99"]}}, r"axis strategy: unknown strategy 'v99'"),
    ({"axes": {"strategy": [3]}}, r"axis strategy: expected a name"),
    ({"axes": {"thp": ["never"], "guests.0.thp": ["always"]}}, r"axis guests.0.thp: guests.0.thp has another axis"),
    ({"axes": {"max_guests": [1, 2]}}, r"axis max_guests: guests.0.count has another axis, or a value in set"),
    ({"set": {"seeds": "own"}}, r"set seeds: names no field"),
    ({"axes": {"guests": {"0": {"memory": ["1GiB"]}}, "guests.0.memory": ["2GiB"]}}, r"guests.0.memory is there twice"),
    ({"axes": {"seed": [1, 2]}}, r"axis seed: expected repeats = N or seeds"),
    ({"axes": {"name": ["a", "b"]}}, r"axis name: changes no run"),
    ({"where": "strategy == 'v7'"}, r"the design has no points"),
    ({"scenario": "nothing"}, r"unknown scenario 'nothing'"),
]


@pytest.mark.parametrize(("more", "words"), BAD, ids=[str(index) for index in range(len(BAD))])
def test_bad_designs(more, words):
    with pytest.raises(ValueError, match=words):
        design(**more)


BAD_FILES = [
    ("", "scenario: is missing"),
    ("scenario = 'seed'\naxis = {}", "axis: unknown key, expected one of name, text"),
    ("scenario = 'seed'\nrepeats = 0", "repeats: expected greater than or equal to 1|repeats: .*1.*got 0"),
    ("scenario = 'seed'\n[axes]\nthp = []", "axes.thp: has no values"),
    ("scenario = 'seed'\n[axes]\nthp = 'always'", "axes.thp: expected a list of values or a range"),
    ("scenario = 'seed'\n[axes]\nvcpus = {from = 1}", "axes.vcpus: a range needs from and to"),
    ("scenario = 'seed'\n[axes]\nvcpus = {from = 1, to = 2}", "axes.vcpus: a range needs step or points"),
    ("scenario = 'seed'\n[axes]\nvcpus = {from = 2, to = 1, step = 1}", "from must be no more than to"),
    ("scenario = 'seed'\n[axes]\nvcpus = {from = 0, to = 1, points = 3, log = true}", "from must be above 0"),
    ("scenario = 'seed'\n[axes]\nprogram = {from = '1GiB', to = '2s', points = 3}", "not of one unit"),
    ("scenario = 'seed'\n[axes]\nprogram = {from = '1GiB', to = '2GiB', step = 0}", "step: expected above 0"),
    ("scenario = 'seed'\n[axes]\nprogram = {from = '1GiB', to = 'x', step = 1}", "to: expected a number, a size"),
    ("scenario = 'seed'\n[[zip]]\nthp = ['never']\nvcpus = [1, 2]", "zip: .*equally many values.*thp has 1, vcpus has 2"),
    ("scenario = 'seed'\n[[sample]]\npoints = 3\naxes = {vcpus = {from = 1, to = 2, step = 1}}", "limits of samples"),
    ("scenario = 'seed'\nseeds = [1]\nrepeats = 2", "seeds: expected at least one seed, and no repeats"),
    ("scenario = ", "not valid TOML"),
]


@pytest.mark.parametrize(("text", "words"), BAD_FILES, ids=[str(index) for index in range(len(BAD_FILES))])
def test_bad_files(tmp_path, text, words):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(SweepError, match=words) as caught:
        Sweep.load(path)
    assert str(path) in str(caught.value)
