"""How handlers of intercepted instructions are registered: by opcode, with what all have in common.

A handler is counted under its mnemonic; a privileged one is not called in the problem state. It
raises GuestException for the program interruptions that it finds on the way.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.psw import early_error
from worldswitch.hypervisor.exits import OpcodeTable
from worldswitch.hypervisor.outcome import RESUME, Inject, Outcome
from worldswitch.hypervisor.sie.events import GuestException, ProgramEvent, program
from worldswitch.hypervisor.sie.per import fetched_address

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


def load_psw(vcpu: "SieVcpu", mask: int, address: int) -> Outcome:
    """The end of an instruction that loads the PSW: one that is not valid is loaded all the same.

    Its specification exception has an instruction length of 0. ref: PoP 6 Early Exception
    Recognition
    """
    vcpu.sd.gbea = fetched_address(vcpu)
    vcpu.psw = mask, address
    if early_error(mask, address) is not None:
        raise GuestException(ProgramEvent(int(ProgramCode.SPECIFICATION), length=0))
    return RESUME


def require(condition: object, code: ProgramCode = ProgramCode.SPECIFICATION) -> None:
    """Raise the program interruption unless the condition holds."""
    if not condition:
        raise fail(code)
