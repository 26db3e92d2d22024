"""The compiled handlers of the rows of exits: typed functions, for native code to call."""

from worldswitch.arch.x86.svm_exits import IOIO_PORT_SHIFT, SvmExit
from worldswitch.engine import peek_u64, poke_u64, typed, u64
from worldswitch.metal.x86.state import RBX, RCX, RDX, Cpu
from worldswitch.metal.x86.svm.block import control, save

EXIT_CODE, NEXT_RIP, RIP = control("exit_code"), control("next_rip"), save("rip")
EXIT_INFO_1, EXIT_INFO_2 = control("exit_info_1"), control("exit_info_2")
IOIO, NPF = int(SvmExit.IOIO), int(SvmExit.NPF)
CPUID, HLT, MSR = int(SvmExit.CPUID), int(SvmExit.HLT), int(SvmExit.MSR)
FINISH_PORT = 0x501
DEVICE = 0x1000_0000
"""Where the guest accesses memory that is not there."""
ACCESS_LENGTH = 2
"""Bytes of the instruction that accesses a device, whose next one's address is not saved."""


@typed
def handle(cpu: Cpu, block: u64) -> bool:
    """Let the guest go on behind the instruction that left it."""
    code = peek_u64(block + EXIT_CODE)
    if code == NPF and peek_u64(block + EXIT_INFO_2) == DEVICE:
        poke_u64(block + RIP, peek_u64(block + RIP) + ACCESS_LENGTH)
        return True
    port = code == IOIO and peek_u64(block + EXIT_INFO_1) >> IOIO_PORT_SHIFT != FINISH_PORT
    if code == CPUID or code == HLT:
        port = True
    if port or code == MSR:
        poke_u64(block + RIP, peek_u64(block + NEXT_RIP))
        return True
    return False


@typed
def handle_switch(cpu: Cpu, block: u64) -> bool:
    """Read one register and write three, as the handler in Python does."""
    if peek_u64(block + EXIT_CODE) != CPUID:
        return False
    value = (cpu.gr[RBX] + 1) & 0xFFFF
    cpu.gr[RBX] = value
    cpu.gr[RCX] = value
    cpu.gr[RDX] = value
    poke_u64(block + RIP, peek_u64(block + NEXT_RIP))
    return True
