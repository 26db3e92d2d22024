"""Exit handlers that are compiled: a host deals with an exit without leaving native code."""

from typing import Any

from worldswitch.engine import Typed, address_of, call_native, typed, u32, u64
from worldswitch.engine.build import Image, compile_function
from worldswitch.engine.intrinsics import entry_in_python
from worldswitch.metal.s390x.leave import Exit
from worldswitch.metal.s390x.sie.block import offset, sd_u8
from worldswitch.metal.s390x.sie.known import is_known
from worldswitch.metal.s390x.state import Cpu

SDF = offset("sdf")


@typed(inline=False)
def dealt_with(cpu: Cpu) -> bool:
    """Whether a compiled handler has dealt with the exit just made, and the guest goes on.

    A handler that changes what the entry checks read is left at once, for them to be made.
    Protected guests have no such handlers: the Ultravisor is between them and the host.
    """
    if cpu.exit_handler == 0 or cpu.exit_reason != Exit.SIE_DONE or sd_u8(cpu, SDF) != 0:
        return False
    if call_native(cpu.exit_handler, address_of(cpu)) == 0:
        return False
    if not is_known(cpu, cpu.sie_block):
        cpu.exit_reason = u32(Exit.SIE_CHECK)
        return False
    cpu.exit_reason = 0
    cpu.sie_request = cpu.sie_block
    return True


class CompiledHandler:
    """A handler in native form, or as it stands where the engine is Python. Keep it while in use.

    handler: `(cpu: Cpu, block: u64) -> bool`, typed. It is called after each interception, with
    the host's registers in `cpu` and the address in this process of the state description; True
    sends the guest on.
    """

    def __init__(self, handler: Typed[Any, Any], image: Image | None) -> None:
        @typed(name=f"exit_{handler.name}")
        def entry(where: u64) -> u64:
            cpu = Cpu.at(where)
            if handler(cpu, cpu.sie_block):
                return 1
            return 0

        if image is None:
            self.address = entry_in_python(entry)
        else:
            self._image = compile_function(entry, image)
            self.address = self._image.address(entry.symbol)
