"""Measures on an arm whose memory over time is written down by hand."""

import pyarrow as pa
import pytest

from hinting.errors import ReproduceError
from hinting.experiments import ArmResult, GuestResult
from hinting.reproduce.measures import MEASURES
from hinting.vm import Mark

GIB, SECOND = 1 << 30, 10**9
BASE = 2 * GIB


def guest(number, marks, **accounts):
    return GuestResult(number, 0.0, 0.0, 0, 0, 0, {}, {}, {}, accounts, [Mark(n, int(t * SECOND), 0, 0) for n, t in marks])


def arm():
    """Two guests.

    The first holds 1 GiB from 0 s, 5 GiB from 10 s, and gives 1.5 GiB back at 14 s, 1 GiB at 16 s, in two steps each.
    The second holds 3 GiB from 12 s to 15 s, then 1 GiB.
    """
    changes = [(0, 0, 1), (10, 0, 4), (12, 1, 3), (14, 0, -1), (14.01, 0, -0.5), (15, 1, -2), (16, 0, -0.5), (16.01, 0, -0.5)]
    resident, used, rows = [0.0, 0.0], 0.0, []
    for t, number, change in changes:
        resident[number] += change
        used += change
        rows.append((int(t * SECOND), number, int(resident[number] * GIB), BASE + int(used * GIB)))
    columns = zip(*rows, strict=True)
    timeline = pa.table(dict(zip(("t_ns", "guest", "guest_rss_bytes", "host_used_bytes"), columns, strict=True)))
    guests = [
        guest(0, [(1, 10), (3, 12), (1, 20), (3, 23)], guest_stall=2e9, vmm=1e9, guest_user=9e9),
        guest(1, [(1, 12), (3, 18)], guest_stall=0.5e9, stolen=4e9),
    ]
    return ArmResult("none", 2, guests, None, "", 30.0, 0.0, timeline, None, None)


@pytest.mark.parametrize(
    ("name", "arguments", "value"),
    [
        ("guests_fit", {}, 2),
        ("time_between", {"begin": 1, "end": 3}, 3),
        ("time_between", {"begin": 1, "end": 3, "guest": 1}, 6),
        ("resident_at", {"mark": 3, "guest": 1}, 1),
        ("resident_at", {"mark": 1, "guest": 1}, 3),
        ("resident_at", {"mark": 1, "guest": 1, "after": "2999ms"}, 3),
        ("resident_at", {"mark": 1, "guest": 1, "after": "3s"}, 1),
        ("peak", {}, 8),
        ("vmm_cpu", {}, 7.5),
        # from 10 s to 23 s: 5 GiB for 4 s, 4 for 0.01 s, 3.5 for 1.99 s, 3 for 0.01 s, 2.5 for 6.99 s; 3 GiB for 3 s, 1 for 8 s
        ("footprint", {"begin": 1, "end": 3}, (20 + 0.04 + 6.965 + 0.03 + 17.475 + 9 + 8) / 60),
    ],
    ids=str,
)
def test_by_hand(name, arguments, value):
    assert MEASURES[name](arm(), **arguments) == pytest.approx(value)


def test_passes():
    one = arm()
    one.guests[0] = guest(0, [(3, 12)])
    resident = [MEASURES["resident_after_pass"](one, mark=3, number=number) for number in (1, 2, 3)]
    assert resident == pytest.approx([3.5, 2.5, 2.5])
    assert MEASURES["time_of_last_pass"](one, mark=3) == pytest.approx(4.01)


def test_a_mark_that_was_never_set():
    with pytest.raises(ReproduceError, match="guest 0 set mark 7 0 times"):
        MEASURES["time_between"](arm(), begin=1, end=7)
