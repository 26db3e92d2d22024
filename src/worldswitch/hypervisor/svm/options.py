"""What a guest's creator chooses, and what SVM adds to it."""

from dataclasses import dataclass

from worldswitch.arch.x86.svm_controls import Clean
from worldswitch.hypervisor.x86 import options

CLEAN_DEFAULT = int(
    Clean.ASID
    | Clean.IOPM
    | Clean.INTERCEPTS
    | Clean.TPR
    | Clean.CR2
    | Clean.CRX
    | Clean.DT
    | Clean.SEG
    | Clean.NP
)
"""The groups that are ever declared clean: not branch records, debug registers and AVIC."""


@dataclass
class SvmOptions(options.Options):
    """Choices for one virtual machine under SVM.

    vmcb_clean: groups of VMCB fields that may be declared clean; bits outside CLEAN_DEFAULT count
    for nothing. npf_assist: take the instruction bytes that the processor gives with a nested page
    fault. switch_always: VMLOAD and VMSAVE at every entry and exit, rather than when a virtual CPU
    is loaded and put.
    """

    vmcb_clean: int = CLEAN_DEFAULT
    npf_assist: bool = True
    switch_always: bool = False
