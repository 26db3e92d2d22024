"""Control instructions on the clocks and timers.

ref: PoP 10 Control Instructions; PoP 4 Timing.
"""

from worldswitch.arch.s390x.facilities import Facility
from worldswitch.arch.s390x.sie_controls import Ictl
from worldswitch.engine import typed, u32, u64
from worldswitch.metal.blocks import AddressPointer
from worldswitch.metal.s390x.insn import ALWAYS, Intercept, insn
from worldswitch.metal.s390x.insns.control_checks import in_problem_state, privileged_operation
from worldswitch.metal.s390x.leave import specification
from worldswitch.metal.s390x.memory import check_write, fetch_u64, store_u64
from worldswitch.metal.s390x.psw import recheck
from worldswitch.metal.s390x.state import OP1, OP2, Cpu
from worldswitch.metal.s390x.timers import arm_timers, tod_now

PTFF_QAF = 0
PTFF_QTO = 1
PTFF_AVAILABLE = (1 << (63 - PTFF_QAF)) | (1 << (63 - PTFF_QTO))
PTFF_PRIVILEGED = 0x40
"""Functions from this one on change the clock and are for the supervisor state."""


@typed(inline=False)
def set_clocks(cpu: Cpu, value: u64) -> None:
    """Set the TOD clock, which all processors share; the CPU timers keep their values.

    A protected guest's is the host's with a difference of its own.
    """
    delta = value - tod_now(cpu)
    if cpu.in_sie != 0:
        cpu.epoch = cpu.epoch + delta
        arm_timers(cpu)
        return
    n: u64 = 0
    while n < cpu.cpu_count:
        other = Cpu.at(AddressPointer.at(cpu.machine_cpus + n * 8).cpu)
        other.tod_base = other.tod_base + delta
        other.timer_deadline = other.timer_deadline + delta
        other.tod_last = 0
        other.check = 1
        n += 1
    arm_timers(cpu)


@insn("SCK", "B204", "S", ref="PoP 10 SET CLOCK", privileged=True, control=True, intercept=ALWAYS)
def sck(cpu: Cpu, addr2: u64) -> None:
    """Set the TOD clock."""
    if addr2 & 7 != 0:
        specification(cpu)
    set_clocks(cpu, fetch_u64(cpu, OP2, addr2))
    cpu.cc = 0


@insn("SCKC", "B206", "S", ref="PoP 10 SET CLOCK COMPARATOR", privileged=True, control=True,
      intercept=Intercept("ictl", int(Ictl.SCKC)))  # fmt: skip
def sckc(cpu: Cpu, addr2: u64) -> None:
    """Set the clock comparator."""
    if addr2 & 7 != 0:
        specification(cpu)
    cpu.clock_comparator = fetch_u64(cpu, OP2, addr2)
    arm_timers(cpu)
    recheck(cpu)


@insn("STCKC", "B207", "S", ref="PoP 10 STORE CLOCK COMPARATOR", privileged=True)
def stckc(cpu: Cpu, addr2: u64) -> None:
    """Store the clock comparator."""
    if addr2 & 7 != 0:
        specification(cpu)
    store_u64(cpu, OP2, addr2, cpu.clock_comparator)


@insn("SPT", "B208", "S", ref="PoP 10 SET CPU TIMER", privileged=True, control=True,
      intercept=Intercept("ictl", int(Ictl.SPT)))  # fmt: skip
def spt(cpu: Cpu, addr2: u64) -> None:
    """Set the CPU timer."""
    if addr2 & 7 != 0:
        specification(cpu)
    value = fetch_u64(cpu, OP2, addr2)
    cpu.timer_deadline = tod_now(cpu) - cpu.epoch + value
    arm_timers(cpu)
    recheck(cpu)


@insn("STPT", "B209", "S", ref="PoP 10 STORE CPU TIMER", privileged=True)
def stpt(cpu: Cpu, addr2: u64) -> None:
    """Store the CPU timer."""
    if addr2 & 7 != 0:
        specification(cpu)
    store_u64(cpu, OP2, addr2, cpu.timer_deadline - (tod_now(cpu) - cpu.epoch))


@insn("SCKPF", "0107", "E", ref="PoP 10 SET CLOCK PROGRAMMABLE FIELD", privileged=True,
      intercept=ALWAYS)  # fmt: skip
def sckpf(cpu: Cpu) -> None:
    """Set the TOD programmable register from general register 0."""
    if cpu.gr[0] & 0xFFFF_0000 != 0:
        specification(cpu)
    cpu.todpr = u32(cpu.gr[0] & 0xFFFF)


@insn("PTFF", "0104", "E", ref="PoP 10 PERFORM TIMING FACILITY FUNCTION",
      facility=Facility.TOD_CLOCK_STEERING, intercept=ALWAYS)  # fmt: skip
def ptff(cpu: Cpu) -> None:
    """Query functions 0 and 1; condition code 3 for the others, which are not installed."""
    function = cpu.gr[0] & 0xFF
    if function & 0x80 != 0:
        specification(cpu)
    if function >= PTFF_PRIVILEGED and in_problem_state(cpu):
        privileged_operation(cpu)
    block = cpu.gr[1] & cpu.address_mask
    cpu.cc = 0
    if function == PTFF_QAF:
        check_write(cpu, OP1, block, 16)
        store_u64(cpu, OP1, block, PTFF_AVAILABLE)
        store_u64(cpu, OP1, (block + 8) & cpu.address_mask, 0)
    elif function == PTFF_QTO:
        check_write(cpu, OP1, block, 32)
        now = tod_now(cpu)
        store_u64(cpu, OP1, block, now - cpu.epoch)
        store_u64(cpu, OP1, (block + 8) & cpu.address_mask, 0)
        store_u64(cpu, OP1, (block + 16) & cpu.address_mask, 0)
        store_u64(cpu, OP1, (block + 24) & cpu.address_mask, cpu.epoch)
    else:
        cpu.cc = 3
