"""Storing a guest CPU's registers: store status, and what a machine check saves. ref: PoP 4."""

from typing import TYPE_CHECKING

from worldswitch.arch.s390x.lowcore import STATUS_AREA_OFFSET, STATUS_AREA_SIZE, Lowcore
from worldswitch.arch.s390x.machine_check import MachineCheckCode
from worldswitch.hypervisor.sie.access import real_to_absolute, write_real
from worldswitch.hypervisor.sie.registers import MASK64

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

VALID = (
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
VECTOR_AREA = 512
MCESAD_ORIGIN = 0xFFFF_FFFF_FFFF_FC00


def status_area(vcpu: "SieVcpu") -> bytes:
    """The 512 bytes that store status writes."""
    sd, registers = vcpu.sd, vcpu.registers
    area = bytearray(Lowcore.block_size)
    block = Lowcore(area)
    for n in range(16):
        block.fpr_save[n] = registers.fr[n]
        block.gpr_save[n] = vcpu.gr[n]
        block.access_regs_save[n] = registers.ar[n]
        block.control_regs_save[n] = sd.gcr[n]
    block.psw_save.mask, block.psw_save.addr = sd.gpsw_mask, sd.gpsw_addr
    block.prefix_save = vcpu.prefix
    block.fpc_save = registers.fpc
    block.todpr_save = sd.todpr
    block.cpu_timer_save = vcpu.timers.cpu_timer()
    block.clock_comp_save = sd.ckc >> 8 & MASK64
    return bytes(area[STATUS_AREA_OFFSET : STATUS_AREA_OFFSET + STATUS_AREA_SIZE])


def store_status(vcpu: "SieVcpu", absolute: int | None = None) -> None:
    """Store status at an absolute address; at absolute 0 with None, as the STOP order does.

    Raises OutsideStorageError.
    """
    memory = vcpu.vm.memory
    if absolute is None:
        memory.write(Lowcore.offset_of("arch_mode_id"), b"\x01")
        absolute = STATUS_AREA_OFFSET
    memory.write(absolute, status_area(vcpu))


def save_for_machine_check(vcpu: "SieVcpu") -> int:
    """Save the registers in the lowcore; the validity bits for the interruption code."""
    write_real(vcpu, STATUS_AREA_OFFSET, status_area(vcpu))
    write_real(vcpu, Lowcore.offset_of("arch_mode_id"), b"\x01")
    valid = int(VALID)
    if vcpu.registers.vector:
        where = Lowcore.offset_of("mcesad")
        prefix = real_to_absolute(vcpu.prefix, where)
        origin = int.from_bytes(vcpu.vm.memory.read(prefix, 8), "big") & MCESAD_ORIGIN
        if origin and vcpu.vm.memory.has(origin, VECTOR_AREA):
            data = b"".join(vcpu.registers.vr[n].to_bytes(16, "big") for n in range(32))
            vcpu.vm.memory.write(origin, data)
            valid |= MachineCheckCode.VECTOR_REGISTERS_VALID
    return valid
