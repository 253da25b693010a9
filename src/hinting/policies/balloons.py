"""Policies that set balloon targets, by name, and how guests come under them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hinting.policies.base import Member, Policy
from hinting.policies.mom import Mom
from hinting.policies.proxmox import Proxmox

if TYPE_CHECKING:
    from hinting.simulation import Simulation
    from hinting.strategies.balloon import Balloon
    from hinting.vm import VM

__all__ = ["POLICIES", "join"]

#: Policies of balloons by name.
POLICIES: dict[str, type[Policy]] = {policy.name: policy for policy in (Proxmox, Mom)}


def join(simulation: Simulation, vm: VM, spec: Balloon) -> None:
    """Put a guest under the policy that its strategy names, with those that have the same settings."""
    made = POLICIES[spec.policy](simulation, spec)
    for policy in simulation.policies:
        if policy.settings == made.settings:
            policy.members.append(Member(vm, spec))
            return
    simulation.policies.append(made)
    made.members.append(Member(vm, spec))
    simulation.every(spec.policy_interval, made.run)
