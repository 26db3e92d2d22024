"""Opcode 83: DIAGNOSE. ref: DIAG function codes."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from worldswitch.arch.control_block import ControlBlock, at, control_block, u16, u64
from worldswitch.arch.s390x.diag import Diag258Subcode, Diag308Subcode, DiagCode, KvmHypercall
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.translation import PAGE_SIZE
from worldswitch.hypervisor.outcome import RESUME, Outcome, ToMachine, Yield
from worldswitch.hypervisor.requests import Diagnose, Reset, ResetFlags
from worldswitch.hypervisor.sie import operands
from worldswitch.hypervisor.sie.access import read_real, real_to_absolute
from worldswitch.hypervisor.sie.instructions.privilege import Instructions, fail, require
from worldswitch.hypervisor.sie.registers import MASK64

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

group = Instructions("opcode 83")
CODE = 0xFFFF
LOWCORE_END = 2 * PAGE_SIZE
HANDSHAKE_OK, HANDSHAKE_NONE, HANDSHAKE_PRESENT = 0, 4, 8
SHORTEST_BLOCK, REFERENCE_BLOCK = 5, 0x258
NO_COOKIE = (1 << 64) - 22
"""What a notification through DIAGNOSE X'500' returns if there is no such device: -EINVAL."""


@control_block(size=40, byteorder="big", ref="DIAG 258")
class HandshakeBlock(ControlBlock):
    """The parameter block of DIAGNOSE X'258'."""

    diagnose: u16 = at(0, ref="DIAG 258", doc="258")
    subcode: u16 = at(2, ref="DIAG 258")
    length: u16 = at(4, ref="DIAG 258", doc="in doublewords")
    version: u16 = at(6, ref="DIAG 258")
    token: u64 = at(8, ref="DIAG 258", doc="address of the token")
    select: u64 = at(16, ref="DIAG 258")
    compare: u64 = at(24, ref="DIAG 258")
    zarch: u64 = at(32, ref="DIAG 258")


@group.on(0, "diagnose")
def diagnose(vcpu: "SieVcpu") -> Outcome:
    """By the code in bits 48-63 of the address; what is not known here is the machine's."""
    code = operands.storage(vcpu)[0] & CODE
    name = f"{code:x}" if code in _CODES else "other"  # so that a guest cannot fill the table
    vcpu.statistics.count(f"instruction_diagnose_{name}")
    if vcpu.vm.sink is not None:
        vcpu.trace("diagnose", code=code)
    handler = _CODES.get(code)
    return to_machine(vcpu) if handler is None else handler(vcpu)


def to_machine(vcpu: "SieVcpu") -> Outcome:
    """The machine knows the code, or presents a specification exception."""
    r1, r3 = operands.registers_rs(vcpu)
    return ToMachine(Diagnose(operands.storage(vcpu)[0] & CODE, r1, r3))


def release_pages(vcpu: "SieVcpu") -> Outcome:
    """Give back the pages from R1 to R3, both included, which are real addresses."""
    r1, r3 = operands.registers_rs(vcpu)
    start, last = vcpu.gr[r1], vcpu.gr[r3]
    end = last + PAGE_SIZE
    require(not (start | last) & PAGE_SIZE - 1 and start < end <= 1 << 64 and start >= LOWCORE_END)
    prefix = vcpu.prefix
    behind, end = prefix + LOWCORE_END, min(end, vcpu.vm.memory.size)
    for page in range(max(start, prefix), min(end, behind), PAGE_SIZE):
        vcpu.vm.gmap.discard(real_to_absolute(prefix, page))
    for first, last in ((start, min(end, prefix)), (max(start, behind), end)):
        if first < last:
            vcpu.vm.gmap.discard(first, last - first)
    return RESUME


def page_fault_handshake(vcpu: "SieVcpu") -> Outcome:
    """Agree on a token for page faults that the host resolves later. Here it never has any."""
    r1, r3 = operands.registers_rs(vcpu)
    # A protected guest's parameter block is out of reach, and its page faults are the Ultravisor's.
    require(not vcpu.gr[r1] & 7 and not vcpu.protected)
    data = read_real(vcpu, vcpu.gr[r1], HandshakeBlock.block_size)
    block = HandshakeBlock(data)
    require(
        block.version == 2 and block.length >= SHORTEST_BLOCK and block.diagnose == REFERENCE_BLOCK
    )
    if block.subcode == Diag258Subcode.TOKEN:
        if vcpu.fault_handshake != MASK64:
            vcpu.gr[r3] = HANDSHAKE_PRESENT
            return RESUME
        require(block.compare & block.select == block.compare and not block.token & 7)
        require(block.zarch == 1 << 63)
        require(vcpu.vm.memory.has(block.token, 8), ProgramCode.ADDRESSING)
        vcpu.fault_handshake = block.token
        vcpu.gr[r3] = HANDSHAKE_OK
        return RESUME
    if block.subcode == Diag258Subcode.CANCEL:
        require(not (block.token or block.select or block.compare or block.zarch))
        had_one = vcpu.fault_handshake != MASK64
        vcpu.fault_handshake = MASK64
        vcpu.gr[r3] = HANDSHAKE_OK if had_one else HANDSHAKE_NONE
        return RESUME
    raise fail(ProgramCode.SPECIFICATION)


def time_slice_end(vcpu: "SieVcpu") -> Outcome:
    """The guest spins: let another virtual CPU run."""
    return Yield()


def directed_yield(vcpu: "SieVcpu") -> Outcome:
    """The guest waits for the virtual CPU whose address is in R1: let that one run."""
    r1, _ = operands.registers_rs(vcpu)
    address = vcpu.gr[r1] & CODE
    target = vcpu.vm.vcpu(address)
    if target is None or target is vcpu or not target.runnable():
        vcpu.statistics.count("diag_9c_ignored")
        return RESUME
    return Yield(address)


def ipl(vcpu: "SieVcpu") -> Outcome:
    """Subcodes 3 and 4 stop the CPU and end in a re-IPL; the others are the machine's."""
    r1, r3 = operands.registers_rs(vcpu)
    subcode = vcpu.gr[r3] & CODE
    if subcode == Diag308Subcode.LOAD_CLEAR:
        flags = ResetFlags.CLEAR
    elif subcode == Diag308Subcode.LOAD_NORMAL_DUMP:
        flags = ResetFlags(0)
    else:
        del r1
        return to_machine(vcpu)
    if not vcpu.vm.options.user_cpu_state:
        vcpu.stop()
    return ToMachine(Reset(flags | ResetFlags.SUBSYSTEM | ResetFlags.IPL | ResetFlags.CPU_INIT))


def hypercall(vcpu: "SieVcpu") -> Outcome:
    """A notification to a virtio device on the channel subsystem, or another function."""
    if vcpu.vm.options.css_support or vcpu.gr[1] != KvmHypercall.VIRTIO_CCW_NOTIFY:
        return to_machine(vcpu)
    vcpu.gr[2] = NO_COOKIE
    return RESUME


_CODES: dict[int, Callable[["SieVcpu"], Outcome]] = {
    DiagCode.RELEASE_PAGES: release_pages,
    DiagCode.YIELD: time_slice_end,
    DiagCode.DIRECTED_YIELD: directed_yield,
    DiagCode.PAGE_FAULT_HANDSHAKE: page_fault_handshake,
    DiagCode.IPL: ipl,
    DiagCode.KVM_HYPERCALL: hypercall,
}
