"""Fleet traces by format. Memory is in bytes; where a trace has fractions, `size` is what 1 stands for."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hinting.errors import TraceError
from hinting.traces.events import ANON, ARRIVES, DEPARTS, FleetTrace, Recorder
from hinting.traces.table import Row, rows

__all__ = ["FORMATS", "OPEN_ENDED", "Format", "load"]

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
GIB = 1 << 30
#: Cores of the machine that the Azure packing trace gives fractions of.
CORES = 64

#: What open-ended buckets of the Azure VM traces stand for, unless the caller says otherwise.
OPEN_ENDED = {">64": 112.0, ">24": 30.0}


@dataclass(frozen=True)
class Options:
    """size: bytes of 1.0. buckets: what open-ended sizes stand for. seed: of modelled memory use."""

    size: int
    buckets: Mapping[str, float]
    seed: int


@dataclass(frozen=True)
class Format:
    """text: what it is. read: the loader."""

    text: str
    read: Callable[[Path, Options], FleetTrace]


def _bucket(row: Row, column: str, options: Options) -> float:
    text = row.text(column)
    if text in options.buckets:
        return options.buckets[text]
    if text.startswith(">"):
        raise row.fail(f"{column} {text!r} is open-ended: say what it stands for, known are {', '.join(options.buckets)}")
    return row.number_in(column, 0, 1 << 20)


AZURE_VM = ("vm id", "subscription id", "deployment id", "vm created", "vm deleted", "max cpu", "avg cpu", "p95 max cpu",
            "vm category", "vm core count", "vm memory")


def azure_vm(path: Path, options: Options) -> FleetTrace:
    """Sizes and lives of VMs. What they use of their memory is modelled: a share from Beta(2, 2), half of all VMs below half."""
    out, use = Recorder(), np.random.default_rng(options.seed)
    for row in rows(path, AZURE_VM):
        created, deleted = (row.number_in(column, 0) * SECOND for column in ("vm created", "vm deleted"))
        if deleted < created:
            raise row.fail(f"vm deleted {deleted / SECOND:g} is before vm created {created / SECOND:g}")
        guest = out.number(row.text("vm id"), vcpus=max(1, round(_bucket(row, "vm core count", options))))
        size = _bucket(row, "vm memory", options) * GIB
        out.add(created, guest, ARRIVES, size)
        out.add(created, guest, ANON, size * use.beta(2, 2))
        out.add(deleted, guest, DEPARTS, 0)
    return out.trace(path)


def azure_packing(path: Path, options: Options) -> FleetTrace:
    """VMs as fractions of a machine, the first machine type of each; use is modelled as for azure-vm."""
    out, use = Recorder(), np.random.default_rng(options.seed)
    query = ("SELECT vm.rowid, vm.vmId, MIN(vmType.core), MIN(vmType.memory), vm.starttime, vm.endtime FROM vm "
             "JOIN vmType ON vm.vmTypeId = vmType.vmTypeId GROUP BY vm.vmId ORDER BY vm.starttime, vm.vmId")
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as base:
            found = base.execute(query).fetchall()
    except sqlite3.Error as error:
        raise TraceError(f"{path}: expected an SQLite file with the tables vm and vmType: {error}") from None
    last = max((end for *_, end in found if end is not None), default=14.0)
    for number, name, core, memory, start, end in found:
        if not all(isinstance(value, (int, float)) for value in (core, memory, start)) or not 0 < memory <= 1:
            raise TraceError(f"{path}: row {number} of vm: core, memory and starttime must be numbers, memory above 0 and at "
                             f"most 1, got {core!r}, {memory!r}, {start!r}")
        begin, over = max(0.0, start) * DAY, (last if end is None else end) * DAY
        if over <= begin:
            out.left_out += 1
            continue
        guest = out.number(str(name), vcpus=max(1, round(core * CORES)))
        out.add(begin, guest, ARRIVES, memory * options.size)
        out.add(begin, guest, ANON, memory * options.size * use.beta(2, 2))
        out.add(over, guest, DEPARTS, 0)
    return out.trace(path)


Samples = dict[int, list[tuple[float, float, float]]]


def _finish(out: Recorder, samples: Samples, ends: dict[int, float], path: Path) -> FleetTrace:
    for guest, taken in samples.items():
        out.sampled(guest, taken, ends[guest])
    return out.trace(path)


def google_2019(path: Path, options: Options) -> FleetTrace:
    """InstanceUsage of ClusterData 2019 as CSV with a header; memory as fractions of the largest machine."""
    out, samples, ends = Recorder(), Samples(), {}  # type: ignore[var-annotated]
    need = ("start_time", "end_time", "collection_id", "instance_index")
    for row in rows(path, (), header=True, need=need):
        average = next((name for name in ("average_usage.memory", "average_usage_memory") if row.has(name)), None)
        if average is None:
            out.left_out += 1
            continue
        begin, end = (row.number_in(column, 0) * 1000 for column in ("start_time", "end_time"))
        if end <= begin:
            raise row.fail(f"end_time must be after start_time, got {row.text('end_time')} and {row.text('start_time')}")
        guest = out.number(f"{row.text('collection_id')}/{row.text('instance_index')}")
        used = row.number_in(average, 0, 1)
        cache = row.number_in("page_cache_memory", 0, 1) if row.has("page_cache_memory") else 0.0
        samples.setdefault(guest, []).append((begin, max(0.0, used - cache) * options.size, min(used, cache) * options.size))
        ends[guest] = max(ends.get(guest, 0.0), end)
    return _finish(out, samples, ends, path)


def _percent(row: Row, column: str, out: Recorder) -> float | None:
    """A share in percent; None, counted, for the trace's marks of an invalid one."""
    if not row.has(column):
        out.left_out += 1
        return None
    value = row.number_in(column)
    if value in (-1, 101):
        out.left_out += 1
        return None
    return row.number_in(column, 0, 100) / 100


