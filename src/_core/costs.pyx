"""A cost profile as a C struct, filled by name from a `hinting.costs.CostProfile`.

The list of names is the struct in costs.pxd; a field that the table does not have, or a cost that has no field, is
refused when a profile is loaded.
"""

from hinting.errors import CostError

SECTIONS = ("guest", "mem", "sched", "virt", "host", "fault", "swap", "dev", "size")


def field_names() -> tuple[str, ...]:
    """Names of the fields of costs_t, in the order of the struct."""
    cdef costs_t none
    return tuple(<dict>none)


def fields() -> frozenset[str]:
    """The same as a set."""
    return frozenset(field_names())


def nr_cards() -> int:
    """Cards of a deck of costs that vary."""
    return NR_CARDS


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

    cdef deck_t deck(self, cards, uint64_t seed) except *:
        """A deck over the rows of an array, one column a field, which must outlive it; None: costs are constant."""
        cdef deck_t d
        cdef const double[:, ::1] rows
        d.card, d.seed, d.draws = NULL, seed, 0
        if cards is not None:
            rows = cards
            if rows.shape[0] != NR_CARDS or rows.shape[1] * sizeof(double) != sizeof(costs_t):
                raise CostError(f"cards must be {NR_CARDS} rows of {sizeof(costs_t) // sizeof(double)} costs, "
                                f"got {rows.shape[0]} of {rows.shape[1]}")
            d.card = <const costs_t *>&rows[0, 0]
        return d

    def as_dict(self):
        """All values by field name."""
        return <dict>self.c
