"""What ran when, as an Arrow table: programs, threads, reports, the VMM, processes that end, marks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from hinting._core.engine.dtypes import SPAN_KINDS
from hinting._core.engine.ops import OPS

if TYPE_CHECKING:
    from hinting.simulation import Simulation

__all__ = ["SPANS_SCHEMA", "spans_table"]

#: A row a span; a moment begins and ends at the same time.
SPANS_SCHEMA = pa.schema(
    [
        ("guest", pa.int32()),
        ("track", pa.string()),
        ("name", pa.string()),
        ("begin_ns", pa.int64()),
        ("end_ns", pa.int64()),
        ("pages", pa.int64()),
        ("blocks", pa.int64()),
    ]
)
_OP_NAMES = {number: name.lower() for name, number in OPS.items()}
#: Track and name of each kind of span; a row of a program is named after its op.
_TRACKS = {"row": "vcpu", "sleep": "vcpu", "thread": "thread", "wait": "thread", "report": "virtqueue", "vmm": "vmm"}
#: Ops whose amount is memory.
_MEMORY = {OPS[name] for name in ("TOUCH", "UNMAP", "BACK")}

_Row = tuple[int, str, str, int, int, int | None, int | None]


def _rows(simulation: Simulation) -> list[_Row]:
    rows: list[_Row] = []
    for span in simulation.engine.spans():
        kind = SPAN_KINDS[int(span["kind"])]
        lane = f" {span['lane']}" if _TRACKS[kind] in ("vcpu", "thread") else ""
        what, amount = int(span["what"]), int(span["amount"])
        is_report = kind in ("report", "vmm")
        pages = amount if is_report or (kind == "row" and what in _MEMORY) else None
        name = _OP_NAMES[what] if kind == "row" else kind
        blocks = what if is_report else None
        rows.append((int(span["guest"]), _TRACKS[kind] + lane, name, int(span["begin"]), int(span["end"]), pages, blocks))
    return rows


def spans_table(simulation: Simulation) -> pa.Table:
    """All spans by guest and begin; those that have not ended are left out."""
    rows = _rows(simulation)
    for vm in simulation.vms:
        rows += [(vm.number, "program", f"mark {mark.number}", mark.t_ns, mark.t_ns, None, None) for mark in vm.marks()]
        rows += [
            (vm.number, "program", "exit", int(one["begin"]), int(one["end"]), int(one["freed"]), None)
            for one in vm.machine.exits()
            if one["end"] >= 0
        ]
        for what, at in (("killed by the host", vm.machine.lost_at_ns), ("shut down", vm.machine.shut_down_at_ns)):
            if at is not None:
                rows.append((vm.number, "program", what, at, at, None, None))
    rows.sort(key=lambda row: (row[0], row[3], row[4], row[1], row[2]))
    columns = zip(*rows, strict=True) if rows else ([] for _ in SPANS_SCHEMA)
    return pa.table(
        [pa.array(values, field.type) for values, field in zip(columns, SPANS_SCHEMA, strict=True)], schema=SPANS_SCHEMA
    )
