"""Port I/O. ref: APM2 15.10.2 IOIO Intercept Information"""

from typing import TYPE_CHECKING

from worldswitch.arch.x86.svm_exits import (
    IOIO_ADDRESS_MASK,
    IOIO_ADDRESS_SHIFT,
    IOIO_PORT_SHIFT,
    IOIO_SEGMENT_MASK,
    IOIO_SEGMENT_SHIFT,
    IOIO_SIZE_MASK,
    IOIO_SIZE_SHIFT,
    IoioInfo,
    SvmExit,
)
from worldswitch.hypervisor.outcome import Outcome
from worldswitch.hypervisor.svm.exits.refused import unclaimed
from worldswitch.hypervisor.svm.exits.table import EXITS
from worldswitch.hypervisor.svm.words import EXIT_INFO_1, RAX
from worldswitch.hypervisor.x86 import ports
from worldswitch.hypervisor.x86.emulate import MASKS
from worldswitch.hypervisor.x86.state import MASK64

if TYPE_CHECKING:
    from worldswitch.hypervisor.svm.vcpu import SvmVcpu

PORT_MASK = 0xFFFF
IN, STRING, REPEATED = int(IoioInfo.IN), int(IoioInfo.STR), int(IoioInfo.REP)
KEPT = {1: MASK64 ^ MASKS[1], 2: MASK64 ^ MASKS[2], 4: 0}
"""What IN leaves of RAX by the size of the access."""
ADDRESS_SIZES = {1: 2, 2: 4, 4: 8}
"""Bytes of addresses by the field with the bits A16, A32 and A64."""


@EXITS.on(SvmExit.IOIO)
def exit_io(vcpu: "SvmVcpu") -> Outcome:
    """IN, OUT, INS and OUTS, which are the machine's.

    The segment of OUTS is known with decode assists alone.
    """
    q = vcpu.q
    info = q[EXIT_INFO_1]
    size = info >> IOIO_SIZE_SHIFT & IOIO_SIZE_MASK
    kept = KEPT.get(size)
    if kept is None:
        return unclaimed(vcpu, f"an access of size {size:#x}")
    port = info >> IOIO_PORT_SHIFT & PORT_MASK
    devices = vcpu.vm.devices
    if devices is not None and not info & STRING:
        if info & IN:
            q[RAX] = q[RAX] & kept | devices.port_read(port, size)
        else:
            devices.port_write(port, size, q[RAX] & MASKS[size])
        return vcpu.skip()
    length = vcpu.instruction_length()
    if not info & STRING:
        if info & IN:
            return ports.port_in(vcpu, port, size, length)
        return ports.port_out(vcpu, port, size, length)
    if not vcpu.vm.string_assists:
        return unclaimed(vcpu, "string I/O on a processor without decode assists")
    address_size = ADDRESS_SIZES.get(info >> IOIO_ADDRESS_SHIFT & IOIO_ADDRESS_MASK)
    segment = info >> IOIO_SEGMENT_SHIFT & IOIO_SEGMENT_MASK
    if address_size is None or segment > 5:
        return unclaimed(vcpu, "string I/O with a reserved size or segment")
    what = ports.StringAccess(
        port, size, bool(info & IN), bool(info & REPEATED), address_size, segment, length
    )
    return ports.string(vcpu, what)
