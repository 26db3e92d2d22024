"""CPU models: CPUID words, reserved bits of registers, and added and removed features."""

import pytest

from worldswitch.arch.x86.cpuid import FEATURES, INTEL_ONLY, REQUIRES, feature, with_requirements
from worldswitch.arch.x86.models import MODELS, cpu_model
from worldswitch.arch.x86.registers import Cr4, Efer


@pytest.mark.parametrize("name", MODELS)
def test_model_has_what_its_features_need(name: str) -> None:
    model = MODELS[name]
    assert FEATURES.keys() >= model.features
    assert with_requirements(model.features) == model.features
    assert not model.features & INTEL_ONLY
    assert bool(model.asids) == model.has("svm")


def test_requirements_name_features() -> None:
    assert FEATURES.keys() >= REQUIRES.keys()
    assert FEATURES.keys() >= {name for names in REQUIRES.values() for name in names}


@pytest.mark.parametrize(
    ("name", "leaf", "subleaf", "register", "bit"),
    [
        ("fpu", 1, 0, "edx", 0), ("htt", 1, 0, "edx", 28), ("sse4_2", 1, 0, "ecx", 20),
        ("x2apic", 1, 0, "ecx", 21), ("hypervisor", 1, 0, "ecx", 31), ("pcid", 1, 0, "ecx", 17),
        ("fsgsbase", 7, 0, "ebx", 0), ("smep", 7, 0, "ebx", 7), ("smap", 7, 0, "ebx", 20),
        ("avx512vl", 7, 0, "ebx", 31), ("pku", 7, 0, "ecx", 3), ("shstk", 7, 0, "ecx", 7),
        ("la57", 7, 0, "ecx", 16), ("rdpid", 7, 0, "ecx", 22), ("ibt", 7, 0, "edx", 20),
        ("spec_ctrl", 7, 0, "edx", 26), ("ssbd", 7, 0, "edx", 31),
        ("svm", 0x80000001, 0, "ecx", 2), ("topoext", 0x80000001, 0, "ecx", 22),
        ("mwaitx", 0x80000001, 0, "ecx", 29), ("nx", 0x80000001, 0, "edx", 20),
        ("pdpe1gb", 0x80000001, 0, "edx", 26), ("lm", 0x80000001, 0, "edx", 29),
        ("wbnoinvd", 0x80000008, 0, "ebx", 9), ("ibpb", 0x80000008, 0, "ebx", 12),
        ("no_efer_lmsle", 0x80000008, 0, "ebx", 20), ("amd_ssbd", 0x80000008, 0, "ebx", 24),
        ("psfd", 0x80000008, 0, "ebx", 28), ("decodeassists", 0x8000000A, 0, "edx", 7),
        ("pausefilter", 0x8000000A, 0, "edx", 10), ("pfthreshold", 0x8000000A, 0, "edx", 12),
        ("avic", 0x8000000A, 0, "edx", 13), ("vgif", 0x8000000A, 0, "edx", 16),
        ("vnmi", 0x8000000A, 0, "edx", 25), ("autoibrs", 0x80000021, 0, "eax", 8),
        ("cpuid_user", 0x80000021, 0, "eax", 17), ("xsaves", 0xD, 1, "eax", 3),
    ],
)  # fmt: skip
def test_feature_is_at_its_bit(name: str, leaf: int, subleaf: int, register: str, bit: int) -> None:
    item = feature(name)
    assert (item.leaf, item.subleaf, item.register, item.bit) == (leaf, subleaf, register, bit)


def test_milan_reports_the_words_of_the_part() -> None:
    milan = MODELS["epyc-milan"]
    assert milan.cpuid(0x8000_0001) == (0x00A0_0F11, 0, 0x75C2_37FF, 0x2FD3_FBFF)
    assert milan.cpuid(7)[1] == 0x219C_97A9
    assert milan.cpuid(1)[0] == 0x00A0_0F11
    assert milan.cpuid(0x8000_000A)[:2] == (1, 0x8000)
    assert milan.cpuid(0x8000_0008)[0] == 0x3030


def test_vendor_and_brand_are_texts() -> None:
    milan = MODELS["epyc-milan"]
    _, ebx, ecx, edx = milan.cpuid(0)
    assert b"".join(word.to_bytes(4, "little") for word in (ebx, edx, ecx)) == b"AuthenticAMD"
    words = [word for leaf in (0x8000_0002, 0x8000_0003, 0x8000_0004) for word in milan.cpuid(leaf)]
    text = b"".join(word.to_bytes(4, "little") for word in words).rstrip(b"\0")
    assert text == b"AMD EPYC 7763 64-Core Processor"


def test_plain_part_has_no_svm() -> None:
    plain = MODELS["x86-64-v2"]
    assert not plain.has("svm") and plain.cpuid(0x8000_000A) == (0, 0, 0, 0)
    assert plain.has("sse4.2") and plain.has("cx16") and not plain.has("avx")
    assert not plain.efer_mask & Efer.SVME
    assert plain.cr4_mask & (Cr4.SMEP | Cr4.PAE | Cr4.PCE) == Cr4.PAE | Cr4.PCE


def test_removed_feature_takes_along_what_needs_it() -> None:
    model = cpu_model("epyc-milan,-svm,-avx")
    assert not model.features & {"svm", "npt", "vgif", "avic", "avx", "avx2", "vaes"}
    assert model.asids == 0 and model.cpuid(0x8000_000A) == (0, 0, 0, 0)


def test_added_feature_brings_what_it_needs() -> None:
    model = cpu_model("x86-64-v2,+vnmi,+sse4a")
    assert model.features >= {"svm", "vgif", "vnmi", "sse4a"}
    assert model.asids > 1
    assert cpu_model("epyc-milan,+la57").linear_bits == 57


def test_other_spellings_are_known() -> None:
    assert cpu_model("EPYC") is MODELS["epyc-milan"]
    assert feature("cet-ss").name == "shstk"
    assert feature("SSE4.1").name == "sse4_1"


def test_limited_model_has_modelled_features_alone() -> None:
    model = cpu_model("epyc-milan", {"fpu", "fxsr", "sse", "avx"})
    assert model.features == {"fpu", "fxsr", "sse"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nothing", "no CPU model 'nothing'"),
        ("", "no CPU model ''"),
        ("max,+wings", "no CPU feature 'wings'"),
        ("max,svm", "does not begin"),
        ("max,", "does not begin"),
        ("max,+svm,-svm", "svm: needed and removed"),
        ("x86-64-v2,+npt,-svm", "svm: needed and removed"),
    ],
)
def test_model_that_makes_no_sense_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        cpu_model(text)


def test_feature_asked_for_by_a_wrong_name_is_an_error() -> None:
    with pytest.raises(ValueError, match="no CPU feature"):
        MODELS["max"].has("sse5")
