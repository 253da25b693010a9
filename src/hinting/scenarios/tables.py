"""The tables of a scenario file: host, guests, workloads, schedule, strategy, metrics, costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_serializer, model_validator

from hinting import kernels
from hinting._core.limits import MAX_CPUS
from hinting.costs import CostProfile
from hinting.costs import load as load_costs
from hinting.errors import HintingError, UnitError
from hinting.guest import Guest
from hinting.guests import Thp
from hinting.host import Effect, Host, Limits, pool_pages
from hinting.policies import find_policy
from hinting.scenarios.fleet import fleet
from hinting.scenarios.values import Duration, Pages, Size, Table, default_of, refuse
from hinting.simulation import Simulation
from hinting.snapshots import open_snapshot
from hinting.strategies import StrategySpec, find
from hinting.survey import survey
from hinting.traces import FORMATS
from hinting.units import PAGE_BYTES, parse_duration, parse_size
from hinting.workloads import registry

__all__ = [
    "CostsTable",
    "FleetTable",
    "GuestsTable",
    "HostTable",
    "LimitsTable",
    "MetricsTable",
    "PolicyTable",
    "ScheduleTable",
    "StrategyTable",
    "WorkloadTable",
]


class LimitsTable(Table):
    """Limits of each guest's own memory cgroup: arguments of hinting.Limits."""

    max: Size | None = None
    high: Size | None = None
    low: Size = 0
    min: Size = 0
    swap_max: Size | None = None

    @model_validator(mode="after")
    def _legal(self) -> LimitsTable:
        try:
            self.limits()
        except HintingError as error:
            refuse({(): error})
        return self

    def limits(self) -> Limits:
        """The limits themselves."""
        return Limits(**dict(self))


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


def _refused(find: Callable[[str, Mapping[str, Any]], Any], table: NamedTable) -> dict[tuple[str | int, ...], HintingError]:
    """What is wrong with a name and its parameters, by key."""
    errors: dict[tuple[str | int, ...], HintingError] = {}
    for key, given in [(("name",), {}), *(((key,), {key: value}) for key, value in table.parameters.items())]:
        try:
            find(table.name, given)
        except HintingError as error:
            errors[key] = error
            if not given:
                break
    return errors


class PolicyTable(NamedTable):
    """A policy of the host and the parameters that differ from their defaults."""

    @model_validator(mode="after")
    def _legal(self) -> PolicyTable:
        refuse(_refused(find_policy, self))
        return self


class HostTable(Table):
    """The host: arguments of hinting.Host."""

    memory: Pages
    base: Size = default_of(Host, "base")
    thp: bool = default_of(Host, "thp")
    fragmentation: Annotated[float, Field(ge=0, le=1)] = default_of(Host, "fragmentation")
    fragmentation_growth: Annotated[float, Field(ge=0, le=1e6)] = default_of(Host, "fragmentation_growth")
    thp_defrag: Literal["madvise", "defer"] = default_of(Host, "thp_defrag")
    init_on_free: bool = default_of(Host, "init_on_free")
    pt_reclaim: bool = default_of(Host, "pt_reclaim")
    khugepaged: bool | None = default_of(Host, "khugepaged")
    swap: Pages = default_of(Host, "swap")
    swap_device: Literal["nvme", "sata", "hdd"] | None = default_of(Host, "swap_device")
    swap_tails: bool = default_of(Host, "swap_tails")
    swappiness: Annotated[int, Field(ge=0, le=200)] = default_of(Host, "swappiness")
    page_cluster: Annotated[int, Field(ge=0, le=5)] = default_of(Host, "page_cluster")
    policy: PolicyTable | None = None
    effects: tuple[Effect, ...] = default_of(Host, "effects")
    hugepages: Size = default_of(Host, "hugepages")
    hugepage_size: Literal["2MiB", "1GiB"] = default_of(Host, "hugepage_size")
    oom_reap: Duration = default_of(Host, "oom_reap")
    cpus: Annotated[int, Field(ge=1, le=65536)] | None = default_of(Host, "cpus")
    slices: dict[str, LimitsTable] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _device(self) -> HostTable:
        if self.swap_device is not None and parse_size(self.swap) == 0:
            refuse({("swap_device",): f"{self.swap_device} has no slots: give the size of swap too"})
        if self.swap_tails and self.swap_device == "hdd":
            refuse({("swap_tails",): "tails are known for nvme and sata, not for hdd"})
        return self

    @model_validator(mode="after")
    def _room(self) -> HostTable:
        beside = (parse_size(self.memory) - parse_size(self.base)) // PAGE_BYTES
        if beside <= 0:
            refuse({("base",): f"expected less than the host's memory {self.memory}, got {self.base}"})
        try:
            pool_pages(self.hugepages, self.hugepage_size, beside)
        except HintingError as error:
            refuse({("hugepages",): error})
        return self

    def arguments(self) -> dict[str, Any]:
        """Arguments of hinting.Host; slices are groups that it gets afterwards."""
        fields = dict(self)
        del fields["slices"]
        if self.policy is not None:
            fields["policy"] = find_policy(self.policy.name, self.policy.parameters)
        return fields


