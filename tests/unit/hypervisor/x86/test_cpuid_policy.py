"""What a guest's CPUID says."""

import pytest

from tests.unit.hypervisor.svm.fake_host import FakeHost, as_host
from worldswitch.arch.x86.cpuid import FEATURES, Leaf
from worldswitch.arch.x86.models import cpu_model
from worldswitch.arch.x86.registers import Cr4, Efer
from worldswitch.hypervisor.x86.cpuid_policy import HIDDEN, TIMING_LEAF, CpuidPolicy
from worldswitch.hypervisor.x86.options import Options

MILAN = FakeHost("epyc-milan")


def policy(*hosts: FakeHost, cpus: int = 1, options: Options | None = None) -> CpuidPolicy:
    return CpuidPolicy([as_host(host) for host in hosts or (MILAN,)], cpus, options or Options())


def told(found: CpuidPolicy, name: str, cr4: int = 0) -> bool:
    item = FEATURES[name]
    answer = found.query(item.leaf, item.subleaf, 0, cr4, 1)
    return bool(answer[("eax", "ebx", "ecx", "edx").index(item.register)] & item.mask)


def test_guest_is_told_of_its_features_and_of_no_other() -> None:
    found = policy()
    for name in FEATURES:
        assert told(found, name) == (name in found.features), name
    assert not found.features & HIDDEN


@pytest.mark.parametrize("name", ["svm", "npt", "monitor", "avx", "shstk", "ibs", "spec_ctrl"])
def test_facilities_of_the_host_alone_are_hidden(name: str) -> None:
    assert not told(policy(FakeHost("max")), name)


@pytest.mark.parametrize("name", ["lm", "nx", "sse4_2", "xsave", "fsgsbase", "smep", "rdtscp"])
def test_features_of_the_processor_are_passed_on(name: str) -> None:
    assert told(policy(), name)


def test_leaf_of_svm_is_empty() -> None:
    assert policy().query(Leaf.SVM, 0, 0, 0, 1) == (0, 0, 0, 0)


def test_feature_that_one_processor_lacks_is_nobodys() -> None:
    found = policy(MILAN, FakeHost("epyc-milan,-sse4_2"))
    assert "sse4_2" not in found.features
    assert "sse4_1" in found.features


def test_model_limits_what_the_processor_has() -> None:
    model = cpu_model("x86-64-v2")
    found = policy(options=Options(model=model))
    assert "fsgsbase" not in found.features
    assert found.query(Leaf.FEATURES, 0, 0, 0, 1)[0] == model.signature
    more = policy(FakeHost("x86-64-v2,+svm,+npt,+nrip_save"), options=Options(model=MILAN.model))
    assert "fsgsbase" not in more.features


def test_what_is_virtual_is_there_on_every_processor() -> None:
    host = FakeHost("epyc-milan,-x2apic,-arat")
    found = policy(host)
    for name in ("x2apic", "tsc_deadline", "arat", "hypervisor"):
        assert told(found, name), name
    found = policy(options=Options(x2apic=False, tsc_deadline=False, signature=b""))
    for name in ("x2apic", "tsc_deadline", "hypervisor"):
        assert not told(found, name), name


def test_osxsave_follows_cr4() -> None:
    assert told(policy(), "osxsave", Cr4.OSXSAVE)
    assert not told(policy(), "osxsave")


def test_hypervisor_leaves_name_it_and_its_clocks() -> None:
    found = policy(options=Options(tsc_hz=2_500_000_000, apic_hz=100_000_000))
    eax, *name = found.query(Leaf.HYPERVISOR, 0, 0, 0, 1)
    assert eax == TIMING_LEAF
    assert b"".join(word.to_bytes(4, "little") for word in name) == b"WorldSwitch\0"
    assert found.query(TIMING_LEAF, 0, 0, 0, 1) == (2_500_000, 100_000, 0, 0)
    silent = policy(options=Options(signature=b""))
    assert silent.query(Leaf.HYPERVISOR, 0, 0, 0, 1) == (0, 0, 0, 0)
    assert silent.query(TIMING_LEAF, 0, 0, 0, 1) == (0, 0, 0, 0)


def test_vendor_and_brand_are_the_processors() -> None:
    found = policy()
    assert found.query(Leaf.VENDOR, 0, 0, 0, 1)[1:] == MILAN.cpuid(0)[1:]
    assert found.query(Leaf.BRAND_2, 5, 0, 0, 1) == MILAN.cpuid(Leaf.BRAND_2)
    assert found.query(Leaf.EXTENDED_VENDOR, 0, 0, 0, 1) == MILAN.cpuid(Leaf.EXTENDED_VENDOR)


def test_apic_id_and_number_of_processors() -> None:
    found = policy(cpus=4)
    for number in range(4):
        ebx = found.query(Leaf.FEATURES, 0, number, 0, 1)[1]
        assert (ebx >> 24, ebx >> 16 & 0xFF) == (number, 4)
    assert told(found, "htt")
    assert told(found, "cmp_legacy")
    assert found.query(Leaf.ADDRESS_SIZES, 0, 0, 0, 1)[2] == 2 << 12 | 3
    alone = policy()
    assert not told(alone, "htt")
    assert alone.query(Leaf.FEATURES, 0, 0, 0, 1)[1] >> 16 == 0


def test_topology_has_threads_and_cores() -> None:
    found = policy(cpus=6, options=Options(threads=2))
    assert found.query(Leaf.TOPOLOGY, 0, 5, 0, 1) == (1, 2, 0x100, 5)
    assert found.query(Leaf.TOPOLOGY, 1, 5, 0, 1) == (3, 6, 0x201, 5)
    assert found.query(Leaf.TOPOLOGY, 2, 5, 0, 1) == (0, 0, 2, 5)


def test_xsave_has_the_components_that_are_switched() -> None:
    found = policy()
    assert found.xcr0_mask == 3
    assert found.query(Leaf.XSAVE, 0, 0, 0, 3) == (3, 576, 576, 0)
    assert found.query(Leaf.XSAVE, 1, 0, 0, 3)[1:] == (576, 0, 0)
    assert found.query(Leaf.XSAVE, 2, 0, 0, 3) == (0, 0, 0, 0)
    without = policy(FakeHost("epyc-milan,-xsave"))
    assert without.xcr0_mask == 0
    assert without.query(Leaf.XSAVE, 0, 0, 0, 1) == (0, 0, 0, 0)


def test_efer_bits_are_those_of_the_features() -> None:
    found = policy()
    assert found.efer_mask & Efer.SVME
    assert found.efer_mask & Efer.NXE
    assert not policy(FakeHost("epyc-milan,-nx")).efer_mask & Efer.NXE


def test_widths_of_addresses_are_the_processors() -> None:
    assert policy().query(Leaf.ADDRESS_SIZES, 0, 0, 0, 1)[0] == 48 << 8 | 48
    genoa = policy(FakeHost("epyc-genoa"))
    assert genoa.query(Leaf.ADDRESS_SIZES, 0, 0, 0, 1)[0] == 48 << 8 | 52


@pytest.mark.parametrize("leaf", [2, 4, 0x1F, 0x4000_0001, 0x8000_0026, 0xFFFF_FFFF])
def test_other_leaves_are_empty(leaf: int) -> None:
    assert policy().query(leaf, 0, 0, 0, 1) == (0, 0, 0, 0)


def test_structured_features_have_no_second_subleaf() -> None:
    assert policy().query(Leaf.STRUCTURED, 0, 0, 0, 1)[0] == 0
    assert policy().query(Leaf.STRUCTURED, 1, 0, 0, 1) == (0, 0, 0, 0)
