"""Control and I/O instructions that the machine around the processor answers.

Each makes the checks that are its own (privilege, specification, access) and leaves for Python.
ref: PoP 10 Control Instructions; PoP 14 I/O Instructions.
"""

from worldswitch.arch.s390x.facilities import Facility
from worldswitch.arch.s390x.sie_controls import Ecb
from worldswitch.engine import Typed, typed, u8, u64
from worldswitch.metal.s390x.dat import host_for_write
from worldswitch.metal.s390x.insn import ALWAYS, Intercept, insn
from worldswitch.metal.s390x.insns.control_checks import addressing
from worldswitch.metal.s390x.leave import Exit, exit_to_machine, operation, specification
from worldswitch.metal.s390x.memory import check_read, check_write
from worldswitch.metal.s390x.state import OP2, Cpu

STSI_RESERVED0 = 0x0FFF_FF00
STSI_RESERVED1 = 0xFFFF_0000
SCCB_BITS = 0x7FFF_FFF8
LOWEST_8K = 0xFFFF_FFFF_FFFF_E000


@insn("SERVC", "B220", "RRE", ref="SCLP service call", privileged=True, control=True,
      intercept=ALWAYS)  # fmt: skip
def servc(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Service call: the command word in R1, the control block's absolute address in R2."""
    block = cpu.gr[r2]
    if block >= cpu.ram_size:
        addressing(cpu)
    if block & (SCCB_BITS ^ 0xFFFF_FFFF_FFFF_FFFF) != 0:
        specification(cpu)
    if block & LOWEST_8K == 0 or block & LOWEST_8K == cpu.prefix:
        specification(cpu)
    exit_to_machine(cpu, Exit.SERVICE_CALL, cpu.gr[r1] & 0xFFFF_FFFF, block, 0, 0)


@insn("DIAG", "83", "RS_a", ref="PoP 10 DIAGNOSE", privileged=True, control=True,
      intercept=ALWAYS)  # fmt: skip
def diag(cpu: Cpu, r1: u8, r3: u8, addr2: u64, text: u64) -> None:
    """Whatever the machine offers under the code in bits 48-63 of the address."""
    exit_to_machine(cpu, Exit.DIAGNOSE, addr2 & 0xFFFF, u64(r1), u64(r3), text)


@insn("STSI", "B27D", "S", ref="PoP 10 STORE SYSTEM INFORMATION", privileged=True, control=True,
      intercept=ALWAYS)  # fmt: skip
def stsi(cpu: Cpu, addr2: u64) -> None:
    """System information by function code and selectors in general registers 0 and 1.

    The last argument is the operand's absolute address; 0 for function code 0, which has none.
    """
    gr0 = cpu.gr[0]
    gr1 = cpu.gr[1]
    if gr0 & STSI_RESERVED0 != 0 or gr1 & STSI_RESERVED1 != 0:
        specification(cpu)
    function = (gr0 >> 28) & 0xF
    if function > 3 and function != 15:
        cpu.cc = 3
        return
    where: u64 = 0
    if function != 0:
        if addr2 & 0xFFF != 0:
            specification(cpu)
        where = host_for_write(cpu, OP2, addr2, 4096) - cpu.ram
    exit_to_machine(cpu, Exit.STSI, gr0, gr1, addr2, where)


@insn("PTF", "B9A2", "RRE", ref="PoP 10 PERFORM TOPOLOGY FUNCTION", privileged=True, control=True,
      facility=Facility.CONFIGURATION_TOPOLOGY,
      intercept=Intercept("ecb", int(Ecb.PTF), when=False))  # fmt: skip
def ptf(cpu: Cpu, r1: u8) -> None:
    """Topology function in bits 56-63 of R1; the other bits are zero."""
    if cpu.gr[r1] & 0xFFFF_FFFF_FFFF_FF00 != 0:
        specification(cpu)
    exit_to_machine(cpu, Exit.PTF, cpu.gr[r1], u64(r1), 0, 0)


STHYI_WORD = Facility.STORE_HYPERVISOR_INFORMATION // 64
STHYI_BIT = 1 << (63 - Facility.STORE_HYPERVISOR_INFORMATION % 64)


@insn("STHYI", "B256", "RRE", ref="STHYI instruction", control=True)
def sthyi(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Store hypervisor information: the function code in R1, a page's address in R2.

    In SIE it is an operation exception, which the hypervisor sees. It is the hypervisor that
    provides the facility, whether the processor has it or not.
    """
    if cpu.in_sie != 0 and cpu.sie_protected == 0:
        operation(cpu)
    if cpu.facilities[STHYI_WORD] & STHYI_BIT == 0:
        operation(cpu)
    if r1 == r2 or (r1 | r2) & 1 != 0:
        specification(cpu)
    where: u64 = 0
    if cpu.gr[r1] & 0xFFFF == 0:
        if cpu.gr[r2] & 0xFFF != 0:
            specification(cpu)
        where = host_for_write(cpu, OP2, cpu.gr[r2] & cpu.address_mask, 4096) - cpu.ram
    exit_to_machine(cpu, Exit.STHYI, cpu.gr[r1], cpu.gr[r2], where, (u64(r1) << 4) | u64(r2))


UV_CALL_WORD = 158 // 64
UV_CALL_BIT = 1 << (63 - 158 % 64)


@insn("UVC", "B9A4", "RRE", ref="UV call", privileged=True, control=True, intercept=ALWAYS)
def uvc(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Ultravisor call: the control block's address is in R2.

    A host issues it only where facility 158 is installed, a guest's is always intercepted.
    """
    if cpu.in_sie == 0 and cpu.facilities[UV_CALL_WORD] & UV_CALL_BIT == 0:
        operation(cpu)
    exit_to_machine(cpu, Exit.UVC, cpu.gr[r1], cpu.gr[r2], u64(r1), u64(r2))


@insn("ESSA", "B9AB", "RRF", ref="PoP 10 EXTRACT AND SET STORAGE ATTRIBUTES", privileged=True,
      intercept=ALWAYS)  # fmt: skip
def essa(cpu: Cpu) -> None:
    """UNMODELLED: collaborative memory management. Not installed; a guest's is intercepted."""
    operation(cpu)


@insn("PPA", "B2E8", "RRF", ref="PoP 7 PERFORM PROCESSOR ASSIST", leaves=False,
      facility=Facility.MISCELLANEOUS_1)  # fmt: skip
def ppa(cpu: Cpu) -> None:
    """A hint about what the program is going through; no function has an effect here."""


@typed(leaves=True)
def leave_for_io(cpu: Cpu, text: u64, address: u64) -> None:
    """Leave with the instruction's first halfword and the operand's address."""
    exit_to_machine(cpu, Exit.IO, text >> 48, address, 0, 0)


def _no_operand(mnemonic: str, opcode: str, ref: str) -> Typed:
    """An I/O instruction that works on general register 1 alone."""

    @insn(mnemonic, opcode, "S", ref=ref, privileged=True, control=True, intercept=ALWAYS)
    def io(cpu: Cpu, text: u64) -> None:
        leave_for_io(cpu, text, 0)

    return io


def _with_operand(mnemonic: str, opcode: str, ref: str, size: int, stores: bool) -> Typed:
    """An I/O instruction with an operand of `size` bytes that it fetches or stores."""

    @insn(mnemonic, opcode, "S", ref=ref, privileged=True, control=True, intercept=ALWAYS)
    def io(cpu: Cpu, addr2: u64, text: u64) -> None:
        if addr2 & 3 != 0:
            specification(cpu)
        if stores:
            check_write(cpu, OP2, addr2, size)
        else:
            check_read(cpu, OP2, addr2, size)
        leave_for_io(cpu, text, addr2)

    return io


CSCH = _no_operand("CSCH", "B230", "PoP 14 CLEAR SUBCHANNEL")
HSCH = _no_operand("HSCH", "B231", "PoP 14 HALT SUBCHANNEL")
SAL = _no_operand("SAL", "B237", "PoP 14 SET ADDRESS LIMIT")
RSCH = _no_operand("RSCH", "B238", "PoP 14 RESUME SUBCHANNEL")
RCHP = _no_operand("RCHP", "B23B", "PoP 14 RESET CHANNEL PATH")
SCHM = _no_operand("SCHM", "B23C", "PoP 14 SET CHANNEL MONITOR")
XSCH = _no_operand("XSCH", "B276", "PoP 14 CANCEL SUBCHANNEL")
MSCH = _with_operand("MSCH", "B232", "PoP 14 MODIFY SUBCHANNEL", 52, False)
SSCH = _with_operand("SSCH", "B233", "PoP 14 START SUBCHANNEL", 32, False)
STSCH = _with_operand("STSCH", "B234", "PoP 14 STORE SUBCHANNEL", 52, True)
TSCH = _with_operand("TSCH", "B235", "PoP 14 TEST SUBCHANNEL", 64, True)
STCRW = _with_operand("STCRW", "B239", "PoP 14 STORE CHANNEL REPORT WORD", 4, True)
STCPS = _with_operand("STCPS", "B23A", "PoP 14 STORE CHANNEL PATH STATUS", 32, True)


@insn("TPI", "B236", "S", ref="PoP 14 TEST PENDING INTERRUPTION", privileged=True, control=True,
      intercept=ALWAYS)  # fmt: skip
def tpi(cpu: Cpu, addr2: u64, text: u64) -> None:
    """Fetch a pending I/O interruption's code; address 0 stands for the lowcore."""
    if addr2 & 3 != 0:
        specification(cpu)
    if addr2 != 0:
        check_write(cpu, OP2, addr2, 8)
    leave_for_io(cpu, text, addr2)


@insn("CHSC", "B25F", "RRE", ref="PoP 14 CHANNEL SUBSYSTEM CALL", privileged=True, control=True,
      intercept=ALWAYS, access_registers=("r1", "r1"))  # fmt: skip
def chsc(cpu: Cpu, r1: u8, text: u64) -> None:
    """Channel-subsystem call: the page of request and response is at the address in R1."""
    address = cpu.gr[r1] & cpu.address_mask
    if address & 0xFFF != 0:
        specification(cpu)
    check_write(cpu, OP2, address, 4096)
    leave_for_io(cpu, text, address)
