"""The tables of a scenario file: host, guests, workloads, schedule, strategy, metrics, costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_serializer, model_validator

from hinting import kernels
from hinting._core.limits import MAX_CPUS
from hinting.costs import CostProfile
from hinting.costs import load as load_costs
from hinting.errors import HintingError, UnitError
from hinting.guest import Guest
from hinting.host import Host
from hinting.scenarios.values import Duration, Pages, Size, Table, default_of, refuse
from hinting.simulation import Simulation
from hinting.strategies import StrategySpec, find
from hinting.survey import survey
from hinting.units import parse_duration, parse_size
from hinting.workloads import registry

__all__ = ["CostsTable", "GuestsTable", "HostTable", "MetricsTable", "ScheduleTable", "StrategyTable", "WorkloadTable"]


class HostTable(Table):
    """The host: arguments of hinting.Host."""

    memory: Pages
    base: Size = default_of(Host, "base")
    thp: bool = default_of(Host, "thp")
    fragmentation: Annotated[float, Field(ge=0, le=1)] = default_of(Host, "fragmentation")
    pt_reclaim: bool = default_of(Host, "pt_reclaim")
    khugepaged: bool = default_of(Host, "khugepaged")
    swap: Pages = default_of(Host, "swap")
    swap_device: Literal["nvme", "sata", "hdd"] | None = default_of(Host, "swap_device")
    swap_tails: bool = default_of(Host, "swap_tails")
    swappiness: Annotated[int, Field(ge=0, le=200)] = default_of(Host, "swappiness")
    page_cluster: Annotated[int, Field(ge=0, le=5)] = default_of(Host, "page_cluster")
    effects: tuple[Literal["silent-write", "stale-read", "false-read"], ...] = default_of(Host, "effects")

    @model_validator(mode="after")
    def _device(self) -> HostTable:
        if self.swap_device is not None and parse_size(self.swap) == 0:
            refuse({("swap_device",): f"{self.swap_device} has no slots: give the size of swap too"})
        if self.swap_tails and self.swap_device == "hdd":
            refuse({("swap_tails",): "tails are known for nvme and sata, not for hdd"})
        return self

    @model_validator(mode="after")
    def _room(self) -> HostTable:
        if parse_size(self.base) >= parse_size(self.memory):
            refuse({("base",): f"expected less than the host's memory {self.memory}, got {self.base}"})
        return self


class NamedTable(Table):
    """A table with a name and parameters that depend on it: `{ name = "v8", entries = 500 }`, or the name alone."""

    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _split(cls, values: Any) -> Any:
        if isinstance(values, str):
            return {"name": values}
        if not isinstance(values, Mapping) or "parameters" in values:
            return values
        own = {key: value for key, value in values.items() if key in cls.model_fields}
        return own | {"parameters": {key: value for key, value in values.items() if key not in own}}

    @model_serializer
    def _join(self) -> dict[str, Any]:
        own = {key: getattr(self, key) for key in type(self).model_fields if key != "parameters"}
        return own | self.parameters


class StrategyTable(NamedTable):
    """A strategy and the parameters that differ from their defaults."""

    @model_validator(mode="after")
    def _legal(self) -> StrategyTable:
        errors: dict[tuple[str | int, ...], HintingError] = {}
        for key, given in [(("name",), {}), *(((key,), {key: value}) for key, value in self.parameters.items())]:
            try:
                find(self.name, given)
            except HintingError as error:
                errors[key] = error
                if not given:
                    break
        refuse(errors)
        return self

    def spec(self) -> StrategySpec | None:
        """The strategy itself; None for "none"."""
        return find(self.name, self.parameters)

    @property
    def label(self) -> str:
        """Name and parameters in words."""
        return " ".join([self.name, *(f"{key}={value}" for key, value in self.parameters.items())])


class WorkloadTable(NamedTable):
    """What runs in a guest: a workload with its parameters.

    start: time between the end of the guest's boot (or of the workload before it on the same vCPU) and the first row.
    vcpu: where the first thread runs; each further one runs on the next vCPU.
    """

    start: Duration = 0
    vcpu: Annotated[int, Field(ge=0, lt=MAX_CPUS)] = 0

    @model_validator(mode="after")
    def _legal(self) -> WorkloadTable:
        try:
            workload = registry.find(self.name)
        except HintingError as error:
            refuse({("name",): error})
        refuse({(key,): reason for key, reason in workload.refused(self.parameters).items()})
        return self


class GuestsTable(Table):
    """A group of equal guests.

    count: how many. start: when the first one is launched; stagger: time from one launch to the next. lifetime: from a
    guest's launch until it is shut down, 0 for guests that stay. kernel: if it is
    another than the scenario's. boot: False for guests whose memory is all untouched. transport: how reports reach the host;
    poll: how long its end polls before it sleeps.
    """

    count: Annotated[int, Field(ge=1, le=4096)] = 1
    start: Duration = 0
    stagger: Duration = 0
    lifetime: Duration = 0
    memory: Pages
    vcpus: Annotated[int, Field(ge=1, le=MAX_CPUS)] = default_of(Guest, "vcpus")
    kernel: str | None = None
    thp: Literal["always", "never"] = default_of(Guest, "thp")
    boot: bool = default_of(Simulation.launch, "boot")
    transport: Literal["virtio-main", "virtio-iothread", "vhost", "hypercall"] = default_of(Simulation.launch, "transport")
    poll: Duration = default_of(Simulation.launch, "poll")
    workloads: tuple[WorkloadTable, ...] = ()

    @field_validator("kernel")
    @classmethod
    def _known(cls, kernel: str | None) -> str | None:
        if kernel is not None:
            kernels.load(kernel)
        return kernel

    @model_validator(mode="after")
    def _queue(self) -> GuestsTable:
        if self.transport == "hypercall" and parse_duration(self.poll):
            refuse({("poll",): "a hypercall has no queue to poll"})
        return self

    @model_validator(mode="after")
    def _threads(self) -> GuestsTable:
        errors: dict[tuple[str | int, ...], str] = {}
        for i, entry in enumerate(self.workloads):
            needed = entry.vcpu + registry.find(entry.name).threads(entry.parameters, self.vcpus)
            if needed > self.vcpus:
                errors["workloads", i] = f"{entry.name} needs {needed} vCPUs, one a thread, the guest has {self.vcpus}"
        refuse(errors)
        return self


class ScheduleTable(Table):
    """When guests are launched.

    launch: "staggered", each group by its start and stagger; or "one-by-one", the next guest when the last one is idle
    and `gap` has passed, until a guest is killed by the host or cannot start. criterion: what else ends launches one by
    one: "boot", nothing; "no-swap", the host has written more than `swap_tolerance` to swap; "admit", the kernel would
    refuse the mapping of the next guest's RAM (vm.overcommit_memory = `overcommit`, 0 to 2); "slo", the guest ran more than
    `slowdown_limit` times as long as a guest of its group that has the host to itself. settle: how long to go on
    when all guests are idle.
    """

    launch: Literal["staggered", "one-by-one"] = "staggered"
    gap: Duration = "1s"
    criterion: Literal["boot", "no-swap", "admit", "slo"] = "boot"
    swap_tolerance: Size = "16MiB"
    overcommit: Annotated[int, Field(ge=0, le=2)] = 0
    slowdown_limit: Annotated[float, Field(ge=1)] = 1.2
    settle: Duration = 0


def _off_or_survey(value: Any) -> Any:
    try:
        survey(None if value == "off" else value)
    except HintingError as error:
        raise UnitError(f"expected off, auto or a time such as 100ms: {error}") from None
    return value


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested tables with dotted ids, as TOML reads `guest.pcp_alloc_hit = 80`."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


class MetricsTable(Table):
    """What is measured beside the metrics.

    memory_map: samples of the guests' memory by pageblock: "off", "auto" (at most 256, evenly spread), or the time between
    two of them.
    """

    memory_map: Annotated[Any, AfterValidator(_off_or_survey)] = "off"

    @property
    def survey(self) -> int | str | None:
        """memory_map as Simulation takes it."""
        return None if self.memory_map == "off" else self.memory_map


class CostsTable(Table):
    """Cost profile: a name or the path of a calibration's file, its column or how charges are drawn, and single costs."""

    profile: str = "default"
    mode: Literal["typical", "low", "high", "triangular", "lognormal"] = "typical"
    overrides: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, values: Any) -> Any:
        return {"profile": values} if isinstance(values, str) else values

    @field_validator("overrides", mode="before")
    @classmethod
    def _nested(cls, values: Any) -> Any:
        return dict(_flat(values)) if isinstance(values, Mapping) else values

    @model_validator(mode="after")
    def _known(self) -> CostsTable:
        errors: dict[tuple[str | int, ...], HintingError] = {}
        try:
            load_costs(self.profile)
        except HintingError as error:
            errors["profile",] = error
        for key, value in self.overrides.items():
            try:
                load_costs("default", {key: value})
            except HintingError as error:
                errors["overrides", key] = error
        refuse(errors)
        return self

    def load(self) -> CostProfile:
        """The resolved profile."""
        return load_costs(self.profile, self.overrides, self.mode)
