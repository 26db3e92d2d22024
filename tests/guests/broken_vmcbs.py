"""VMCBs for the consistency checks: legal ones, and for each rule one that breaks it alone."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from worldswitch.arch.x86.models import cpu_model
from worldswitch.arch.x86.registers import DR6_RESET, DR7_RESET, PAT_RESET, Cr0, Cr4, Efer
from worldswitch.arch.x86.segments import SegAttr
from worldswitch.arch.x86.svm_controls import (
    EventType,
    Intercept1,
    Intercept2,
    NestedControl,
    TlbControl,
    event,
)
from worldswitch.arch.x86.svm_host import SvmHost
from worldswitch.arch.x86.vmcb import Vmcb

HOST = SvmHost.of(cpu_model("epyc-genoa"))
BITS = HOST.physical_bits
OLD = SvmHost.of(cpu_model("epyc-milan,-flushbyasid,-npt,-shstk,-la57,-vnmi"))
SHORT = replace(HOST, features=HOST.features - {"lm"})
NO_PAGING = replace(HOST, paging=False)

CODE64 = SegAttr.TYPE_CODE | SegAttr.TYPE_W | SegAttr.S | SegAttr.P | SegAttr.L | SegAttr.G

Make = Callable[[], Vmcb]


def changed(block: Vmcb, **values: Any) -> Vmcb:
    """The block with fields of either area set."""
    for name, value in values.items():
        if name == "cs_attrib":
            block.save.cs.attrib = value
            continue
        areas = [area for area in (block.control, block.save) if hasattr(area, name)]
        assert len(areas) == 1, name
        setattr(areas[0], name, value)
    return block


def real_mode(**values: Any) -> Vmcb:
    """A guest as a processor comes out of reset, without nested paging."""
    block = changed(
        Vmcb.new(),
        asid=1,
        intercept_2=Intercept2.VMRUN,
        efer=Efer.SVME,
        cr0=Cr0.CD | Cr0.NW | Cr0.ET,
        dr6=DR6_RESET,
        dr7=DR7_RESET,
        rip=0xFFF0,
        rflags=2,
    )
    return changed(block, **values)


def long_mode(**values: Any) -> Vmcb:
    """A 64-bit guest with nested paging and everything turned on that a kernel turns on."""
    block = real_mode(
        asid=7,
        intercept_1=Intercept1.INTR | Intercept1.NMI | Intercept1.MSR_PROT | Intercept1.IOIO_PROT,
        iopm_base_pa=0x10_0000,
        msrpm_base_pa=0x20_0000,
        nested_control=NestedControl.NP_ENABLE,
        nested_cr3=0x30_0000,
        tlb_control=TlbControl.FLUSH_GUEST,
        event_inj=event(EventType.EXCEPTION, 14, 2),
        efer=Efer.SVME | Efer.LME | Efer.LMA | Efer.NXE | Efer.SCE,
        cr0=Cr0.PE | Cr0.PG | Cr0.WP | Cr0.NE | Cr0.ET | Cr0.MP | Cr0.AM,
        cr3=0x1000,
        cr4=Cr4.PAE | Cr4.PGE | Cr4.OSFXSR | Cr4.SMEP | Cr4.SMAP | Cr4.CET,
        g_pat=PAT_RESET,
        cs_attrib=CODE64,
        v_nmi_enable=1,
    )
    return changed(block, **values)


def _inject(kind: int, vector: int) -> Make:
    return lambda: long_mode(event_inj=(1 << 31) | (kind << 8) | vector)


# Rule, the host, a block that breaks it alone, and words of the message.
BROKEN: tuple[tuple[str, SvmHost, Make, str], ...] = (
    ("efer-svme", HOST, lambda: real_mode(efer=0), "SVME (bit 12) must be one"),
    ("efer-reserved", HOST, lambda: real_mode(efer=Efer.SVME | 2), "bits 0x2 must"),
    ("efer-reserved", HOST, lambda: real_mode(efer=Efer.SVME | 1 << 63), "bits 0x8000000000000000"),
    ("efer-long-mode", SHORT, lambda: real_mode(efer=Efer.SVME | Efer.LME), "need long mode"),
    ("efer-long-mode", SHORT, lambda: real_mode(efer=Efer.SVME | Efer.LMA), "need long mode"),
    ("cr0-caching", HOST, lambda: real_mode(cr0=Cr0.NW), "NW (bit 29)"),
    ("cr0-upper", HOST, lambda: real_mode(cr0=1 << 32), "bits 63:32"),
    ("cr3-reserved", HOST, lambda: real_mode(cr3=1 << BITS), f"bits 63:{BITS}"),
    ("cr4-reserved", HOST, lambda: real_mode(cr4=1 << 15), "bits 0x8000 must"),
    ("cr4-reserved", OLD, lambda: real_mode(cr4=Cr4.LA57), "bits 0x1000 must"),
    ("dr6-upper", HOST, lambda: real_mode(dr6=1 << 32), "DR6"),
    ("dr7-upper", HOST, lambda: real_mode(dr7=1 << 63), "DR7"),
    ("long-mode-pae", HOST, lambda: long_mode(cr4=0), "CR4.PAE (bit 5)"),
    ("long-mode-protection", HOST, lambda: long_mode(cr0=Cr0.PG | Cr0.WP), "CR0.PE (bit 0)"),
    (
        "long-mode-code-segment",
        HOST,
        lambda: long_mode(cs_attrib=CODE64 | SegAttr.DB),
        "L (bit 9) and D (bit 10)",
    ),
    ("cet-write-protection", HOST, lambda: long_mode(cr0=Cr0.PE | Cr0.PG), "CR0.WP (bit 16)"),
    ("s-cet-reserved", HOST, lambda: long_mode(s_cet=4), "bits 0x4 must"),
    ("vmrun-intercept", HOST, lambda: real_mode(intercept_2=0xFFFF_FFFE), "VMRUN (bit 0)"),
    (
        "msrpm-extent",
        HOST,
        lambda: real_mode(msrpm_base_pa=(1 << BITS) - 0x1000),
        f"beyond {BITS} bits",
    ),
    ("msrpm-extent", HOST, lambda: real_mode(msrpm_base_pa=1 << 63), "MSR permission map"),
    (
        "iopm-extent",
        HOST,
        lambda: real_mode(iopm_base_pa=(1 << BITS) - 0x2000),
        f"beyond {BITS} bits",
    ),
    ("event-injection-type", HOST, _inject(1, 32), "type 1 is reserved"),
    ("event-injection-type", HOST, _inject(5, 32), "type 5 is reserved"),
    ("event-injection-type", HOST, _inject(7, 13), "type 7 is reserved"),
    ("event-injection-vector", HOST, _inject(3, 2), "the NMI"),
    ("event-injection-vector", HOST, _inject(3, 9), "vector 9 is no exception"),
    ("event-injection-vector", HOST, _inject(3, 32), "vector 32 is no exception"),
    (
        "event-injection-vector",
        OLD,
        lambda: real_mode(event_inj=event(EventType.EXCEPTION, 21, 1)),
        "without shstk",
    ),
    ("asid-zero", HOST, lambda: real_mode(asid=0), "ASID is 0"),
    ("asid-range", HOST, lambda: real_mode(asid=HOST.asids), "the largest"),
    ("virtual-nmi-intercept", HOST, lambda: long_mode(intercept_1=0), "bit 1 at 00C"),
    ("nested-host-paging", NO_PAGING, long_mode, "CR0.PG of the host"),
    ("nested-cr3-reserved", HOST, lambda: long_mode(nested_cr3=1 << BITS), f"bits 63:{BITS}"),
    ("nested-pat", HOST, lambda: long_mode(g_pat=0x0007_0406_0002_0406), "PA2 is 0x02"),
    ("nested-pat", HOST, lambda: long_mode(g_pat=0x0807_0406_0007_0406), "PA7 is 0x08"),
)

# Blocks that come close to a rule without breaking it.
LEGAL: tuple[tuple[str, SvmHost, Make], ...] = (
    ("paged real mode", HOST, lambda: real_mode(cr0=Cr0.PG | Cr0.CD)),
    ("caches off in the usual way", HOST, lambda: real_mode(cr0=Cr0.CD)),
    ("highest CR3", HOST, lambda: real_mode(cr3=(1 << BITS) - 1)),
    ("LMA without LME and paging", HOST, lambda: real_mode(efer=Efer.SVME | Efer.LMA)),
    ("LME before paging", HOST, lambda: real_mode(efer=Efer.SVME | Efer.LME)),
    ("L and D in legacy mode", HOST, lambda: real_mode(cs_attrib=SegAttr.L | SegAttr.DB)),
    ("maps end at the limit", HOST, lambda: real_mode(
        msrpm_base_pa=(1 << BITS) - 0x2000, iopm_base_pa=(1 << BITS) - 0x3000)),
    ("low bits of maps", HOST, lambda: real_mode(
        msrpm_base_pa=(1 << BITS) - 0x1001, iopm_base_pa=(1 << BITS) - 0x2001)),
    ("invalid event with a reserved type", HOST, lambda: real_mode(event_inj=0x7FFF_FFFF)),
    ("NMI by its own type", HOST, _inject(2, 2)),
    ("any vector as an interrupt", HOST, _inject(0, 255)),
    ("software interrupt with vector 2", HOST, _inject(4, 2)),
    ("control protection", HOST, _inject(3, 21)),
    ("highest ASID", HOST, lambda: real_mode(asid=HOST.asids - 1)),
    ("flush by ASID on a part without it", OLD, lambda: real_mode(tlb_control=3)),
    ("reserved TLB control", HOST, lambda: real_mode(tlb_control=2)),
    ("no virtual NMI on this part", OLD, lambda: real_mode(v_nmi_enable=1)),
    ("PAT without nested paging", HOST, lambda: real_mode(g_pat=0x0202_0202_0202_0202)),
    ("nested CR3 without nested paging", HOST, lambda: real_mode(nested_cr3=1 << 63)),
    ("nested paging on a part without it", OLD, lambda: real_mode(
        nested_control=1, nested_cr3=1 << 63)),
    ("S_CET on a part without it", OLD, lambda: real_mode(s_cet=0xFF)),
    ("bases that are not canonical", HOST, lambda: long_mode(rflags=0, rip=1 << 63)),
    ("reserved control bits", HOST, lambda: real_mode(intercept_3=0xFFFF_FFFF)),
)  # fmt: skip
