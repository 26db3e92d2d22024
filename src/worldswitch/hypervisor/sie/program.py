"""Program interceptions: the guest's own program interruptions, given back to it in full."""

from typing import TYPE_CHECKING

from worldswitch.arch.s390x.facilities import Facility
from worldswitch.arch.s390x.lowcore import Lowcore
from worldswitch.arch.s390x.program import PER, ProgramCode
from worldswitch.arch.s390x.psw import is_valid
from worldswitch.arch.s390x.sie_controls import Ecb, Icpt
from worldswitch.arch.s390x.sie_satellites import TransactionDiagnosticBlock
from worldswitch.arch.s390x.state_description import ITDB_ORIGIN
from worldswitch.hypervisor.outcome import RESUME, Inject, Outcome, ToMachine
from worldswitch.hypervisor.requests import Intercepted, ProgramLoop
from worldswitch.hypervisor.sie import lowcore, per
from worldswitch.hypervisor.sie.access import write_real
from worldswitch.hypervisor.sie.events import ProgramEvent

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

_C = ProgramCode

# Which parameters of the state description go with which codes.
_WITH_TEID = frozenset(
    {
        _C.AFX_TRANSLATION, _C.ASX_TRANSLATION, _C.EX_TRANSLATION, _C.LFX_TRANSLATION,
        _C.LSTE_SEQUENCE, _C.LSX_TRANSLATION, _C.LX_TRANSLATION, _C.PRIMARY_AUTHORITY,
        _C.SECONDARY_AUTHORITY, _C.SPACE_SWITCH, _C.PROTECTION,
    }
)  # fmt: skip
_WITH_ACCESS_ID = frozenset(
    {
        _C.ALEN_TRANSLATION, _C.ALE_SEQUENCE, _C.ASTE_INSTANCE, _C.ASTE_SEQUENCE,
        _C.ASTE_VALIDITY, _C.EXTENDED_AUTHORITY, _C.PROTECTION,
    }
)  # fmt: skip
_TRANSLATION = frozenset(
    {
        _C.ASCE_TYPE, _C.PAGE_TRANSLATION, _C.REGION_FIRST_TRANSLATION,
        _C.REGION_SECOND_TRANSLATION, _C.REGION_THIRD_TRANSLATION, _C.SEGMENT_TRANSLATION,
    }
)  # fmt: skip


def intercepted_event(vcpu: "SieVcpu") -> ProgramEvent:
    """The program interruption that the interception describes.

    The PSW is as the interruption leaves it: where it nullifies, it has been rewound already.
    """
    sd = vcpu.sd
    code = sd.iprcc & ~PER
    translation = code in _TRANSLATION
    with_per = bool(sd.iprcc & PER)
    return ProgramEvent(
        sd.iprcc,
        teid=sd.tecmc if translation or code in _WITH_TEID else 0,
        exc_access_id=sd.eai if translation or code in _WITH_ACCESS_ID else 0,
        op_access_id=sd.oai if translation else 0,
        data_exc_code=sd.dxc if code in (_C.DATA, _C.VECTOR_PROCESSING) else 0,
        mon_class=sd.mcn if code == _C.MONITOR_EVENT else 0,
        mon_code=sd.tecmc if code == _C.MONITOR_EVENT else 0,
        per_code=sd.perc if with_per else 0,
        per_atmid=sd.peratmid if with_per else 0,
        per_address=sd.peraddr if with_per else 0,
        per_access_id=sd.peraid if with_per else 0,
        rewound=True,
    )


def restore_diagnostic_block(vcpu: "SieVcpu") -> None:
    """If the interruption aborted a transaction, store its TDB in the lowcore and clear it.

    ref: PoP 5 Transaction Diagnostic Block
    """
    sd = vcpu.sd
    origin = sd.itdba & ITDB_ORIGIN
    if not vcpu.vm.has(Facility.TRANSACTIONAL_EXECUTION) or not sd.ecb & Ecb.TE or not origin:
        return
    storage = vcpu.host.storage
    block = TransactionDiagnosticBlock(storage.view, origin)
    if block.format != 1:
        return
    write_real(vcpu, Lowcore.offset_of("pgm_tdb"), bytes(block))
    block.write(bytes(TransactionDiagnosticBlock.block_size))


def exit_program(vcpu: "SieVcpu") -> Outcome:
    """A program interruption of the guest that SIE does not present by itself."""
    sd = vcpu.sd
    vcpu.statistics.count("exit_program_interruption")
    if vcpu.protected:
        # A loop of specification exceptions: nobody but the machine can end it.
        return ToMachine(Intercepted(Icpt.PROGI, "a protected guest loops on specification"))
    if not per.filter_program(vcpu):
        return RESUME
    if vcpu.vm.sink is not None:
        vcpu.trace("program interception", code=sd.iprcc)
    if sd.iprcc == _C.SPECIFICATION:
        mask, address = lowcore.new_psw(vcpu, "pgm")
        if not is_valid(mask, address):
            return ToMachine(ProgramLoop("program", sd.iprcc, mask, address))
    restore_diagnostic_block(vcpu)
    return Inject(intercepted_event(vcpu))
