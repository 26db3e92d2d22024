"""What a machine-check interruption saves besides the PSW.

ref: PoP 11 Machine-Check Interruption.
"""

from worldswitch.arch.s390x.control_registers import Cr0
from worldswitch.arch.s390x.lowcore import Lowcore
from worldswitch.arch.s390x.machine_check import MachineCheckCode
from worldswitch.engine import bswap, peek_u64, poke_u32, poke_u64, typed, u64
from worldswitch.metal.s390x.codecache import code_written
from worldswitch.metal.s390x.dat import lowcore_host
from worldswitch.metal.s390x.state import Cpu
from worldswitch.metal.s390x.timers import tod_now

SAVE_AREAS = 0x1000
MCESAD = Lowcore.offset_of("mcesad") - SAVE_AREAS
FPR_SAVE = Lowcore.offset_of("fpr_save") - SAVE_AREAS
GPR_SAVE = Lowcore.offset_of("gpr_save") - SAVE_AREAS
FPC_SAVE = Lowcore.offset_of("fpc_save") - SAVE_AREAS
TODPR_SAVE = Lowcore.offset_of("todpr_save") - SAVE_AREAS
TIMER_SAVE = Lowcore.offset_of("cpu_timer_save") - SAVE_AREAS
COMPARATOR_SAVE = Lowcore.offset_of("clock_comp_save") - SAVE_AREAS
AR_SAVE = Lowcore.offset_of("access_regs_save") - SAVE_AREAS
CR_SAVE = Lowcore.offset_of("control_regs_save") - SAVE_AREAS
MCESA_ORIGIN = 0xFFFF_FFFF_FFFF_FC00
VECTOR_BYTES = 512
VECTOR_CONTROL = int(Cr0.VECTOR)
VECTORS_VALID = int(MachineCheckCode.VECTOR_REGISTERS_VALID)
VALID = int(
    MachineCheckCode.PSW_MWP_VALID
    | MachineCheckCode.PSW_MASK_AND_KEY_VALID
    | MachineCheckCode.PROGRAM_MASK_AND_CC_VALID
    | MachineCheckCode.INSTRUCTION_ADDRESS_VALID
    | MachineCheckCode.FLOATING_POINT_REGISTERS_VALID
    | MachineCheckCode.GENERAL_REGISTERS_VALID
    | MachineCheckCode.CONTROL_REGISTERS_VALID
    | MachineCheckCode.STORAGE_LOGICAL_VALID
    | MachineCheckCode.ACCESS_REGISTERS_VALID
    | MachineCheckCode.TOD_PROGRAMMABLE_REGISTER_VALID
    | MachineCheckCode.FLOATING_POINT_CONTROL_VALID
    | MachineCheckCode.CPU_TIMER_VALID
    | MachineCheckCode.CLOCK_COMPARATOR_VALID
)


@typed(inline=False)
def save_vectors(cpu: Cpu, origin: u64) -> bool:
    """Store the vector registers in the extended save area; False if it lies outside storage."""
    if origin == 0 or origin + VECTOR_BYTES > cpu.ram_size or origin + VECTOR_BYTES < origin:
        return False
    code_written(cpu, origin, VECTOR_BYTES)
    n: u64 = 0
    while n < 64:
        poke_u64(cpu.ram + origin + n * 8, bswap(cpu.vr[n]))
        n += 1
    return True


@typed(leaves=True, inline=False)
def save_registers(cpu: Cpu) -> u64:
    """Store all registers in the lowcore's save areas; returns the validity bits of the code."""
    base = lowcore_host(cpu, SAVE_AREAS)
    n: u64 = 0
    while n < 16:
        poke_u64(base + FPR_SAVE + n * 8, bswap(cpu.vr[n * 2]))
        poke_u64(base + GPR_SAVE + n * 8, bswap(cpu.gr[n]))
        poke_u64(base + CR_SAVE + n * 8, bswap(cpu.cr[n]))
        poke_u32(base + AR_SAVE + n * 4, bswap(cpu.ar[n]))
        n += 1
    poke_u32(base + FPC_SAVE, bswap(cpu.fpc))
    poke_u32(base + TODPR_SAVE, bswap(cpu.todpr))
    timer = cpu.timer_deadline - (tod_now(cpu) - cpu.epoch)
    poke_u64(base + TIMER_SAVE, bswap(timer))
    poke_u64(base + COMPARATOR_SAVE, bswap(cpu.clock_comparator >> 8))
    valid: u64 = VALID
    area = bswap(peek_u64(base + MCESAD)) & MCESA_ORIGIN
    if cpu.cr[0] & VECTOR_CONTROL != 0 and save_vectors(cpu, area):
        valid = valid | VECTORS_VALID
    return valid
