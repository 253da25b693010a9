"""Snapshot files: whole or not at all, and nothing is read from one that is not as it was written."""

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hinting import Guest, Snapshot, strategies
from hinting.errors import SnapshotError
from tests.snapshots.harness import used_guest


@pytest.fixture(scope="module")
def moment():
    return used_guest("linux-6.1", strategies.V8(entries=64), steps=1500)[0].snapshot()


@pytest.fixture(scope="module")
def content(moment, tmp_path_factory):
    """The bytes of a good file."""
    path = tmp_path_factory.mktemp("good") / "moment"
    moment.save(path)
    return path.read_bytes()


def rewritten(path: Path, content: bytes, change) -> Path:
    """The file with its header and arrays changed by `change(header, arrays)`."""
    path.write_bytes(content)
    with np.load(path) as archive:
        arrays = dict(archive)
    header = json.loads(arrays.pop("header").tobytes())
    header = change(header, arrays) or header
    with path.open("wb") as file:
        np.savez(file, header=np.frombuffer(json.dumps(header).encode(), np.uint8), **arrays)
    return path


def refused(path: Path, message: str) -> None:
    with pytest.raises(SnapshotError, match=message) as error:
        Snapshot.load(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    with pytest.raises(SnapshotError):
        Guest.from_snapshot(path)


def test_the_file_is_plain(content, tmp_path):
    """A .npz that NumPy opens without pickle, with the same bytes for the same guest."""
    (tmp_path / "moment").write_bytes(content)
    with np.load(tmp_path / "moment", allow_pickle=False) as archive:
        header = json.loads(archive["header"].tobytes())
        assert all(not archive[name].dtype.hasobject for name in archive.files)
    assert (header["format"], header["version"]) == ("hinting-snapshot", 1)
    Snapshot.load(tmp_path / "moment").save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == content


def test_save_replaces_whole_files_and_leaves_nothing_behind(moment, content, tmp_path, monkeypatch):
    path = tmp_path / "moment"
    path.write_text("old")
    moment.save(path)
    assert path.read_bytes() == content
    path.write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(SnapshotError, match="moment: cannot be written: No space left on device"):
        moment.save(path)
    monkeypatch.setattr(np, "savez_compressed", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        moment.save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["moment"]
    assert path.read_text() == "old"


def test_save_into_no_folder(moment, tmp_path):
    with pytest.raises(SnapshotError, match="cannot be written: No such file or directory"):
        moment.save(tmp_path / "none" / "moment")


@pytest.mark.parametrize(
    ("text", "message"),
    [(b"", "not a snapshot file"), (b"hello, world", "not a snapshot file"), (b"PK\x03\x04 no zip", "damaged or truncated")],
)
def test_not_a_snapshot(tmp_path, text, message):
    (tmp_path / "file").write_bytes(text)
    refused(tmp_path / "file", message)


def test_no_such_file(tmp_path):
    refused(tmp_path / "none", "no such file")
    with pytest.raises(SnapshotError, match="expected a snapshot file, or a recording"):
        Guest.from_snapshot(tmp_path)
    with pytest.raises(SnapshotError, match="must be a Snapshot, a Recording or a path, got 3"):
        Guest.from_snapshot(3)


def test_another_npz(tmp_path):
    with (tmp_path / "file").open("wb") as file:
        np.savez(file, pages=np.zeros(3))
    refused(tmp_path / "file", "header: the field is missing")
    with (tmp_path / "file").open("wb") as file:
        np.savez(file, header=np.array([{"a": 1}], object))
    refused(tmp_path / "file", "header: damaged")
    with zipfile.ZipFile(tmp_path / "file", "w") as archive:
        archive.writestr("header", b"{}")
    refused(tmp_path / "file", "header")


def test_newer_version(content, tmp_path):
    newer = rewritten(tmp_path / "file", content, lambda header, _: header | {"version": 2, "news": [], "kernel": "linux-9"})
    refused(newer, "version: 2 is newer than 1, the newest that hinting .* can read")
    refused(rewritten(tmp_path / "file", content, lambda header, _: header | {"version": "1"}), "version: expected a whole")
    refused(rewritten(tmp_path / "file", content, lambda header, _: header | {"format": "other"}), "format: not a snapshot")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("kernel", "linux-9.9", "kernel: unknown profile 'linux-9.9', expected one of linux-5.0, "),
        ("kernel", 5, "kernel: unknown profile 5"),
        ("thp", "sometimes", "thp: expected one of always, madvise, never, got 'sometimes'"),
        ("extra", 1, "header: unknown field 'extra'"),
        ("memory_map", [], "memory_map: expected an object, got list"),
        ("memory_map", {"ram": []}, "memory_map: field 'free' is missing"),
        ("strategy", {"name": "v99", "parameters": {}}, "strategy: unknown strategy 'v99'"),
        ("strategy", {"name": "v8", "parameters": {}}, "strategy: parameter 'entries' of v8 is missing"),
        ("strategy", {"name": "none", "parameters": {}}, "strategy: 'none' is no strategy"),
        ("strategy", None, "strategy: there is none, but the field strategy."),
        ("costs", {}, "costs: field 'name' is missing"),
        ("costs", {"name": "a", "description": "", "mode": "odd", "values": {}, "overrides": {}}, "costs: costs.mode"),
        ("costs", {"name": "a", "description": "", "mode": "low", "values": {"a": 1}, "overrides": {}}, "costs: .*'a'"),
    ],
)
def test_header_fields(content, tmp_path, field, value, message):
    refused(rewritten(tmp_path / "file", content, lambda header, _: header | {field: value}), message)