def _sizes(path: Path) -> dict[str, float]:
    """Normalised sizes from container_meta beside container_usage, empty if it is not there."""
    columns = ("container_id", "machine_id", "time_stamp", "app_du", "status", "cpu_request", "cpu_limit", "mem_size")
    for suffix in ("", ".gz"):
        meta = path.with_name(f"container_meta.csv{suffix}")
        if meta.is_file():
            return {row.text("container_id"): row.number_in("mem_size", 0, 100) / 100 for row in rows(meta, columns)
                    if row.has("mem_size")}
    return {}


def _alibaba_2018(columns: tuple[str, ...], name: str, sizes: Callable[[Path], dict[str, float]]
                  ) -> Callable[[Path, Options], FleetTrace]:
    def read(path: Path, options: Options) -> FleetTrace:
        out, samples, ends = Recorder(), Samples(), {}  # type: ignore[var-annotated]
        of = sizes(path)
        for row in rows(path, columns):
            used = _percent(row, "mem_util_percent", out)
            if used is None:
                continue
            at, whose = row.number_in("time_stamp", 0) * SECOND, row.text(name)
            guest = out.number(whose)
            samples.setdefault(guest, []).append((at, used * of.get(whose, 1.0) * options.size, 0.0))
            ends[guest] = max(ends.get(guest, 0.0), at + SECOND)
        return _finish(out, samples, ends, path)

    return read


def alibaba_batch(path: Path, options: Options) -> FleetTrace:
    """Batch instances: average memory, in percent of a machine, between start and end."""
    columns = ("instance_name", "task_name", "job_name", "task_type", "status", "start_time", "end_time", "machine_id", "seq_no",
               "total_seq_no", "cpu_avg", "cpu_max", "mem_avg", "mem_max")
    out = Recorder()
    for row in rows(path, columns):
        if not (row.has("mem_avg") and row.has("start_time") and row.has("end_time")):
            out.left_out += 1
            continue
        begin, end = (row.number_in(column) * SECOND for column in ("start_time", "end_time"))
        used = row.number_in("mem_avg", 0, 100) / 100
        if end <= begin or begin <= 0:  # not started or not ended
            out.left_out += 1
            continue
        guest = out.number(f"{row.text('job_name')}/{row.text('task_name')}/{row.text('instance_name')}/{row.number}")
        out.sampled(guest, [(begin, used * options.size, 0.0)], end)
    return out.trace(path)


def _alibaba_2021(name: str, used: str) -> Callable[[Path, Options], FleetTrace]:
    def read(path: Path, options: Options) -> FleetTrace:
        out, samples, ends = Recorder(), Samples(), {}  # type: ignore[var-annotated]
        for row in rows(path, (), header=True, need=("timestamp", name, used)):
            if not row.has(used):
                out.left_out += 1
                continue
            at = row.number_in("timestamp", 0) * 1_000_000
            guest = out.number(row.text(name))
            samples.setdefault(guest, []).append((at, row.number_in(used, 0, 1) * options.size, 0.0))
            ends[guest] = max(ends.get(guest, 0.0), at + 30 * SECOND)
        return _finish(out, samples, ends, path)

    return read


FORMATS: Mapping[str, Format] = {
    "azure-vm": Format("vmtable of the Azure Public Dataset V1 (2017) or V2 (2019)", azure_vm),
    "azure-packing": Format("Azure Traces for Packing 2020, an SQLite file", azure_packing),
    "google-2019": Format("InstanceUsage of Google ClusterData 2019, CSV with a header", google_2019),
    "alibaba-2018-machine": Format("machine_usage of Alibaba 2018", _alibaba_2018(
        ("machine_id", "time_stamp", "cpu_util_percent", "mem_util_percent"), "machine_id", lambda _: {})),
    "alibaba-2018-container": Format("container_usage of Alibaba 2018; container_meta.csv beside it gives sizes", _alibaba_2018(
        ("container_id", "machine_id", "time_stamp", "cpu_util_percent", "mem_util_percent"), "container_id", _sizes)),
    "alibaba-2018-batch": Format("batch_instance of Alibaba 2018", alibaba_batch),
    "alibaba-2021-node": Format("Node of Alibaba microservices 2021, CSV with a header",
                                _alibaba_2021("nodeid", "memory_utilization")),
    "alibaba-2021-instance": Format("MSResource of Alibaba microservices 2021, CSV with a header",
                                    _alibaba_2021("msinstanceid", "memory_utilization")),
}


def load(path: str | Path, format: str, *, size: int = 64 * GIB, buckets: Mapping[str, float] | None = None,
         seed: int = 0) -> FleetTrace:
    """Read a fleet trace.

    format: one of FORMATS. size: bytes that a fraction of 1 stands for: of a machine, or of a guest. buckets: GiB and
    cores that open-ended sizes such as ">64" stand for. seed: of the modelled memory use where the trace has sizes only.
    Raises TraceError with file, row and reason.
    """
    if format not in FORMATS:
        raise TraceError(f"unknown trace format {format!r}, expected one of {', '.join(FORMATS)}")
    file = Path(path)
    if not file.is_file():
        raise TraceError(f"{file}: expected a file with {FORMATS[format].text}")
    return FORMATS[format].read(file, Options(size, dict(OPEN_ENDED if buckets is None else buckets), seed))
