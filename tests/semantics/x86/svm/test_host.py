"""The host that a hypervisor in Python runs on: `metal.x86.host.Host`."""

import pytest

from tests.semantics.x86.svm.world import RBX, VMCB, world
from worldswitch.arch.x86.msrs import Msr
from worldswitch.arch.x86.registers import Efer
from worldswitch.arch.x86.svm_controls import Intercept1
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.engine import peek_u64, poke_u64, typed, u64
from worldswitch.metal.interface import EntryResult, GeneralProtection
from worldswitch.metal.x86.host import HostShutdown
from worldswitch.metal.x86.state import Cpu

EXIT_CODE, NEXT_RIP, RIP = 0x70, 0xC8, 0x578
CPUID = int(SvmExit.CPUID)


@typed
def answer_cpuid(cpu: Cpu, block: u64) -> bool:
    """Count CPUID exits in RBX and go on behind the instruction."""
    if peek_u64(block + EXIT_CODE) != CPUID:
        return False
    poke_u64(block + RIP, peek_u64(block + NEXT_RIP))
    cpu.gr[RBX] = cpu.gr[RBX] + 1
    return True


@pytest.mark.parametrize("engine", ("native", "python"))
def test_compiled_handler_deals_with_exits(engine: str) -> None:
    w = world(engine)
    w.guest("mov $30, %esi; again: cpuid; dec %esi; jnz again; hlt",
            intercept_1=Intercept1.CPUID)  # fmt: skip
    w.gr[RBX] = 0
    w.host.handle_natively(answer_cpuid)
    try:
        assert w.run() == SvmExit.HLT
    finally:
        w.host.handle_natively(None)
    assert w.gr[RBX] == 30


def test_compiled_handler_does_not_outlast_the_slice() -> None:
    w = world()
    w.guest("again: cpuid; jmp again", v_intr_masking=1,
            intercept_1=Intercept1.CPUID | Intercept1.INTR)  # fmt: skip
    w.gr[RBX] = 0
    w.host.time_slice = 3000
    w.host.handle_natively(answer_cpuid)
    try:
        assert w.run() == SvmExit.INTR
    finally:
        w.host.handle_natively(None)
    assert 500 < w.gr[RBX] < 3000


def test_handler_that_always_goes_on_ends_with_the_slice() -> None:
    @typed
    def stubborn(cpu: Cpu, block: u64) -> bool:
        return True

    w = world()
    w.guest("hlt", asid=0)
    w.host.time_slice = 3000
    w.host.handle_natively(stubborn)
    try:
        assert w.host.vmrun(VMCB) is EntryResult.EXIT
    finally:
        w.host.handle_natively(None)


def test_vmrun_that_faults_raises() -> None:
    w = world()
    w.guest("hlt")
    for address in (VMCB + 1, 1 << 60, 0xF000_0000):
        with pytest.raises(GeneralProtection):
            w.host.vmrun(address)
    w.host.wrmsr(Msr.EFER, w.host.rdmsr(Msr.EFER) & ~Efer.SVME)
    with pytest.raises(GeneralProtection):
        w.host.vmrun(VMCB)
    w.host.wrmsr(Msr.EFER, w.host.rdmsr(Msr.EFER) | Efer.SVME)
    assert w.run() == SvmExit.HLT


def test_shutdown_that_is_not_intercepted_raises() -> None:
    w = world()
    w.guest("ud2")
    w.block.control.intercept_1 = Intercept1.HLT
    w.block.save.idtr.limit = 0
    with pytest.raises(HostShutdown):
        w.host.vmrun(VMCB)


def test_msrs_are_read_and_written_with_their_checks() -> None:
    w = world()
    w.guest("hlt")
    w.host.wrmsr(Msr.STAR, 0x1234)
    assert w.host.rdmsr(Msr.STAR) == 0x1234
    with pytest.raises(GeneralProtection):
        w.host.rdmsr(0x4000_0000)
    with pytest.raises(GeneralProtection):
        w.host.wrmsr(Msr.VM_HSAVE_PA, 0x123)
    with pytest.raises(GeneralProtection):
        w.host.vmload(VMCB + 1)
    with pytest.raises(GeneralProtection):
        w.host.xcr0 = 0


def test_cpuid_reports_svm() -> None:
    w = world()
    eax, ebx, _, edx = w.host.cpuid(0x8000_000A)
    assert (eax, ebx) == (1, 0x8000)
    assert edx & 0x2D == 0x29 | edx & 4
    assert w.host.cpuid(0x8000_0001)[2] & 4


def test_floating_point_state_goes_out_and_in() -> None:
    w = world()
    w.guest("mov $0x1234, %eax; movq %rax, %xmm3; hlt")
    w.run()
    # TOP is 6: ST(0) is the physical register 6.
    w.raw.x87_status, w.raw.x87_tags = 6 << 11, 0xC0
    w.raw.st[6], w.raw.st_exponent[6] = 1 << 63, 0x3FFF
    image = w.host.fxsave()
    assert len(image) == 512
    assert image[32:42] == bytes.fromhex("0000000000000080ff3f")
    assert image[4] == 0xC0
    assert image[160 + 48 : 160 + 56] == (0x1234).to_bytes(8, "little")
    w.guest("movq %xmm3, %rax; hlt")
    w.raw.xmm[12] = w.raw.st[6] = w.raw.st_exponent[6] = w.raw.x87_status = 0
    w.host.fxrstor(image)
    assert w.host.fxsave() == image
    assert (w.raw.st[6], w.raw.st_exponent[6]) == (1 << 63, 0x3FFF)
    w.run()
    assert w.block.save.rax == 0x1234
    with pytest.raises(GeneralProtection):
        w.host.fxrstor(image[:24] + b"\xff\xff\xff\xff" + image[28:])
