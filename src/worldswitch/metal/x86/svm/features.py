"""What of SVM a processor has, as compiled code asks for it."""

from typing import Any

from worldswitch.arch.x86.models import CpuModel

SVM_NESTED_PAGING = 1
SVM_LBR = 2
SVM_NEXT_RIP = 4
SVM_TSC_RATIO = 8
SVM_CLEAN_BITS = 16
SVM_FLUSH_BY_ASID = 32
SVM_DECODE_ASSISTS = 64
SVM_PAUSE_FILTER = 128
SVM_PF_THRESHOLD = 256
SVM_VIRTUAL_VMLOAD = 512
SVM_VIRTUAL_GIF = 1024
SVM_VIRTUAL_NMI = 2048
SVM_SHADOW_STACKS = 4096
SVM_LONG_MODE = 8192
SVM_SEV_ES = 16384
SVM_SEV_SNP = 32768
SVM_LOCKED_CR8 = 65536
"""Bits of `Cpu.svm_features`."""

NAMES = {
    SVM_NESTED_PAGING: "npt",
    SVM_LBR: "lbrv",
    SVM_NEXT_RIP: "nrip_save",
    SVM_TSC_RATIO: "tsc_scale",
    SVM_CLEAN_BITS: "vmcb_clean",
    SVM_FLUSH_BY_ASID: "flushbyasid",
    SVM_DECODE_ASSISTS: "decodeassists",
    SVM_PAUSE_FILTER: "pausefilter",
    SVM_PF_THRESHOLD: "pfthreshold",
    SVM_VIRTUAL_VMLOAD: "v_vmsave_vmload",
    SVM_VIRTUAL_GIF: "vgif",
    SVM_VIRTUAL_NMI: "vnmi",
    SVM_SHADOW_STACKS: "shstk",
    SVM_LONG_MODE: "lm",
    SVM_SEV_ES: "sev_es",
    SVM_SEV_SNP: "sev_snp",
    SVM_LOCKED_CR8: "cr8_legacy",
}
"""The CPUID feature of each."""


def feature_bits(features: frozenset[str]) -> int:
    """`Cpu.svm_features` of a processor with these features."""
    return sum(bit for bit, name in NAMES.items() if name in features)


def describe(cpu: Any, model: CpuModel) -> None:
    """Tell a processor (raw native state) what of SVM it has."""
    cpu.svm_features = feature_bits(model.features)
    cpu.asids = model.asids
