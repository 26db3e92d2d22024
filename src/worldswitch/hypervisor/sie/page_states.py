"""Page states of collaborative memory management. ref: PoP 10 EXTRACT AND SET STORAGE
ATTRIBUTES."""

from enum import IntEnum


class Order(IntEnum):
    """Operation-request codes of ESSA."""

    GET_STATE = 0
    SET_STABLE = 1
    SET_UNUSED = 2
    SET_VOLATILE = 3
    SET_POTENTIALLY_VOLATILE = 4
    SET_STABLE_RESIDENT = 5
    SET_STABLE_IF_RESIDENT = 6
    SET_STABLE_NODAT = 7


class State(IntEnum):
    """Usage states as ESSA reports them."""

    STABLE = 0
    UNUSED = 1
    POTENTIALLY_VOLATILE = 2
    VOLATILE = 3


NO_DAT = 0x20
CONTENT_ZERO = 3
"""Content state: logically zero. IMPDEF: a page here is either resident (0) or zero."""


class PageStates:
    """The state of every guest page that is not stable."""

    def __init__(self) -> None:
        self._states: dict[int, State] = {}
        self._no_dat: set[int] = set()

    def state(self, page: int) -> int:
        """What ESSA reports of a page (address divided by 4096)."""
        usage = self._states.get(page, State.STABLE)
        content = CONTENT_ZERO if usage is State.UNUSED else 0
        return (NO_DAT if page in self._no_dat else 0) | usage << 2 | content

    def apply(self, page: int, order: Order) -> bool:
        """Set a page's state; True if its content may be discarded."""
        old = self._states.get(page, State.STABLE)
        if order in (Order.SET_STABLE, Order.SET_STABLE_RESIDENT, Order.SET_STABLE_NODAT):
            self._states.pop(page, None)
            self._no_dat.discard(page)
            if order is Order.SET_STABLE_NODAT:
                self._no_dat.add(page)
        elif order is Order.SET_STABLE_IF_RESIDENT:
            if old is not State.UNUSED:
                self._states.pop(page, None)
        elif order is Order.SET_UNUSED:
            self._states[page] = State.UNUSED
            return True
        elif order is Order.SET_VOLATILE:
            self._states[page] = State.VOLATILE
        elif order is Order.SET_POTENTIALLY_VOLATILE:
            self._states[page] = State.POTENTIALLY_VOLATILE
        return False
