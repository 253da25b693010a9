"""A strategy that does what none may do is stopped with one message that says where; the guest is sound after it."""

from __future__ import annotations

import time

import numpy as np
import pytest

import hinting
from hinting import Guest, Host, Simulation, workloads
from hinting.errors import StrategyError

from .harness import assert_sound, churn

BOTH = pytest.mark.parametrize("numba", [pytest.param(False, id="python"), pytest.param(True, id="numba")])


def state(self):
    return {"n": "i8", "pages": ("u4", 4)}


def make(numba, **body):
    """A strategy class from hooks written here as functions."""
    if numba:
        pytest.importorskip("numba")
        body["state"] = state
    else:
        body.setdefault("batch", 1)     # a call a page, as in Numba
        body["n"] = 0
    return hinting.strategy(numba=numba)(type("Bad", (), body))


def line_of(hook, offset=1):
    return f"test_borders.py:{hook.__code__.co_firstlineno + offset}"


def stopped(strategy, run=churn):
    """The message with which running a guest ends; the guest is sound and works on without the strategy."""
    guest = Guest("1GiB", strategy=strategy())
    with pytest.raises(StrategyError) as caught:
        run(guest)
    assert guest.strategy_core.is_stopped
    assert_sound(guest)
    churn(guest)
    assert_sound(guest)
    return str(caught.value)


# -- the bodies: what no strategy may do -------------------------------------------------------------------------------

def raises(self, guest, cpu, pfn, order):
    raise ValueError("too many pages")

def misaligned(self, guest, cpu, pfn, order):
    guest.isolate(7, 3)

def impossible_order(self, guest, cpu, pfn, order):
    guest.isolate(0, 11)

def no_page(self, guest, cpu, pfn, order):
    guest.block(-8)

def far_page(self, guest, cpu, pfn, order):
    guest.page(1 << 40)

def not_free(self, guest, cpu, pfn, order):
    guest.isolate(pfn, 0)

def not_its_own(self, guest, cpu, pfn, order):
    guest.put_back(pfn, 0)

def for_ever(self, guest, cpu, pfn, order):
    while True:
        guest.block(5)

def wakes(self, guest, cpu, pfn, order):
    guest.wake()

def drains(self, guest, cpu, pfn, order):
    guest.drain(7)

def not_done(self, guest, cpu, pfn, order):
    guest.put_back_all(7)

def wrong_zone(self, guest, cpu, pfn, order):
    guest.first(9, 1, 10)

def twice(self, guest, cpu, pfn, order):
    block = guest.first(2, 1, 10) if guest.free_blocks(2, 10) else guest.first(1, 1, 10)
    if guest.isolate(block, 10):
        guest.isolate(block, 10)

def leaks(self, guest, cpu, pfn, order):
    block = guest.first(2, 1, 10) if guest.free_blocks(2, 10) else guest.first(1, 1, 10)
    guest.isolate(block, 10)

def reports(self, guest, cpu, pfn, order):
    self.n += 1
    if self.n == 100:
        block = guest.first(2, 1, 10) if guest.free_blocks(2, 10) else guest.first(1, 1, 10)
        if guest.isolate(block, 10):
            guest.report()

def keeps(self, guest, cpu, ticket):
    pass


WRONG = [
    (raises, "raised ValueError: too many pages"),
    (misaligned, "asked for isolate(7, order 3): expected a pfn that is a multiple of 8"),
    (impossible_order, "asked for isolate with order 11: expected 0 to 10"),
    (no_page, "asked for block with pfn -8: expected 0 to 262143"),
    (far_page, "asked for page with pfn 1099511627776: expected 0 to 262143"),
    (not_free, "expected a free block of this order, it is being freed"),
    (not_its_own, "expected a block that this call isolated or, in on_host_done, a block of its report; "
                  "it is being freed"),
    (wakes, "woke the CPU's thread: expected a strategy with an on_thread hook"),
    (drains, "asked for drain(7): expected a CPU from 0 to 0"),
    (not_done, "asked for put_back_all with ticket 7: expected the ticket that on_host_done was given"),
    (wrong_zone, "asked for first with zone 9: expected 0 to 3"),
]


@BOTH
@pytest.mark.parametrize(("hook", "message"), WRONG, ids=[hook.__name__ for hook, _ in WRONG])
def test_a_wrong_request_names_strategy_hook_line_and_what_is_legal(numba, hook, message):
    text = stopped(make(numba, on_free=hook))
    assert text.startswith(f"strategy bad: on_free on CPU 0 ({line_of(hook)}) ")
    assert text.endswith(message)


