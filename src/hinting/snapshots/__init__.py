"""A guest's whole memory at one moment, kept: in the process, in a file, or out of a recording of a real kernel."""

from hinting.snapshots.recorded import snapshot_of_recording
from hinting.snapshots.snapshot import Snapshot, open_snapshot

__all__ = ["Snapshot", "open_snapshot", "snapshot_of_recording"]
