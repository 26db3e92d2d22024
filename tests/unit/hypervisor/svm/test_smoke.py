from tests.unit.hypervisor.svm.fake_host import Guest, leave
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.hypervisor.outcome import Preempted

def test_smoke():
    g = Guest(leave(SvmExit.CPUID, length=2, gr={0: 0x40000000}))
    assert g.run() == Preempted()
    assert g.cpu.gr[0] == 0x40000010
    assert g.cpu.rip == 0xFFF2
