"""Every error that bad input can raise. All are `ValueError`s, so one `except ValueError` catches them."""

__all__ = [
    "AdmissionError",
    "CalibrationError",
    "CheckError",
    "CostError",
    "GuestError",
    "HintingError",
    "HostError",
    "KernelError",
    "OpError",
    "PageError",
    "PolicyError",
    "RecordingError",
    "ReproduceError",
    "ResultsError",
    "ScenarioError",
    "SnapshotError",
    "StrategyError",
    "SweepError",
    "TraceError",
    "UnitError",
    "WorkloadError",
]


class HintingError(ValueError):
    """Bad input: the message names what was given and what was expected."""


class UnitError(HintingError):
    """A size or duration that cannot be read."""


class KernelError(HintingError):
    """An unknown kernel profile, or one whose data file is wrong."""


class CostError(HintingError):
    """An unknown cost, or a value that no cost can have."""


class CalibrationError(HintingError):
    """A machine that cannot be measured, or a place where no profile can be written."""


class PolicyError(HintingError):
    """A policy of the host that is wrong, or that was stopped while it ran."""


class AdmissionError(HintingError):
    """A guest that the host's policy does not admit."""


class PageError(HintingError):
    """A pfn, order or free that the allocator refuses; the guest is unchanged."""


class GuestError(HintingError):
    """A guest that cannot exist: its memory, CPUs or boot footprint."""


class HostError(HintingError):
    """A host that cannot exist, or a guest that it cannot take."""


class OpError(HintingError):
    """A row of an op array that no guest can execute."""


class StrategyError(HintingError):
    """An unknown strategy or parameter, or a value outside its range."""


class RecordingError(HintingError):
    """A recording that is damaged, incomplete or of an unknown kind."""


class ReproduceError(HintingError):
    """An unknown published experiment, or a file of published numbers that is wrong."""


class ScenarioError(HintingError):
    """A scenario file, an unknown key of it, or a value that a key cannot have."""


class WorkloadError(HintingError):
    """An unknown workload or parameter, or a value outside its range."""


class TraceError(HintingError):
    """A trace that cannot be read: the message names the file, the row and the reason."""


class SnapshotError(HintingError):
    """A snapshot that is damaged, contradictory, of a newer version, or of another guest; nothing is changed."""


class ResultsError(HintingError):
    """A folder that holds no results, a table that it does not have, or a damaged file of it."""


class SweepError(HintingError):
    """A sweep file, an axis that names no field, a folder of another sweep, or workers that cannot be reached."""


class CheckError(RuntimeError):
    """An invariant does not hold: a defect of the emulator, never of the input."""
