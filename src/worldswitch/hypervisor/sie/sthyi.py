"""STORE HYPERVISOR INFORMATION: what machine, partition and hypervisor the guest runs on."""

from typing import TYPE_CHECKING

from worldswitch.arch.s390x.facilities import Facility
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.state_description import SIDA_ORIGIN
from worldswitch.arch.s390x.sthyi import (
    RESPONSE_SIZE,
    HeaderSection,
    MachineSection,
    MachineValidity,
    PartitionSection,
    PartitionValidity,
    ReturnCode,
)
from worldswitch.hypervisor.outcome import RESUME, Inject, Outcome
from worldswitch.hypervisor.sie.access import write_logical
from worldswitch.hypervisor.sie.events import program
from worldswitch.hypervisor.sie.operands import registers_rre

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu
    from worldswitch.hypervisor.sie.vm import SieVm

PAGE_OFFSET = 0xFFF
FUNCTION_CODE = 0xFFFF
UNSUPPORTED_CC = 3


def response(vm: "SieVm") -> bytes:
    """The response page: header, machine and partition."""
    page = bytearray(RESPONSE_SIZE)
    header = HeaderSection(page)
    machine_at = HeaderSection.block_size
    partition_at = machine_at + MachineSection.block_size
    header.infhdln = HeaderSection.block_size
    header.infmoff, header.infmlen = machine_at, MachineSection.block_size
    header.infpoff, header.infplen = partition_at, PartitionSection.block_size
    header.infhtotl = partition_at + PartitionSection.block_size
    machine = MachineSection(page, machine_at)
    machine.infmval1 = MachineValidity.COUNTS | MachineValidity.ID
    machine.infmdifl = len(vm.hosts)
    machine.infmtype = f"{vm.model.machine_type:04X}"
    machine.infmmanu = "WORLDSWITCH"
    machine.infmseq = "0" * 16
    machine.infmpman = "WS"
    partition = PartitionSection(page, partition_at)
    partition.infpval1 = PartitionValidity.COUNTS | PartitionValidity.ID
    partition.infppnum = 1
    partition.infpdifl = len(vm.hosts)
    partition.infppnam = "WORLDSW"
    return bytes(page)


def sthyi(vcpu: "SieVcpu") -> Outcome:
    """STHYI: the function code is in R1, the page's address in R2, the return code in R2 + 1."""
    if not vcpu.vm.has(Facility.STORE_HYPERVISOR_INFORMATION):
        return Inject(program(ProgramCode.OPERATION))
    r1, r2 = registers_rre(vcpu)
    code, address = vcpu.gr[r1], vcpu.gr[r2]
    vcpu.statistics.count("instruction_sthyi")
    if vcpu.vm.sink is not None:
        vcpu.trace("sthyi", code=code, address=address)
    if r1 == r2 or (r1 | r2) & 1:
        return Inject(program(ProgramCode.SPECIFICATION))
    if code & FUNCTION_CODE:
        vcpu.gr[r2 + 1] = ReturnCode.UNSUPPORTED_FUNCTION
        vcpu.set_cc(UNSUPPORTED_CC)
        return RESUME
    if vcpu.protected:
        vcpu.host.storage.write(vcpu.sd.sidad & SIDA_ORIGIN, response(vcpu.vm))
    elif address & PAGE_OFFSET:
        return Inject(program(ProgramCode.SPECIFICATION))
    else:
        write_logical(vcpu, address, r2, response(vcpu.vm))
    vcpu.gr[r2 + 1] = ReturnCode.OK
    vcpu.set_cc(0)
    return RESUME
