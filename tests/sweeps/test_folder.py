"""What is refused with one line and changes nothing; what --update, --repair and --retry-failed do."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

import hinting as h
from hinting.errors import HintingError, ResultsError
from tests.conftest import HINTING
from tests.sweeps import harness
from tests.sweeps.harness import hinting


@pytest.fixture
def copied(finished, tmp_path):
    """A finished sweep to do harm to."""
    shutil.copytree(finished[1], tmp_path / "out")
    return shutil.copy(finished[0], tmp_path), tmp_path / "out"


def refused(file, out, *, unchanged=True, **options):
    """The error of a sweep that is refused; the folder stays as it was."""
    before = harness.documents(out) if unchanged and out.is_dir() else None
    with pytest.raises(HintingError) as caught:
        harness.run(file, out, **options)
    if before is not None:
        after = harness.documents(out)
        after.pop("lock", None)
        before.pop("lock", None)
        assert after == before
    return str(caught.value)


def test_again_does_nothing_and_says_so(finished):
    before = harness.tables(finished[1])
    assert harness.run(*finished).new == 0
    assert harness.tables(finished[1]) == before


def test_another_sweep(copied):
    out = copied[1]
    other = harness.write(out.parent, harness.MICRO.replace("[50, 100, 200]", "[50, 100]"), "other.toml")
    error = refused(other, out)
    assert "holds another sweep: sweep.axes.*.entries was [50, 100, 200], is [50, 100]" in error
    assert "--update" in error


def test_a_changed_file_keeps_the_points_that_are_the_same(copied):
    file, out = copied
    changed = harness.MICRO.replace("[50, 100, 200]", "[50, 300]").replace("repeats = 3", "repeats = 2")
    harness.write(out.parent, changed)
    assert "sweep.repeats was 3, is 2" in refused(file, out)
    summary = harness.run(file, out, update=True)
    assert summary.points == summary.done == 40  # 5 sizes x (none, page-reporting, v8 with 2) x 2
    assert summary.new == 10
    fresh = out.parent / "fresh"
    harness.run(file, fresh)
    points = [h.open(folder).arrow("points").drop_columns("number").sort_by("key") for folder in (out, fresh)]
    assert points[0].equals(points[1])
    assert h.open(out).arrow("series").num_rows == h.open(fresh).arrow("series").num_rows
    harness.write(out.parent)
    assert harness.run(file, out, update=True).new == 0


def test_a_folder_of_something_else(tmp_path):
    file = harness.write(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "provenance.json").write_text('{"kind": "run"}')
    assert "holds no sweep, and is not empty (provenance.json is in it)" in refused(file, tmp_path / "run")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    assert "thesis.tex is in it" in refused(file, tmp_path / "mine")
    assert "cannot be written to" in refused(file, file)


@pytest.mark.parametrize("half", ["points", "series"])
@pytest.mark.parametrize("harm", ["cut", "flip", "gone"])
def test_a_damaged_part(copied, finished, half, harm):
    file, out = copied
    part = sorted((out / half).iterdir())[0]
    whole = part.read_bytes()
    if harm == "gone":
        part.unlink()
    else:
        at = len(whole) // 3
        part.write_bytes(whole[:-100] if harm == "cut" else whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
    if harm == "flip":  # same size and footer: seen when it is read
        with pytest.raises(ResultsError, match=rf"{half}/part-000001.parquet: damaged"):
            h.open(out).sha256(half)
    else:
        error = refused(file, out)
        assert f"{half}/part-000001.parquet: {'is missing' if harm == 'gone' else 'damaged'}" in error
        assert "--repair" in error
    summary = harness.run(file, out, repair=True)
    assert summary.new > 0
    assert harness.tables(out) == harness.tables(finished[1])
    assert list((out / "damaged").iterdir())


def test_a_damaged_ledger(copied, finished):
    file, out = copied
    ledger = out / "ledger.sqlite"
    ledger.write_bytes(b"no database" * 1000)
    assert "ledger.sqlite: damaged" in refused(file, out)
    with pytest.raises(ResultsError, match=r"ledger\.sqlite: damaged"):
        h.open(out)
    assert harness.run(file, out, repair=True).new == 0
    assert harness.tables(out) == harness.tables(finished[1])
    ledger.unlink()
    assert "ledger.sqlite: is missing" in refused(file, out)
    assert harness.run(file, out, repair=True).new == 0
    assert harness.tables(out) == harness.tables(finished[1])


def test_a_part_that_the_driver_could_not_note_is_adopted(copied, finished):
    import sqlite3

    file, out = copied
    with sqlite3.connect(out / "ledger.sqlite") as db:
        db.execute("UPDATE points SET state = 'pending', part = NULL WHERE part = 'part-000001'")
        db.execute("DELETE FROM parts WHERE name = 'part-000001'")
    db.close()
    (out / "series" / "part-000099.parquet").write_bytes((out / "series" / "part-000001.parquet").read_bytes())
    (out / "points" / ".writing-part-000100.parquet").write_bytes(b"PAR1")
    assert harness.run(file, out).new == 0
    assert harness.tables(out) == harness.tables(finished[1])
    assert not (out / "series" / "part-000099.parquet").exists()



BROKEN = """\
import json
import os
from hinting.strategies import V8


