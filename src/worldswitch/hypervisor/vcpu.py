"""A virtual CPU, whatever the facility: the loop of entry, exit, handler and outcome."""

from abc import ABC, abstractmethod
from collections import deque
from enum import IntEnum
from typing import Any, ClassVar

from worldswitch.hypervisor.outcome import (
    RESUME,
    Inject,
    Outcome,
    Preempted,
    Resume,
    RunEnd,
    Stopped,
    ToMachine,
    Wait,
    Yield,
)
from worldswitch.hypervisor.statistics import Statistics
from worldswitch.hypervisor.vm import Vm

RECENT = 10
"""Exits that are kept for a diagnosis."""


class Vcpu(ABC):
    """What all virtual CPUs have. A facility's own fills in how to enter, handle and inject."""

    ADDRESS_NAME: ClassVar[str] = "psw"
    """What the architecture calls the register with the guest's instruction address."""

    def __init__(self, vm: Vm, address: int) -> None:
        self.vm = vm
        self.address = address
        self.statistics = Statistics()
        self.recent: deque[tuple[str, int]] = deque(maxlen=RECENT)
        """The last exits: reason and guest instruction address."""
        self.left_at = 0
        """Where the guest was when it was left last; `enter` sets it."""
        self.failed: Stopped | None = None
        """Why the virtual CPU can never run again, if so."""

    @abstractmethod
    def now(self) -> int:
        """The host's clock."""

    @abstractmethod
    def prepare(self) -> RunEnd | None:
        """Make the guest ready to be entered: deliver what is pending. Not None: do not enter."""

    @abstractmethod
    def enter(self) -> IntEnum | RunEnd:
        """Issue the entry instruction; the exit's reason, or the end of the run.

        After an exit `left_at` is the guest's instruction address.
        """

    @abstractmethod
    def handle(self, reason: IntEnum) -> Outcome:
        """The handler's outcome of an exit."""

    @abstractmethod
    def instruction_address(self) -> int:
        """Where the guest is."""

    @abstractmethod
    def advance(self, distance: int) -> None:
        """Move the guest's instruction address.

        Nothing calls this but `apply`, and the interruption action where it picks the old PSW.
        """

    @abstractmethod
    def inject(self, event: Any) -> None:
        """Make an event pending for this virtual CPU."""

    @abstractmethod
    def runnable(self) -> bool:
        """Whether `run` would execute guest instructions or has an event to deliver."""

    @abstractmethod
    def wake_time(self) -> int | None:
        """Host time at which a waiting virtual CPU becomes runnable by itself; None if never."""

    def run(self) -> RunEnd:
        """Run the guest until the machine is needed, the slice ends, or there is nothing to do."""
        if self.failed is not None:
            return self.failed
        # Bound once: the loop is on the path of every exit.
        vm, statistics = self.vm, self.statistics
        prepare, enter, handle = self.prepare, self.enter, self.handle
        exits, keep = statistics.exits, self.recent.append
        reason: IntEnum | RunEnd | None = None
        name = ""
        while True:
            end = prepare()
            if end is not None:
                break
            if reason is None and statistics.waiting:
                statistics.entered(self.now())
            reason = self._traced_enter() if vm.sink is not None else enter()
            if not isinstance(reason, IntEnum):
                return reason
            name = reason._name_  # what `name` returns, five times as fast
            exits[name] += 1
            keep((name, self.left_at))
            outcome = vm.hooked(self, reason) if vm.hooks else None
            if outcome is None:
                outcome = handle(reason)
            if outcome is RESUME:
                continue
            if type(outcome) is Resume:  # nearly all the others
                if outcome.advance:
                    self.advance(outcome.advance)
                continue
            end = outcome if type(outcome) is ToMachine else self.apply(outcome)
            if end is not None:
                break
        if name:
            statistics.waits(name, self.now())
        return end

    def _traced_enter(self) -> IntEnum | RunEnd:
        """Enter, and tell the sink of entry and exit."""
        sink = self.vm.sink
        assert sink is not None
        sink.entered(self.now(), self.address)
        reason = self.enter()
        name = reason.name if isinstance(reason, IntEnum) else "PREEMPTED"
        fields = {self.ADDRESS_NAME: f"{self.instruction_address():#x}"}
        sink.left(self.now(), self.address, name, fields)
        return reason

    def apply(self, outcome: Outcome) -> RunEnd | None:
        """Do what an outcome says; the end of the run if it is one."""
        match outcome:
            case Resume(advance=0):
                return None
            case Resume(advance=distance):
                self.advance(distance)
                return None
            case Inject(event=event):
                self.inject(event)
                return None
            case Stopped():
                self.failed = outcome
                return outcome
            case Yield(to=to, advance=distance):
                if distance:
                    self.advance(distance)
                return Preempted(to)
            case Wait(advance=distance):
                if distance:
                    self.advance(distance)
                return outcome
            case ToMachine():
                return outcome

    def trace(self, name: str, **fields: int | str) -> None:
        """Tell the sink, if there is one. Callers on hot paths look at `vm.sink` first."""
        sink = self.vm.sink
        if sink is not None:
            sink.event(self.now(), self.address, name, fields)
