"""How handlers of intercepted instructions are registered: by opcode, with what all have in common.

A handler is counted under its mnemonic; a privileged one is not called in the problem state. It
raises GuestException for the program interruptions that it finds on the way.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.hypervisor.exits import OpcodeTable
from worldswitch.hypervisor.outcome import Inject, Outcome
from worldswitch.hypervisor.sie.events import GuestException, ProgramEvent, program

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

Handler = Callable[["SieVcpu"], Outcome]


class Instructions:
    """The handlers of one opcode group."""

    def __init__(self, name: str) -> None:
        self.table: OpcodeTable[SieVcpu] = OpcodeTable(name)

    def on(self, code: int, mnemonic: str, privileged: bool = True) -> Callable[[Handler], Handler]:
        """Decorator: the handler of one opcode of the group."""
        counter = f"instruction_{mnemonic}"

        def add(handler: Handler) -> Handler:
            def checked(vcpu: "SieVcpu") -> Outcome:
                vcpu.statistics.count(counter)
                if privileged and vcpu.problem_state():
                    return Inject(program(ProgramCode.PRIVILEGED_OPERATION))
                return handler(vcpu)

            self.table.add(code, checked)
            return handler

        return add

    def get(self, code: int) -> Handler | None:
        """The handler of an opcode, or None."""
        return self.table.get(code)


def fail(code: ProgramCode) -> GuestException:
    """The exception to raise for a program interruption without parameters."""
    return GuestException(ProgramEvent(int(code)))


def require(condition: object, code: ProgramCode = ProgramCode.SPECIFICATION) -> None:
    """Raise the program interruption unless the condition holds."""
    if not condition:
        raise fail(code)
