"""meta.json with anything missing, of another kind or out of range: refused by file and key, or harmless."""

import json

import pytest

from hinting.errors import RecordingError
from hinting.recordings import Recording, replay
from tests.conftest import DATA
from tests.damage import change_meta, copy_of

HACKBENCH, V8 = "hackbench-768m-1cpu", "v8-test-5g-1cpu"
STRANGE = (None, "x", -1, 0, 1.5, 10**9, 2**70, [], {}, True)


def paths(value, path=()):
    """Paths to every value of a JSON document; of a list the first element stands for all."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, member in items:
        yield from paths(member, (*path, key))


def cases(name):
    meta = json.loads((DATA / name / "meta.json").read_text())
    used = {key: meta[key] for key in ("kernel", "cpus", "types", "npfn", "rows_total", "hinting", "t0", "t1") if key in meta}
    return list(paths(used))


@pytest.mark.parametrize("name", [HACKBENCH, V8])
def test_any_strange_value_is_refused_or_harmless(name, tmp_path):
    """Never another exception, never a crash; what is accepted can be replayed."""
    folder = copy_of(name, tmp_path)
    whole = (folder / "meta.json").read_text()
    errors = []
    for number, path in enumerate(cases(name)):
        change_meta(folder, path, STRANGE[number % len(STRANGE)])
        try:
            replay(Recording.open(folder), "hinting" if name == V8 else "request")
        except RecordingError as error:
            errors.append(str(error))
        (folder / "meta.json").write_text(whole)
    assert len(errors) > 25
    assert all(str(folder) in error for error in errors)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (("kernel",), "key 'kernel' is missing"),
        (("types",), "key 'types' is missing"),
        (("t0",), "key 't0' is missing"),
        (("t0", "zones"), r"meta\['t0'\]: key 'zones' is missing"),
        (("t0", "zones", 0, "watermark"), r"\['zones'\]\[0\]: key 'watermark' is missing"),
        (("t1", "pcp"), r"meta\['t1'\]: key 'pcp' is missing"),
        (("t0", "globals"), "key 'globals' is missing"),
        (("t0", "pcp", 0), r"\['pcp'\]: expected one page set for zone 0 and cpu 0, got 0"),
        (("t1", "pcp", 1, "high"), r"meta\['t1'\]\['pcp'\]\[1\]: key 'high' is missing"),
    ],
)
def test_missing_key(path, words, tmp_path):
    folder = copy_of(HACKBENCH, tmp_path)
    change_meta(folder, path)
    with pytest.raises(RecordingError, match=words):
        Recording.open(folder)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("cpus",), 0, "between 1 and 256, got 0"),
        (("cpus",), 257, "between 1 and 256, got 257"),
        (("t0", "zones"), [], "1 to 4 zones, got 0"),
        (("t0", "zones", 1, "zone_idx"), 0, "occurs twice"),
        (("t0", "zones", 0, "zone_idx"), 4, "between 0 and 3, got 4"),
        (("t0", "zones", 0, "watermark"), [1, 2], "3 to 16 elements, got 2"),
        (("t0", "zones", 0, "nr_free", 3), 77777, "truncated or of another run"),
        (("t0", "pcp", 0, "cpu"), 1, "between 0 and 0, got 1"),
        (("t0", "pcp"), [], r"expected one page set for zone 0 and cpu 0, got 0"),
        (("t0", "pcp", 0, "zone_idx"), 1, r"zone 0 and cpu 0, got 0"),
        (("t0", "pcp", 0, "zone_idx"), 3, r"one of \[0, 1\], got 3"),
        (("kernel",), "5.15.0-1-amd64", "no profile"),
        (("kernel",), "6.1x", "no profile"),
        (("rows_total",), 5, "promises 5"),
    ],
)
def test_value_out_of_range(path, value, words, tmp_path):
    folder = copy_of(HACKBENCH, tmp_path)
    change_meta(folder, path, value)
    with pytest.raises(RecordingError, match=words):
        replay(Recording.open(folder))


def test_limits_of_the_page_sets_of_6_12(tmp_path):
    folder = copy_of("k612-stressng-512m-1cpu", tmp_path)
    change_meta(folder, ("t0", "pcp", 0, "high_min"))
    with pytest.raises(RecordingError, match=r"\['pcp'\]\[0\]: key 'high_min' is missing"):
        Recording.open(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b"null", b"\xff\xfe\x00", b'{"kernel": "6.1"} trailing', b"NaN"])
def test_garbage(content, tmp_path):
    folder = copy_of(HACKBENCH, tmp_path)
    (folder / "meta.json").write_bytes(content)
    with pytest.raises(RecordingError, match=r"meta\.json"):
        Recording.open(folder)


def test_no_recording(tmp_path):
    with pytest.raises(RecordingError, match="not a folder"):
        Recording.open(tmp_path / "absent")
    with pytest.raises(RecordingError, match=r"meta\.json: missing"):
        Recording.open(tmp_path)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(RecordingError, match="not a folder"):
        Recording.open(file)
