"""The back end for SIE, in the vocabulary that all back ends share."""

from dataclasses import fields
from typing import Any

from worldswitch.arch.s390x.models import CpuModel, cpu_model
from worldswitch.hypervisor.outcome import RunEnd
from worldswitch.hypervisor.sie.floating import FloatingInterrupts
from worldswitch.hypervisor.sie.gmap import GuestMap
from worldswitch.hypervisor.sie.options import Options
from worldswitch.hypervisor.sie.registers import MASK64
from worldswitch.hypervisor.sie.vcpu import SieVcpu
from worldswitch.hypervisor.sie.vm import SieVm
from worldswitch.metal.interface import S390Host

DEFAULT_MODEL = "z13"
ZARCH = 2
"""Facility bit: the z/Architecture mode is active, without which there is no SIE of format 2."""
_SPACES = {"primary": 1, "secondary": 7, "home": 13}
_CAPABILITIES = frozenset(option.name for option in fields(Options))


class SieBackEnd:
    """Guests under SIE on one or more physical processors."""

    name = "sie"

    def __init__(self, model: CpuModel | None = None, options: Options | None = None) -> None:
        self.hosts: list[S390Host] = []
        self.model = model or cpu_model(DEFAULT_MODEL)
        self.options = options or Options()
        self._holders: dict[int, SieVcpu] = {}

    def init(self, host: S390Host) -> None:
        """Take a physical processor into use."""
        if ZARCH not in host.facilities:
            raise RuntimeError(f"processor {host.cpu_address} is not in the z/Architecture mode")
        self.hosts.append(host)

    def cleanup(self) -> None:
        """Put every virtual CPU and forget the processors."""
        for vcpu in self._holders.values():
            vcpu.put()
        self._holders.clear()
        self.hosts.clear()

    def vminit(self, memory: int, cpus: int) -> SieVm:
        """A virtual machine on all processors that were taken into use."""
        if not self.hosts:
            raise RuntimeError("no physical processor was taken into use")
        return SieVm(list(self.hosts), memory, cpus, self.model, self.options)

    def run(self, vcpu: SieVcpu, host: S390Host) -> RunEnd:
        """Run a virtual CPU on a processor. It stays loaded until another one needs its place."""
        holder = self._holders.get(host.cpu_address)
        if holder is not vcpu:
            if holder is not None and holder.registers.host is host:
                holder.put()
            vcpu.load(host)
            self._holders[host.cpu_address] = vcpu
        elif vcpu.registers.host is not host:
            vcpu.load(host)
        return vcpu.run()

    def getreg(self, vcpu: SieVcpu, name: str) -> int:
        """A register: gr0-15, ar0-15, fr0-15, vr0-31, cr0-15, fpc, prefix, todpr, cputm, ckc,
        epoch, pp, gbea, psw_mask, psw_addr."""
        kind, number = _split(name)
        match kind:
            case "gr":
                return vcpu.gr[number]
            case "ar":
                return vcpu.registers.ar[number]
            case "fr":
                return vcpu.registers.fr[number]
            case "vr":
                return vcpu.registers.vr[number]
            case "cr":
                return vcpu.sd.gcr[number]
            case "fpc":
                return vcpu.registers.fpc
            case "prefix":
                return vcpu.prefix
            case "cputm":
                return vcpu.timers.cpu_timer()
            case "psw_mask":
                return vcpu.psw[0]
            case "psw_addr":
                return vcpu.psw[1]
            case "todpr" | "ckc" | "epoch" | "pp" | "gbea":
                return getattr(vcpu.sd, kind)
            case _:
                raise KeyError(f"there is no register {name!r}")

    def setreg(self, vcpu: SieVcpu, name: str, value: int) -> None:
        """Set a register; see `getreg` for the names."""
        kind, number = _split(name)
        match kind:
            case "gr":
                vcpu.gr[number] = value
            case "ar":
                vcpu.registers.ar[number] = value & 0xFFFF_FFFF
            case "fr":
                vcpu.registers.fr[number] = value & MASK64
            case "vr":
                vcpu.registers.vr[number] = value & (1 << 128) - 1
            case "cr":
                vcpu.sd.gcr[number] = value & MASK64
            case "fpc":
                vcpu.registers.fpc = value
            case "prefix":
                vcpu.set_prefix(value)
            case "cputm":
                vcpu.timers.set_cpu_timer(value)
            case "psw_mask":
                vcpu.psw = value & MASK64, vcpu.psw[1]
            case "psw_addr":
                vcpu.psw = vcpu.psw[0], value & MASK64
            case "todpr" | "ckc" | "epoch" | "pp" | "gbea":
                setattr(vcpu.sd, kind, value)
            case _:
                raise KeyError(f"there is no register {name!r}")

    def getdesc(self, vcpu: SieVcpu, name: str) -> Any:
        """An address-space-control element (primary, secondary, home), or the PSW as a pair."""
        return vcpu.psw if name == "psw" else vcpu.sd.gcr[_SPACES[name]]

    def setdesc(self, vcpu: SieVcpu, name: str, value: Any) -> None:
        """Set an address-space-control element, or the PSW."""
        if name == "psw":
            vcpu.psw = value
        else:
            vcpu.sd.gcr[_SPACES[name]] = value
            vcpu.flush_translations()

    def getcap(self, vcpu: SieVcpu, name: str) -> int:
        """Whether a capability of the virtual machine is on; see `Options`."""
        if name not in _CAPABILITIES:
            raise KeyError(f"there is no capability {name!r}")
        return int(getattr(vcpu.vm.options, name))

    def setcap(self, vcpu: SieVcpu, name: str, value: int) -> None:
        """Turn a capability on or off. What shapes the controls holds from the next reset on."""
        self.getcap(vcpu, name)
        setattr(vcpu.vm.options, name, bool(value))

    def second_level(self, vm: SieVm) -> GuestMap:
        """The guest's second-level tables."""
        return vm.gmap

    def interrupt_controller(self, vm: SieVm) -> FloatingInterrupts:
        """The guest's floating interruptions."""
        return vm.floating


def _split(name: str) -> tuple[str, int]:
    """A register's kind and number: ("gr", 5) for gr5, ("fpc", 0) for fpc."""
    kind = name.rstrip("0123456789")
    digits = name[len(kind) :]
    return kind, int(digits) if digits else 0
