"""The profile as a TOML file that `costs` of a scenario, or --costs, takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hinting import __version__
from hinting.calibration.run import METHOD, Calibration
from hinting.costs import SCHEMA, default_table
from hinting.errors import CalibrationError

__all__ = ["to_toml", "write"]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


def _table(heading: str, values: Mapping[str, Any]) -> str:
    return "\n".join([f"[{heading}]", *(f"{key} = {_value(value)}" for key, value in values.items()), ""])


def to_toml(calibration: Calibration, name: str) -> str:
    """The text of the profile."""
    machine = calibration.machine
    kind = "virtual machine" if machine.is_vm else "machine"
    description = f"{kind} with {len(machine.cpus)} CPUs, {machine.cpu}, Linux {machine.kernel}, {calibration.date[:10]}"
    parts = [
        f"# Written by hinting calibrate {__version__}. Costs that are not here keep their defaults, and so do those marked "
        "unreliable.\n"
        f"schema = {SCHEMA}\nname = {_value(name)}\ndescription = {_value(description)}\n",
        _table("machine", machine.document() | dict(calibration.facts)
               | {"date": calibration.date, "method": METHOD, "quick": calibration.quick}),
    ]
    if calibration.refused:
        parts.append(_table("machine.not_measured", {_value(key): text for key, text in calibration.refused.items()}))
    units = default_table().costs
    for cost, found in calibration.measurements.items():
        entry: dict[str, Any] = {
            "typical": found.typical,
            "p10": found.p10,
            "p90": found.p90,
            "n": found.n,
            "unit": units[cost].unit,
            "probe": found.probe,
        }
        if found.is_unstable:
            entry["unstable"] = True
        if found.unreliable:
            entry["unreliable"] = found.unreliable
        parts.append(_table(f"cost.{cost}", entry))
    return "\n".join(parts)


def write(calibration: Calibration, path: Path, name: str | None = None) -> None:
    """Write the profile; CalibrationError if that cannot be done. name: the file's if not given."""
    try:
        path.write_text(to_toml(calibration, name or path.stem), encoding="utf-8")
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be written: {error.strerror}") from None
