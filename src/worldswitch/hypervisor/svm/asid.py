"""Address-space identifiers of a physical processor. ref: APM2 15.16 TLB Control"""


class AsidPool:
    """Gives out ASIDs 1 to `count` - 1 in turn; a new generation begins when they are used up.

    A virtual CPU's ASID is good for one generation of one processor.
    """

    def __init__(self, count: int, flush_by_asid: bool) -> None:
        self.count = count
        self.flush_by_asid = flush_by_asid
        self.generation = 0
        self.last = count - 1
        """The highest there is, so that the first one given out begins generation 1."""

    def allocate(self) -> bool:
        """Make `last` the next ASID; whether that has begun a generation."""
        self.last += 1
        if self.last < self.count:
            return False
        self.last = 1
        self.generation += 1
        return True