@pytest.mark.parametrize("field", ["kernel", "thp", "memory_map", "strategy", "costs"])
def test_header_field_missing(content, tmp_path, field):
    def change(header, _):
        del header[field]

    refused(rewritten(tmp_path / "file", content, change), f"header: field '{field}' is missing")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ram", [[5, 5]], "ram must be ranges"), ("ram", [[1, 2**33]], "ram must be ranges"), ("ram", [], "ram has no range"),
        ("ram", [[1, 900], [800, 1000]], "the ranges of ram overlap"), ("ram", [[1, 2000]], "RAM ends at page frame 2000"),
        ("deferred", -1, "deferred must be a page frame"),
    ],
)
def test_memory_map(content, tmp_path, name, value, message):
    def change(header, _):
        header["memory_map"][name] = value

    refused(rewritten(tmp_path / "file", content, change), f"memory_map: {message}")


def test_arrays_are_checked(content, tmp_path):
    Guest("512MiB", kernel="linux-6.12").snapshot().save(tmp_path / "strict")
    strict = (tmp_path / "strict").read_bytes()

    def counter(_, arrays):
        arrays["allocator.zones"]["counter"][1] += 1

    def captured(_, arrays):
        arrays["strategy.cpus"][0, 0] += 65

    def lost(_, arrays):
        del arrays["strategy.cpus"]

    def added(_, arrays):
        arrays["age"] = np.zeros(1)

    def other_type(_, arrays):
        arrays["allocator.pageblock_types"][:] = 2

    path = tmp_path / "file"
    refused(rewritten(path, strict, other_type), r"state: free_pfn row 0, free list of zone 0, .* is not on the list of its")
    refused(rewritten(path, content, lost), "strategy: .*'cpus' is missing")
    refused(rewritten(path, content, added), "unknown field 'age'")
    refused(rewritten(path, content, counter), "state: zone 1: counter")
    refused(rewritten(path, content, captured), "strategy: state of strategy V8: cpu 0")


def test_restore_from_a_bad_file_changes_nothing(content, tmp_path):
    guest = used_guest("linux-6.1", strategies.V8(entries=64), steps=300)[0]
    before = guest.snapshot()
    (tmp_path / "file").write_bytes(content[:-100])
    with pytest.raises(SnapshotError):
        guest.restore(Snapshot.load(tmp_path / "file"))
    assert guest.snapshot() == before


@settings(max_examples=60, deadline=None)
@given(cut=st.floats(0, 1, exclude_max=True))
def test_truncated_anywhere(content, tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("cut") / "moment"
    path.write_bytes(content[: int(len(content) * cut)])
    refused(path, "damaged or truncated|not a snapshot file")


@settings(max_examples=200, deadline=None)
@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_one_bit_flipped_anywhere(moment, content, tmp_path_factory, at, bit):
    """Either the damage is seen, or it is in a field that says nothing, such as a file's time."""
    damaged = bytearray(content)
    damaged[int(len(content) * at)] ^= 1 << bit
    path = tmp_path_factory.mktemp("bit") / "moment"
    path.write_bytes(damaged)
    try:
        read = Snapshot.load(path)
    except SnapshotError as error:
        if not str(error).startswith(f"{path}: "):
            raise
    else:
        assert read == moment
