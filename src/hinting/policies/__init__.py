"""Policies of the host: what becomes of reports and who gives memory (`policy`, see hinting.policies.host), and who sets the
targets of the guests' balloons.

A balloon's policy serves all guests of a simulation that were launched with the same settings of it.
"""

from hinting.policies.balloons import POLICIES, join
from hinting.policies.base import Member, Policy
from hinting.policies.host import HostPolicy, find_policy, policy, policy_names
from hinting.policies.mom import Mom
from hinting.policies.pressure_aware import PressureAware
from hinting.policies.proxmox import Proxmox

__all__ = ["POLICIES", "HostPolicy", "Member", "Mom", "Policy", "PressureAware", "Proxmox", "find_policy", "join", "policy",
           "policy_names"]