@BOTH
def test_a_block_isolated_twice(numba):
    text = stopped(make(numba, on_free=twice))
    assert "test_borders.py" in text
    assert "expected a free block of this order, it is isolated (a block of order 10)" in text


@BOTH
def test_an_isolated_block_that_nobody_would_return(numba):
    text = stopped(make(numba, on_free=leaks))
    assert "returned with 1 isolated block(s), the first (pfn " in text
    assert text.endswith("order 10): expected report() or put_back() for each")


@BOTH
def test_a_report_that_on_host_done_does_not_put_back(numba):
    def run(guest):
        churn(guest)
        assert guest.strategy_core.complete_submitted() == 1

    text = stopped(make(numba, on_free=reports, on_host_done=keeps), run)
    assert "on_host_done on CPU 0" in text
    assert "returned without putting back 1 block(s) of its report" in text


@BOTH
def test_without_on_host_done_reports_are_put_back(numba):
    guest = Guest("1GiB", strategy=make(numba, on_free=reports)())
    churn(guest)
    assert guest.strategy_core.complete_submitted() == 1
    assert_sound(guest)


@BOTH
def test_an_endless_loop_of_requests_ends_with_the_budget(numba):
    text = stopped(make(numba, on_free=for_ever, step_budget=1000))
    assert f"({line_of(for_ever, 2)}) made more than 1000 requests in one call" in text


@BOTH
def test_on_merged_may_not_drain(numba):
    def puts(self, guest, cpu, pfn, order):
        guest.drain(cpu)

    text = stopped(make(numba, on_merged=puts))
    assert "on_merged on CPU 0" in text
    assert "runs in the middle of a free and must leave per-CPU lists alone" in text


@BOTH
def test_a_simulation_stops_and_can_go_on_without_the_strategy(numba):
    def late(self, guest, cpu, pfn, order):
        self.n += 1
        if self.n > 5000:
            raise RuntimeError("late")

    sim = Simulation(Host("4GiB"), seed=1)
    good = sim.launch(Guest("1GiB"), workload=workloads.memhog("64MiB"))
    bad = sim.launch(Guest("1GiB", strategy=make(numba, on_free=late)(), thp="never"),
                     workload=workloads.memhog("64MiB"))
    with pytest.raises(StrategyError, match=r"strategy bad: on_free .*raised RuntimeError: late"):
        sim.run()
    assert_sound(bad.guest)
    sim.run()
    assert good.is_idle
    assert bad.is_idle
    sim.check()
    assert_sound(bad.guest)


@BOTH
def test_a_report_under_way_when_its_strategy_is_stopped(numba):
    def report_then_raise(self, guest, cpu, pfn, order):
        self.n += 1
        if self.n == 3000:
            block = guest.first(2, 1, 10) if guest.free_blocks(2, 10) else guest.first(1, 1, 10)
            if guest.isolate(block, 10):
                guest.report()
        if self.n == 3400:
            raise RuntimeError("late")

    sim = Simulation(Host("4GiB"), seed=1)
    vm = sim.launch(Guest("1GiB", strategy=make(numba, on_free=report_then_raise)(), thp="never"),
                    workload=workloads.memhog("64MiB"))
    with pytest.raises(StrategyError, match="late"):
        sim.run()
    assert_sound(vm.guest)
    sim.run()
    assert vm.is_idle
    sim.check()


# -- Python only -------------------------------------------------------------------------------------------------------

def test_a_python_loop_without_requests_is_ended_by_the_watchdog():
    def endless(self, guest, cpu, pfns, orders):
        while True:
            pass

    began = time.monotonic()
    text = stopped(make(False, on_free=endless, batch=64, time_limit_s=0.2))
    assert "did not return in time: it seems to loop for ever (time_limit_s)" in text
    assert time.monotonic() - began < 5


def test_a_page_at_a_time_the_watchdog_ends_only_what_is_late():
    """Calls that are many and short are not taken for one that is long."""
    def endless(self, guest, cpu, pfn, order):
        self.n += 1
        while self.n == 50_000:
            pass

    calm = make(False, on_free=lambda self, guest, cpu, pfn, order: None, time_limit_s=0.01)
    guest = Guest("1GiB", strategy=calm())
    began = time.monotonic()
    while time.monotonic() - began < 0.7:
        guest.strategy_core.feed(np.arange(20_000, dtype=np.uint32))
    busy = Guest("1GiB", strategy=make(False, on_free=endless, time_limit_s=0.2)())
    with pytest.raises(StrategyError, match="did not return in time"):
        busy.strategy_core.feed(np.arange(100_000, dtype=np.uint32))
    assert_sound(busy)


