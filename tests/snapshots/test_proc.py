"""Guests from /proc of a machine: the files come out again as they went in; files that are wrong."""

import numpy as np
import pytest

import hinting as h
from hinting.errors import ScenarioError, SnapshotError
from tests.strategies.harness import hinting_command

#: A machine that has run for long: 10 GiB free in small pieces.
BUDDYINFO = """\
Node 0, zone      DMA      0      0      0      0      0      0      0      0      1      1      3
Node 0, zone    DMA32      3      3      0      2      3      2      2      5      5      3    751
Node 0, zone   Normal   2996  25992  41338  15937   5985   3113   2358   1251    469     85    138
"""


@pytest.fixture(scope="module")
def used():
    """A guest whose memory is fragmented."""
    guest = h.Guest("1GiB", kernel="linux-6.1", vcpus=2)
    sim = h.Simulation(h.Host("4GiB"), seed=1)
    sim.launch(guest, workload=h.workloads.churn("256MiB", turns=500))
    sim.run(until="40s")
    guest.drain()
    return guest


def test_pagetypeinfo_comes_out_as_it_went_in(used, tmp_path):
    (tmp_path / "pagetypeinfo").write_text(used.pagetypeinfo_text())
    guests = [h.Guest.from_snapshot(h.Snapshot.from_proc(tmp_path, memory="1GiB", vcpus=2, seed=seed)) for seed in (0, 0, 1)]
    for guest in guests:
        guest.check()
        assert guest.pagetypeinfo_text() == used.pagetypeinfo_text()
        assert guest.buddyinfo_text() == used.buddyinfo_text()
        assert guest.free_pages() == used.free_pages()
    assert guests[0].snapshot() == guests[1].snapshot() != guests[2].snapshot()


@pytest.mark.parametrize("kernel", ["linux-5.0", "linux-6.1", "linux-6.12"])
def test_buddyinfo_of_a_fragmented_machine(kernel, tmp_path):
    (tmp_path / "buddyinfo").write_text(BUDDYINFO)
    guest = h.Guest.from_snapshot(h.Snapshot.from_proc(tmp_path / "buddyinfo", memory="8GiB", kernel=kernel))
    guest.check()
    rows = [list(map(int, line.split()[4:])) for line in BUDDYINFO.splitlines()]
    assert guest.buddyinfo()[:3].tolist() == rows
    lists = guest.allocator.free_lists().items()
    normal = [head for (zone, order, _), heads in lists if (zone, order) == (2, 0) for head in heads]
    assert len(set(normal)) == 2996
    assert np.ptp(normal) > 900_000                 # spread over all of the zone
    pages = guest.alloc_many(1000)
    guest.free_many(pages)
    guest.drain()
    guest.check()


def flags_of(guest):
    """kpageflags as a kernel would show them."""
    flags = np.full(guest.memory_map.npfn, 1 << 20, np.uint64)
    for first, end in guest.memory_map.ram:
        flags[first:end] = 1 << 32
    for first, end in [*guest.memory_map.free, *guest.memory_map.late]:
        flags[first:end] = 1 << 5 | 1 << 12
    for (_, order, _), heads in guest.allocator.free_lists().items():
        for head in heads:
            flags[head : head + (1 << order)] = 0
            flags[head] = 1 << 10
    return flags


def test_kpageflags_say_where(used, tmp_path):
    (tmp_path / "kpageflags").write_bytes(flags_of(used).tobytes())
    guest = h.Guest.from_snapshot(h.Snapshot.from_proc(tmp_path, vcpus=2), strategy="v8")
    guest.check()

    def places(which):
        return {(zone, order, head) for (zone, order, _), heads in which.allocator.free_lists().items() for head in heads}

    assert places(guest) == places(used)


