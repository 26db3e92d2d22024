"""What a guest's creator chooses: capabilities, clocks, topology, and how the guest is told."""

from dataclasses import dataclass

from worldswitch.arch.x86.models import CpuModel

HOLE_START = 0xC000_0000
"""Where guest storage ends below 4 GiB; the rest of it begins at 4 GiB."""
SIGNATURE = b"WorldSwitch\0"
GIGA = 10**9


@dataclass
class Options:
    """Choices for one virtual machine.

    model: what CPUID describes, as far as the processor has it; None: the processor itself.
    tsc_hz, apic_hz: frequencies in hertz of the time-stamp counter and of the local APIC timer's
    input. threads: hardware threads of a core; all cores are in one package. x2apic, tsc_deadline:
    whether the virtual local APIC has them. signature: the twelve bytes of CPUID 4000_0000; empty:
    the guest is not told that there is a hypervisor. hole_start: where storage below 4 GiB ends.
    halt_exit, pause_exit, trace_exceptions: what virtual CPUs are left for when they are created.
    """

    model: CpuModel | None = None
    tsc_hz: int = GIGA
    apic_hz: int = GIGA
    threads: int = 1
    x2apic: bool = True
    tsc_deadline: bool = True
    signature: bytes = SIGNATURE
    hole_start: int = HOLE_START
    halt_exit: bool = True
    pause_exit: bool = False
    trace_exceptions: bool = False
