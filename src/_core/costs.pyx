"""A cost profile as a C struct, filled by name from a `hinting.costs.CostProfile`.

The list of names is the struct in costs.pxd; a field that the table does not have, or a cost that has no field, is
refused when a profile is loaded.
"""

from hinting.errors import CostError

SECTIONS = ("guest", "mem", "sched", "virt", "host", "fault", "swap", "dev", "size")


def fields() -> frozenset[str]:
    """Names of the fields of costs_t."""
    cdef costs_t none
    return frozenset(<dict>none)


cdef class Costs:
    """Costs for the cores, in the units of the table (ns if it is a time).

    profile: a CostProfile. Raises CostError if its costs are not those of the struct.
    """

    def __init__(self, profile not None):
        found = {
            cost_id.replace(".", "_"): value
            for cost_id, value in profile.items
            if cost_id.partition(".")[0] in SECTIONS
        }
        for cost_id, value in profile.upper:
            name = cost_id.replace(".", "_") + "_high"
            if name in fields():
                found[name] = value
        if found.keys() != fields():
            differing = ", ".join(sorted(found.keys() ^ fields()))
            raise CostError(f"costs: {profile.name!r} and costs_t must have the same costs, differ in {differing}")
        self.c = found
        self.name = profile.name
        self.hash = profile.hash

    def __getitem__(self, str cost_id not None):
        """Value of a cost by id, e.g. costs["guest.pcp_alloc_hit"]; CostError if the cores have no such cost."""
        values = <dict>self.c
        try:
            return values[cost_id.replace(".", "_")]
        except KeyError:
            raise CostError(f"cost: unknown id {cost_id!r}, expected one of {', '.join(values)}") from None

    def as_dict(self):
        """All values by field name."""
        return <dict>self.c