def test_kpageflags_say_what_cannot_move(tmp_path):
    flags = np.zeros(4096, np.uint64)
    flags[1:] = 1 << 5
    flags[1024:1536] = 1 << 26                      # page tables
    flags[1536:2048] = 1 << 7                       # slab
    flags[2048] = 1 << 10                           # a free block, and kernel pages without a flag behind it
    flags[2049:2560] = 0
    flags[3072:4096] = 1 << 20                      # no memory
    (tmp_path / "kpageflags").write_bytes(flags.tobytes())
    guest = h.Guest.from_snapshot(h.Snapshot.from_proc(tmp_path))
    assert guest.allocator.block_types()[:6] == [1, 1, 0, 2, 1, 1]
    assert guest.allocator.free_lists() == {(0, 9, 1): [2048]}
    assert guest.memory_map.pages == 3071
    assert guest.page(3000).startswith("allocated")


@pytest.mark.parametrize(("text", "words"), [
    ("", "no free blocks in it"),
    ("Node 0, zone   Normal 1 2 3\n", "line 1: expected 11 counts of free blocks, orders 0 to 10, got 3"),
    ("Node 1, zone   Normal 1 1 1 1 1 1 1 1 1 1 1\n", "line 1: node 1: guests have one node"),
    ("Node 0, zone   Normal 1 1 1 x 1 1 1 1 1 1 1\n", "line 1: expected 'Node 0, zone NAME' with counts"),
    ("Node 0, zone   HighMem 1 1 1 1 1 1 1 1 1 1 1\n", "line 1: zone HighMem: expected one of DMA, DMA32"),
    ("Node 0, zone   Normal, type CMA 1 1 1 1 1 1 1 1 1 1 1\n", "line 1: 11 of type CMA: expected one of Unmovable"),
    (BUDDYINFO, r"zone DMA32 has 772745 free pages, a guest of 1024 MiB manages \d+ there: give more memory"),
])
def test_files_that_are_wrong(text, words, tmp_path):
    (tmp_path / "buddyinfo").write_text(text)
    with pytest.raises(SnapshotError, match=words):
        h.Snapshot.from_proc(tmp_path / "buddyinfo", memory="1GiB")


def test_what_is_no_file_of_proc(tmp_path):
    with pytest.raises(SnapshotError, match="expected one of kpageflags, pagetypeinfo, buddyinfo"):
        h.Snapshot.from_proc(tmp_path)
    (tmp_path / "kpageflags").write_bytes(b"1234567")
    with pytest.raises(SnapshotError, match="expected 8 bytes for each page frame, got 7 bytes"):
        h.Snapshot.from_proc(tmp_path)
    with pytest.raises(SnapshotError, match="says how much memory there is: leave memory out"):
        h.Snapshot.from_proc(tmp_path, memory="1GiB")
    (tmp_path / "buddyinfo").write_text(BUDDYINFO)
    with pytest.raises(SnapshotError, match="does not say how much memory there is: give memory"):
        h.Snapshot.from_proc(tmp_path / "buddyinfo")
    with pytest.raises(SnapshotError, match="cannot be read"):
        h.Snapshot.from_proc(tmp_path / "pagetypeinfo", memory="1GiB")


def test_commands_and_scenarios(tmp_path):
    (tmp_path / "buddyinfo").write_text(BUDDYINFO)
    done = hinting_command("snapshot", "buddyinfo", "--memory", "8GiB", "--out", "s.npz", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = hinting_command("show", "s.npz", "--as", "buddyinfo", cwd=tmp_path)
    assert [line.split() for line in shown.stdout.splitlines()] == [line.split() for line in BUDDYINFO.splitlines()]
    document = {
        "name": "old", "kernel": "linux-6.1", "host": {"memory": "12GiB"}, "strategy": ["none", "page-reporting-6.1"],
        "guests": [{"memory": "8GiB", "snapshot": str(tmp_path / "s.npz"), "workloads": [{"name": "memhog", "size": "1GiB"}]}],
        "schedule": {"settle": "10s"},
    }
    arms = h.run(h.Scenario.from_document(document)).arms
    assert arms[1].guests[0].counts["reported_pages"] > 200_000
    for key, value, words in (
        ("memory", "4GiB", r"guests\.0\.memory: the snapshot's guest has 8589934592"),
        ("vcpus", 2, r"guests\.0\.vcpus: the snapshot's guest has 1"),
        ("snapshot", "nope.npz", r"guests\.0\.snapshot: .*no such file"),
    ):
        with pytest.raises(ScenarioError, match=words):
            h.Scenario.from_document(document, {f"guests.0.{key}": value})
