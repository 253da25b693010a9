"""Policies of the host: who sets the targets of the guests' balloons.

A policy object serves all guests of a simulation that were launched with the same settings of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hinting.policies.base import Member, Policy
from hinting.policies.mom import Mom
from hinting.policies.proxmox import Proxmox

if TYPE_CHECKING:
    from hinting.simulation import Simulation
    from hinting.strategies.balloon import Balloon
    from hinting.vm import VM

__all__ = ["POLICIES", "Member", "Mom", "Policy", "Proxmox", "join"]

#: Policies by name.
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