class StrategyTable(NamedTable):
    """A strategy and the parameters that differ from their defaults."""

    @model_validator(mode="after")
    def _legal(self) -> StrategyTable:
        refuse(_refused(find, self))
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


class FleetTable(Table):
    """A fleet trace that says when guests of a group come and go, their sizes, and what they use (workload demand_trace).

    most: how many guests at most, in the order of arrival, 0 for all. start, duration: window of the trace; guests that are
    there before it are there at its begin. Other keys are demand_trace's.
    """

    file: str
    format: Literal[tuple(FORMATS)] = "google-2019"  # type: ignore[valid-type]
    size: Size = "64GiB"
    most: Annotated[int, Field(ge=0, le=4096)] = 0
    start: Duration = 0
    duration: Duration = 0
    speed: Annotated[float, Field(ge=1e-3, le=1e6)] = 1.0
    scale: Annotated[float, Field(ge=1e-6, le=1e6)] = 1.0
    policy: Literal["mix", "lifo", "random_block", "random_page"] = "mix"
    steps: Annotated[int, Field(ge=1, le=1000)] = 1

    @model_validator(mode="after")
    def _readable(self) -> FleetTable:
        try:
            fleet(self.file, self.format, self.size)
        except HintingError as error:
            refuse({("file",): error})
        return self


class GuestsTable(Table):
    """A group of equal guests.

    count: how many. start: when the first one is launched; stagger: time from one launch to the next. lifetime: from a
    guest's launch until it is shut down, 0 for guests that stay. kernel: if it is
    another than the scenario's. boot: False for guests whose memory is all untouched. transport: how reports reach the host;
    poll: how long its end polls before it sleeps. backing, prealloc, locked: what RAM is made of, see Simulation.launch.
    oom_score_adj: -1000 (the host never kills it) to 1000. limits: of a memory cgroup of its own. slice: one of host.slices,
    a cgroup that it shares. lock_contention: vCPUs wait for each other's holds of the zone lock. fleet: guests come and go as a
    trace says; memory is then the most that one gets. snapshot: a file that says what the guests' memory is like at the launch,
    instead of a boot.
    """

    count: Annotated[int, Field(ge=1, le=4096)] = 1
    start: Duration = 0
    stagger: Duration = 0
    lifetime: Duration = 0
    memory: Pages
    vcpus: Annotated[int, Field(ge=1, le=MAX_CPUS)] = default_of(Guest, "vcpus")
    kernel: str | None = None
    thp: Thp = default_of(Guest, "thp")
    boot: bool = default_of(Simulation.launch, "boot")
    transport: Literal["virtio-main", "virtio-iothread", "vhost", "hypercall"] = default_of(Simulation.launch, "transport")
    poll: Duration = default_of(Simulation.launch, "poll")
    backing: Literal["anonymous", "memfd", "hugetlb-2M", "hugetlb-1G"] = default_of(Simulation.launch, "backing")
    prealloc: bool = default_of(Simulation.launch, "prealloc")
    locked: bool = default_of(Simulation.launch, "locked")
    lock_contention: bool = default_of(Simulation.launch, "lock_contention")
    oom_score_adj: Annotated[int, Field(ge=-1000, le=1000)] = default_of(Simulation.launch, "oom_score_adj")
    limits: LimitsTable | None = None
    slice: str | None = None
    fleet: FleetTable | None = None
    snapshot: str | None = None
    workloads: tuple[WorkloadTable, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> GuestsTable:
        if self.snapshot is None:
            return self
        try:
            moment = open_snapshot(self.snapshot)
        except HintingError as error:
            refuse({("snapshot",): error})
        had = {"memory": moment.memory_bytes, "vcpus": moment.vcpus, "kernel": moment.kernel}
        here = {"memory": parse_size(self.memory), "vcpus": self.vcpus, "kernel": self.kernel or moment.kernel}
        refuse({(key,): f"the snapshot's guest has {had[key]}" for key in had if had[key] != here[key]})
        if self.fleet is not None:
            refuse({("snapshot",): "a fleet's guests have sizes of their own: leave it out"})
        return self

    @model_validator(mode="after")
    def _one_source(self) -> GuestsTable:
        if self.fleet is not None:
            for key in ("count", "stagger", "lifetime"):
                if getattr(self, key) != type(self).model_fields[key].default:
                    refuse({(key,): "the fleet's trace says it: leave it out"})
        return self

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
    refuse the mapping of the next guest's RAM (vm.overcommit_memory = `overcommit`, 0 to 2, with vm.overcommit_ratio / 100 =
    `overcommit_ratio`; all RAM together at most `reservation` times the host's, 0 for no such rule); "slo", the guest ran more
    than `slowdown_limit` times as long as a guest of its group that has the host to itself. settle: how long to go on
    when all guests are idle.
    """

    launch: Literal["staggered", "one-by-one"] = "staggered"
    gap: Duration = "1s"
    criterion: Literal["boot", "no-swap", "admit", "slo"] = "no-swap"
    swap_tolerance: Size = "16MiB"
    overcommit: Annotated[int, Field(ge=0, le=2)] = 0
    overcommit_ratio: Annotated[float, Field(ge=0, le=1e6)] = 0.5
    reservation: Annotated[float, Field(ge=0, le=1e6)] = 0.0
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
