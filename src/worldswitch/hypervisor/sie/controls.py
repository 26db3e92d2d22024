"""Filling in a state description: what a guest CPU may do without its hypervisor."""

from typing import TYPE_CHECKING

from worldswitch.arch.s390x.control_registers import RESET_VALUE
from worldswitch.arch.s390x.facilities import Facility
from worldswitch.arch.s390x.psw import PswMask
from worldswitch.arch.s390x.sie_controls import (
    CpuStat,
    Eca,
    Ecb,
    Ecb2,
    Ecd,
    Fpf,
    Hpid,
    Ictl,
    Lctl,
)
from worldswitch.arch.s390x.state_description import MAIN_STORAGE_MASK
from worldswitch.hypervisor.sie.interrupts import EXTERNAL, IO, MCHK, Irq, bit

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

MIB = 1 << 20
FLUSH = 0xFFFF
"""In ihcpu: drop all translations of this state description."""
_KEY_INSTRUCTIONS = Ictl.ISKE | Ictl.SSKE | Ictl.RRBE
_INDICATORS = CpuStat.IO_INT | CpuStat.EXT_INT | CpuStat.STOP_INT
_PSW_IO = int(PswMask.IO)
_PSW_EXT = int(PswMask.EXT)
_PSW_MCHECK = int(PswMask.MCHECK)
_TIMER_BITS = bit(Irq.CLOCK_COMPARATOR) | bit(Irq.CPU_TIMER)
"""SIE looks at the timers itself."""
_DEBUG_LCTL = Lctl.CR0 | Lctl.CR9 | Lctl.CR10 | Lctl.CR11


def set_up(vcpu: "SieVcpu") -> None:
    """The controls that stay as they are while the virtual machine exists."""
    sd, vm = vcpu.sd, vcpu.vm
    features = vm.features
    sd.cpuflags = CpuStat.ZARCH | CpuStat.STOPPED
    if vm.has(Facility.EDAT_2):
        sd.cpuflags |= CpuStat.GED2
    elif vm.has(Facility.EDAT_1):
        sd.cpuflags |= CpuStat.GED
    sd.icpua = vcpu.address
    sd.hpid = Hpid.KVM
    sd.mso = 0
    sd.msl = (vm.memory.size - 1) & MAIN_STORAGE_MASK
    sd.ihcpu = FLUSH
    sd.fac = vm.facility_list_origin
    sd.scaoh, sd.scaol = vm.sca.origin >> 32, vm.sca.origin & 0xFFFF_FFFF
    _set_execution_controls(vcpu)
    if features.kss:
        sd.cpuflags |= CpuStat.KSS
    else:
        sd.ictl |= _KEY_INSTRUCTIONS
    if vm.has(Facility.STORE_HYPERVISOR_INFORMATION) or vm.options.user_instr0:
        sd.ictl |= Ictl.OPEREXC
    sd.crycbd = vm.crycb_origin
    sd.itdba = vcpu.itdb_origin
    sd.riccbd = vcpu.riccb_origin


def _set_execution_controls(vcpu: "SieVcpu") -> None:
    sd, vm = vcpu.sd, vcpu.vm
    features, options = vm.features, vm.options
    if features.esop:
        sd.ecb |= Ecb.HOSTPROTINT
    if vm.has(Facility.SENSE_RUNNING_STATUS):
        sd.ecb |= Ecb.SRSI
    if vm.has(Facility.CONFIGURATION_TOPOLOGY):
        sd.ecb |= Ecb.PTF
    if vm.has(Facility.TRANSACTIONAL_EXECUTION):
        sd.ecb |= Ecb.TE
    if vm.has(Facility.EDAT_1) and features.pfmfi:
        sd.ecb2 |= Ecb2.PFMFI
    if vm.has(Facility.INSTRUCTION_EXECUTION_PROTECTION):
        sd.ecb2 |= Ecb2.IEP
    if vm.sca.extended:
        sd.ecb2 |= Ecb2.ESCA
    sd.eca = Eca.MVPGI | Eca.PROTEXCI
    if features.cei and options.external_interpretation:
        sd.eca |= Eca.CEI
    if features.ib:
        sd.eca |= Eca.IB
    if features.siif:
        sd.eca |= Eca.SII
    if vm.sigp_interpretation:
        sd.eca |= Eca.SIGPI
    if vm.has(Facility.VECTOR):
        sd.eca |= Eca.VX
        sd.ecd |= Ecd.HOSTREGMGMT
    if vm.has(Facility.MULTIPLE_EPOCH):
        sd.ecd |= Ecd.MEF
    # UNMODELLED: guarded storage, runtime instrumentation and etokens are never turned on, because
    # no processor here has their facilities.


def initial_reset(vcpu: "SieVcpu") -> None:
    """Initial CPU reset, as far as it concerns the state description. ref: PoP 4 Resets."""
    sd = vcpu.sd
    sd.gpsw_mask = sd.gpsw_addr = 0
    vcpu.set_prefix(0)
    vcpu.timers.set_cpu_timer(0)
    sd.ckc = 0
    sd.todpr = 0
    for n in range(16):
        sd.gcr[n] = int(RESET_VALUE.get(n, 0))
    sd.gbea = 1
    sd.pp = 0
    sd.fpf &= ~Fpf.BPBC


def set_indicators(vcpu: "SieVcpu", pending: int) -> None:
    """Have SIE come back when the guest enables something that is pending.

    pending: the bitmap of what is pending and was not delivered.
    """
    sd = vcpu.sd
    flags = sd.cpuflags & ~_INDICATORS
    lctl = 0
    ictl = sd.ictl & ~(Ictl.LPSW | Ictl.STCTL | Ictl.PINT)
    if vcpu.debug is not None:
        lctl |= _DEBUG_LCTL
        ictl |= Ictl.STCTL | Ictl.PINT
    if pending & IO:
        if sd.gpsw_mask & _PSW_IO:
            lctl |= Lctl.CR6
        else:
            flags |= CpuStat.IO_INT
    if pending & EXTERNAL & ~_TIMER_BITS:
        if sd.gpsw_mask & _PSW_EXT:
            lctl |= Lctl.CR0
        else:
            flags |= CpuStat.EXT_INT
    if pending & MCHK:
        if sd.gpsw_mask & _PSW_MCHECK:
            lctl |= Lctl.CR14
        else:
            ictl |= Ictl.LPSW
    if pending & bit(Irq.STOP):
        flags |= CpuStat.STOP_INT
    if sd.cpuflags != flags:
        sd.cpuflags = flags
    if sd.lctl != lctl:
        sd.lctl = lctl
    if sd.ictl != ictl:
        sd.ictl = ictl
