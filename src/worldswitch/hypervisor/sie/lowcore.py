"""A guest CPU's assigned storage locations, by name. ref: PoP 3 Assigned Storage Locations."""

from typing import TYPE_CHECKING

from worldswitch.arch.s390x.lowcore import Lowcore
from worldswitch.hypervisor.sie.access import read_real, write_real

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu


def store(vcpu: "SieVcpu", **values: int) -> None:
    """Store fields of the lowcore by name; GuestException if the guest has no storage there."""
    for name, value in values.items():
        field = Lowcore.fields[name]
        write_real(vcpu, field.offset, value.to_bytes(field.size, "big"))


def new_psw(vcpu: "SieVcpu", kind: str) -> tuple[int, int]:
    """The new PSW of an interruption class (ext, pgm, io, mcck, restart): mask and address."""
    data = read_real(vcpu, Lowcore.offset_of(f"{kind}_new_psw"), 16)
    return int.from_bytes(data[:8], "big"), int.from_bytes(data[8:], "big")


def swap_psw(vcpu: "SieVcpu", kind: str) -> None:
    """Store the guest's PSW as the old PSW of an interruption class, and load the new one."""
    sd = vcpu.sd
    old = sd.gpsw_mask.to_bytes(8, "big") + sd.gpsw_addr.to_bytes(8, "big")
    mask, address = new_psw(vcpu, kind)
    write_real(vcpu, Lowcore.offset_of(f"{kind}_old_psw"), old)
    sd.gpsw_mask, sd.gpsw_addr = mask, address