class Broken(V8):
    '''Broken until there is a file.'''

    def core(self):
        if not os.path.exists("fixed"):
            raise RuntimeError("not fixed yet")
        return super().core()
"""


def test_a_point_that_fails_is_recorded_and_retried(tmp_path):
    text = harness.MICRO.replace('"*.entries"', '"v8.entries"').replace('"page-reporting"]', '"broken.py:Broken"]')
    (tmp_path / "broken.py").write_text(BROKEN)
    file = harness.write(tmp_path, text)
    done = hinting("sweep", file, "--out", tmp_path / "out", status=1, cwd=tmp_path)
    assert "60 of 75 points done" in done.stdout
    assert "15 failed; the first, point 60: RuntimeError: not fixed yet" in done.stdout
    results = h.open(tmp_path / "out")
    assert results.arrow("points")["state"].to_pylist() == ["done"] * 60 + ["failed"] * 15
    assert results.arrow("points")["memory_returned"].null_count == 15
    errors = results.arrow("errors").to_pylist()
    assert len(errors) == 15
    assert "in core" in errors[0]["traceback"]
    assert "0 failed" not in hinting("sweep", file, "--out", tmp_path / "out", status=1, cwd=tmp_path).stdout
    (tmp_path / "fixed").touch()
    hinting("sweep", file, "--out", tmp_path / "out", "--retry-failed", cwd=tmp_path)
    assert set(h.open(tmp_path / "out").arrow("points")["state"].to_pylist()) == {"done"}
    (tmp_path / "broken.py").write_text(BROKEN + "# changed\n")
    error = hinting("sweep", file, "--out", tmp_path / "out", status=2, cwd=tmp_path).stderr
    assert "files.broken.py was" in error


def test_one_driver_at_a_time(tmp_path):
    file, out = harness.write(tmp_path, harness.LONG), tmp_path / "out"
    driver = harness.drive(file, out)
    while not (out / "ledger.sqlite").exists() or not harness.children(driver.pid):
        assert driver.poll() is None
        time.sleep(0.02)
    assert "another sweep is running in it" in refused(file, out, unchanged=False)
    assert driver.poll() is None
    driver.kill()
    driver.communicate()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_stops_cleanly_and_can_be_read_meanwhile(tmp_path, how):
    file, out = harness.write(tmp_path, harness.LONG), tmp_path / "out"
    code = "import sys\nfrom hinting.sweeps import driver\ndriver.SAVE_S, driver.TASK_S = 0.01, 0.01\n"
    code += "from hinting.cli import main\nsys.argv[0] = 'hinting'\nmain()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "sweep", file, "--out", out], stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job ignores Ctrl-C
    )  # fmt: skip
    while True:
        assert process.poll() is None
        if (out / "points").is_dir() and list((out / "points").glob("part-*")):
            break
        time.sleep(0.01)
    states = h.open(out).arrow("points")["state"].to_pylist()
    assert len(states) == 1500
    process.send_signal(how)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "the same command goes on" in errors
    assert "Traceback" not in errors
    done = h.open(out).arrow("points")["state"].to_pylist().count("done")
    assert states.count("done") <= done < 1500
    assert not list(out.rglob(".writing-*"))
    harness.write(tmp_path)
    rest = harness.run(file, out, update=True)
    assert rest.points == 75
    assert rest.new >= 75 - done
    assert {"done"} == set(h.open(out).arrow("points")["state"].to_pylist())


def test_a_full_disk(tmp_path, finished):
    """A file system that is too small, then large enough; where one may be mounted."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    harness.write(tmp_path)
    script = f"""
set -e
mkdir disk copy; mount -t tmpfs -o size=100k tmpfs disk
set +e; {HINTING} sweep micro.toml --out disk/out > first.txt 2>&1; echo $? > status; set -e
mount -o remount,size=50m disk
{HINTING} sweep micro.toml --out disk/out
cp -r disk/out copy/out
"""
    done = subprocess.run(["unshare", "-rm", "bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "status").read_text() == "2\n"
    first = (tmp_path / "first.txt").read_text()
    assert len(first.splitlines()) == 1
    assert "No space left" in first or "full" in first
    assert harness.tables(tmp_path / "copy" / "out") == harness.tables(finished[1])


def test_a_file_that_may_not_grow(tmp_path, finished):
    """As a full disk, in the middle of a part."""
    file, out = harness.write(tmp_path), tmp_path / "out"

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (25_000, resource.RLIM_INFINITY))

    done = subprocess.run([HINTING, "sweep", file, "--out", out], preexec_fn=limit, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    harness.run(file, out)
    assert harness.tables(out) == harness.tables(finished[1])


#: A process of root that may not read what its mode forbids.
AS_USER = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


@pytest.mark.skipif(bool(AS_USER) and not shutil.which("setpriv"), reason="root may read everything")
@pytest.mark.parametrize("name", ["points/part-000001.parquet", "ledger.sqlite"])
def test_an_unreadable_file(copied, name):
    file, out = copied
    (out / name).chmod(0)
    before = harness.documents(out)
    done = subprocess.run([*AS_USER, HINTING, "sweep", file, "--out", out], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{name}: cannot be read" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "--repair" not in done.stderr
    assert harness.documents(out) == before
    (out / name).chmod(0o644)
    assert harness.run(file, out).new == 0


def test_bad_options(finished, tmp_path):
    file, _ = finished
    assert "--jobs" in hinting("sweep", file, "--out", tmp_path / "a", "--jobs", 0, status=2).stderr
    assert "unknown sweep 'nothing'" in hinting("sweep", "nothing", "--out", tmp_path / "b", status=2).stderr
    assert not (tmp_path / "b").exists()


def test_parts_say_what_they_follow_from(finished):
    _, out = finished
    about = json.loads((out / "provenance.json").read_text())
    for part in out.rglob("part-*.parquet"):
        assert json.loads(pq.read_schema(part).metadata[b"hinting"]) == about


def test_on_the_command_line(finished):
    file, out = finished
    document = json.loads(hinting("sweep", file, "--out", out, "--json").stdout)
    assert (document["points"], document["done"], document["new"]) == (75, 75, 0)
    assert document["points_sha256"] == h.open(out).sha256("points")
    other = harness.write(out.parent, harness.MICRO.replace("repeats = 3", "repeats = 4"), "other.toml")
    error = hinting("sweep", other, "--out", out, status=2).stderr
    assert "sweep.repeats was 3, is 4" in error
