"""Exit handlers that are compiled: a host deals with an exit without leaving native code."""

from typing import Any

from worldswitch.engine import Typed, address_of, call_native, typed, u64
from worldswitch.engine.build import Image, compile_function
from worldswitch.engine.intrinsics import entry_in_python
from worldswitch.metal.x86.state import Cpu


@typed(inline=False)
def dealt_with(cpu: Cpu) -> bool:
    """Whether a compiled handler has dealt with the exit just made, and the guest goes on.

    Every exit takes an instruction's time, so that the host's slice ends in any case.
    """
    if cpu.exit_handler == 0 or cpu.running != 1:
        return False
    cpu.budget -= 1
    if call_native(cpu.exit_handler, address_of(cpu)) == 0:
        return False
    cpu.exit_reason = 0
    cpu.vm_request = cpu.vmcb_physical + 1
    return True


class CompiledHandler:
    """A handler in native form, or as it stands where the engine is Python. Keep it while in use.

    handler: `(cpu: Cpu, block: u64) -> bool`, typed. It is called after each #VMEXIT, with the
    host's registers in `cpu` and the address in this process of the VMCB; True is VMRUN again.
    """

    def __init__(self, handler: Typed[Any, Any], image: Image | None) -> None:
        @typed(name=f"exit_{handler.name}")
        def entry(where: u64) -> u64:
            cpu = Cpu.at(where)
            if handler(cpu, cpu.vmcb):
                return 1
            return 0

        if image is None:
            self.address = entry_in_python(entry)
        else:
            self._image = compile_function(entry, image)
            self.address = self._image.address(entry.symbol)