def test_a_hook_cannot_catch_the_end_of_its_strategy():
    def stubborn(self, guest, cpu, pfns, orders):
        while True:
            try:
                guest.block(-1)
            except Exception:
                continue

    assert "asked for block with pfn -1" in stopped(make(False, on_free=stubborn, batch=64))


def test_an_interrupt_from_the_keyboard_stays_one():
    def interrupted(self, guest, cpu, pfns, orders):
        raise KeyboardInterrupt

    guest = Guest("1GiB", strategy=make(False, on_free=interrupted, batch=64)())
    with pytest.raises(KeyboardInterrupt):
        churn(guest)
    assert_sound(guest)


def test_the_guest_of_a_hook_is_of_no_use_afterwards():
    def hold(self, guest, cpu, pfns, orders):
        self.kept = guest

    guest = Guest("1GiB", strategy=make(False, on_free=hold, batch=64)())
    churn(guest)
    with pytest.raises(StrategyError, match="only while the hook runs"):
        guest.strategy_core.owner.policy.kept.n_pages()


# -- Numba only --------------------------------------------------------------------------------------------------------

def test_an_index_outside_an_array_is_an_error():
    def outside(self, guest, cpu, pfn, order):
        self.pages[self.n] = pfn
        self.n += 1

    assert "raised IndexError: index is out of bounds" in stopped(make(True, on_free=outside))


# -- classes that are no strategy --------------------------------------------------------------------------------------

def wrong_method(self, guest, cpu, pfn, order):
    guest.isolat(pfn, order)

def wrong_count(self, guest, cpu, pfn, order):
    guest.isolate(pfn)

def wrong_type(self, guest, cpu, pfn, order):
    guest.isolate(pfn, 1.5)

def wrong_field(self, guest, cpu, pfn, order):
    self.absent = 1

def wrong_name(self, guest, cpu, pfn, order):
    print(undefined)  # noqa: F821


@pytest.mark.parametrize(("hook", "message"), [
    (wrong_method, "guest has no isolat, expected one of block, page, isolate, "),
    (wrong_count, "guest.isolate takes (pfn, order)"),
    (wrong_type, "guest.isolate takes whole numbers, got int64, float64"),
    (wrong_field, "self has no field 'absent', expected one of n, pages"),
    (wrong_name, "undefined"),
])
def test_a_hook_that_does_not_compile(hook, message):
    with pytest.raises(StrategyError) as caught:
        Guest("1GiB", strategy=make(True, on_free=hook)())
    assert str(caught.value).startswith("strategy bad: on_free (test_borders.py:")
    assert "does not compile: " in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_signature_says_the_legal_one():
    def on_free(self, guest, pfn):
        pass

    for numba, legal in ((True, "pfn, order"), (False, "pfns, orders")):
        with pytest.raises(StrategyError) as caught:
            hinting.strategy(numba=numba)(type("Bad", (), {"on_free": on_free}))
        assert str(caught.value) == (f"strategy bad: on_free ({line_of(on_free, 0)}) must be "
                                     f"on_free(self, guest, cpu, {legal}), got on_free(self, guest, pfn)")


@pytest.mark.parametrize(("body", "message"), [
    ({"on_fre": raises}, r"unknown hook on_fre \(test_borders.py:\d+\), expected one of on_free, "),
    ({}, "no hook that anything calls, expected at least one of on_free"),
    ({"on_thread": keeps}, "on_thread"),
    ({"on_free": 3}, "on_free must be a function, got 3"),
    ({"on_free": raises, "name": "a b"}, "strategy name must be letters, digits, - and _, got 'a b'"),
    ({"on_free": raises, "__init__": lambda self: None}, "use setup"),
])
def test_a_class_that_is_no_strategy(body, message):
    with pytest.raises(StrategyError, match=message):
        hinting.strategy(type("Bad", (), body))


@pytest.mark.parametrize(("setting", "message"), [
    ({"call_pages": -1}, "call_pages must be a whole number of at least 0, got -1"),
    ({"batch": 0}, "batch must be a whole number of at least 1, got 0"),
    ({"host_action": "burn"}, "host_action must be one of dontneed, ignore, got 'burn'"),
    ({"timer_ns": 5}, "on_timer and timer_ns belong together"),
    ({"time_limit_s": 0}, "time_limit_s must be a number above 0, got 0"),
])
def test_a_setting_out_of_range(setting, message):
    with pytest.raises(StrategyError, match=message):
        Guest("1GiB", strategy=make(False, on_free=raises, **setting)())
