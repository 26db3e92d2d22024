"""Words of a VMCB on hosts of either byte order."""

from worldswitch.arch.x86.vmcb import Vmcb
from worldswitch.hypervisor.svm import words


def test_words_are_the_declared_fields_in_either_byte_order() -> None:
    view = memoryview(bytearray(Vmcb.block_size))
    block = Vmcb(view)
    for order in ("little", "big"):
        quad, double = words.words(view, "Q", order), words.words(view, "I", order)
        assert len(quad) == 512
        assert len(double) == 1024
        if order == "big":
            assert isinstance(quad, words.SwappedWords)
        quad[words.RIP], quad[words.V_INTR] = 0x1122_3344_5566_7788, words.V_IRQ
        double[words.ASID], double[words.CLEAN] = 7, 8
        block.save.cs.attrib = 0x29B
        assert block.save.rip == quad[words.RIP] == 0x1122_3344_5566_7788
        assert block.control.v_irq == 1
        assert (block.control.asid, block.control.clean) == (7, 8)
        assert double[words.CS_ATTRIBUTES] & words.CS_LONG
        assert not double[words.CS_ATTRIBUTES] & words.CS_DEFAULT
