"""Scenes of exceptions that are intercepted. ref: APM2 15.12 Exception Intercepts"""

from worldswitch.arch.x86.msrs import Msr, VmCr
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.lab.demo.x86.scene import Scene
from worldswitch.lab.demo.x86.stage import Mode, Stage
from worldswitch.metal.x86.pending import PENDING_INIT

REFLECT = "Has a look, and injects the exception into the guest."


def _redirected_init(stage: Stage) -> None:
    host = stage.host
    host.wrmsr(Msr.VM_CR, host.rdmsr(Msr.VM_CR) | VmCr.R_INIT)
    host.clgi()
    stage.processor.make_pending(PENDING_INIT)


EXCEPTIONS: tuple[Scene, ...] = (
    Scene(SvmExit.EXCP_DE, "a division by zero", REFLECT),
    Scene(SvmExit.EXCP_DB, "a single step: RFLAGS.TF is on",
          "Stops for its debugger; DR6 says what happened."),
    Scene(SvmExit.EXCP_BP, "INT3", "Stops for its debugger if the breakpoint is its own."),
    Scene(SvmExit.EXCP_OF, "INTO with an overflow", REFLECT, mode=Mode.PROTECTED),
    Scene(SvmExit.EXCP_BR, "BOUND with an index of 9 in 1 to 8", REFLECT, mode=Mode.PROTECTED),
    Scene(SvmExit.EXCP_UD, "UD2", "Emulates the instruction, or injects #UD."),
    Scene(SvmExit.EXCP_NM, "an x87 instruction while CR0.TS is on",
          "Loads the guest's x87 state, which it had put off."),
    Scene(SvmExit.EXCP_DF, "UD2 without a gate for #UD or #GP", REFLECT),
    Scene(SvmExit.EXCP_TS, "far JMP to a task whose state segment is too short", REFLECT,
          mode=Mode.PROTECTED),
    Scene(SvmExit.EXCP_NP, "a load of a segment that is not present", REFLECT),
    Scene(SvmExit.EXCP_SS, "PUSH to an address that is not canonical", REFLECT),
    Scene(SvmExit.EXCP_GP, "a load of DS from beyond the GDT", REFLECT),
    Scene(SvmExit.EXCP_PF, "a store to a page that its own tables have not",
          "Without nested paging: fills in its shadow page tables, or injects #PF with CR2."),
    Scene(SvmExit.EXCP_MF, "an x87 division by zero, unmasked", REFLECT),
    Scene(SvmExit.EXCP_AC, "a load that is not aligned, at level 3 with RFLAGS.AC", REFLECT,
          mode=Mode.USER),
    Scene(SvmExit.EXCP_XF, "an SSE division of 0 by 0, unmasked", REFLECT),
    Scene(SvmExit.EXCP_SX, "nothing: an INIT has come, which VM_CR.R_INIT redirects",
          "Resets what it likes; an INIT cannot take its processor away.", "endless",
          _redirected_init),
    Scene(SvmExit.SHUTDOWN, "UD2 without a gate for #UD, #GP or #DF: a triple fault",
          "Resets the guest, or ends it."),
)  # fmt: skip
"""In the order of their vectors."""
