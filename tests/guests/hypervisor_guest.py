"""A guest program in assembly under the hypervisor, up to each request to the machine."""

from collections.abc import Callable
from enum import IntEnum

from worldswitch.hypervisor import requests
from worldswitch.hypervisor.outcome import Preempted, RunEnd, ToMachine
from worldswitch.hypervisor.sie.options import Options
from worldswitch.hypervisor.sie.vcpu import SieVcpu
from worldswitch.machine.s390x.guest import GuestMachine
from worldswitch.metal.s390x.assembler import Program, assemble

PSW_64 = 0x0000_0001_8000_0000
PROBLEM = 0x0001_0000_0000_0000
PROGRAM = 0x2000
"""Behind the lowcore, so that the prefix may change."""
CAUGHT = 0x4000
"""Where the program-new PSW leads unless the program has a label `caught`."""
DONE = 0xFFF
"""The code of the DIAGNOSE that ends a program."""
TRAP = 0xFFE
"""The code of the one in the default handler of program interruptions."""
MEGABYTE = 1 << 20
NEW_PSWS = {
    "restart": 0x1A0, "external": 0x1B0, "supervisor": 0x1C0, "caught": 0x1D0, "mcheck": 0x1E0,
    "io": 0x1F0,
}  # fmt: skip
"""New PSWs that a label of this name gets."""
SLICE = 1_000_000
MOST_REQUESTS = 100


class HypervisorGuest:
    """The guest's first CPU starts at the program's start, in the 64-bit mode, with DAT off.

    Labels named as in NEW_PSWS are where interruptions lead; `done:` stands for the DIAGNOSE that
    ends a program.
    """

    def __init__(
        self,
        text: str,
        cpus: int = 1,
        *,
        model: str = "z14",
        engine: str = "native",
        psw: int = PSW_64,
        memory: int = 2 * MEGABYTE,
        options: Options | None = None,
        setup: Callable[["HypervisorGuest"], None] | None = None,
    ) -> None:
        self.machine = GuestMachine(memory, cpus, model, engine, options=options)
        self.vm = self.machine.vm
        self.backend = self.machine.backend
        self.cpu = self.vm.vcpus[0]
        self.program: Program = assemble(text, PROGRAM)
        self.labels = self.program.labels
        self.vm.memory.write(PROGRAM, self.program.text)
        self.vm.memory.write(CAUGHT, assemble(f"diag %r0, %r0, {TRAP}", CAUGHT).text)
        for name, where in NEW_PSWS.items():
            target = self.labels.get(name, CAUGHT if name == "caught" else 0)
            if target:
                self.store(where, PSW_64, 8)
                self.store(where + 8, target, 8)
        for cpu in self.vm.vcpus:
            cpu.psw = psw, PROGRAM
            cpu.sd.ckc = 2**64 - 1
            cpu.timers.set_cpu_timer(1 << 62)
        if setup is not None:
            setup(self)
        self.cpu.start()

    def store(self, address: int, value: int, size: int = 8) -> None:
        """Store a big-endian number into guest absolute storage."""
        self.vm.memory.write(address, value.to_bytes(size, "big"))

    def load(self, address: int, size: int = 8) -> int:
        """A big-endian number from guest absolute storage."""
        return int.from_bytes(self.vm.memory.read(address, size), "big")

    def run(self, cpu: int = 0) -> RunEnd:
        """Run one CPU to the end of its run, which must come within a slice."""
        vcpu = self.vm.vcpus[cpu]
        host = self.machine.host
        host.deadline = host.processor.icount + SLICE
        end = self.backend.run(vcpu, host)
        assert end != Preempted(), f"the program goes on and on: {vcpu.psw[1]:#x}"
        return end

    def request(self, cpu: int = 0) -> requests.Request:
        """Run one CPU to its next request to the machine."""
        end = self.run(cpu)
        assert isinstance(end, ToMachine), end
        return end.request

    def finish(self, cpu: int = 0) -> None:
        """Run one CPU to the end of its program; what it asks the machine for is answered."""
        for _ in range(MOST_REQUESTS):
            request = self.request(cpu)
            if isinstance(request, requests.Diagnose) and request.code in (DONE, TRAP):
                assert request.code == DONE, f"program interruption {self.code:#06x}"
                return
            self.machine.answer(self.vm.vcpus[cpu], request)
        raise AssertionError("the program asks and asks")

    def trap(self, cpu: int = 0) -> int:
        """Run one CPU to a program interruption, which must come next; its code."""
        request = self.request(cpu)
        assert request == requests.Diagnose(TRAP, 0, 0), request
        return self.code

    @property
    def code(self) -> int:
        """The program-interruption code in the first CPU's lowcore."""
        return self.load(0x8E, 2)

    @property
    def cc(self) -> int:
        """The first CPU's condition code."""
        return self.cpu.psw[0] >> 44 & 3

    def counted(self, name: str) -> int:
        """One of the statistics' counters."""
        return self.vm.counters().get(name, 0)


def grant(guest: HypervisorGuest, *facilities: int) -> None:
    """Offer the guest facilities that the host does not have."""
    guest.vm.facilities |= frozenset(facilities)
    guest.vm.store_facilities()


def plant(guest: HypervisorGuest, reason: IntEnum, **fields: int) -> None:
    """At the next exit for `reason`, change fields of the state description first.

    For what no guest of the modelled processors can bring about.
    """
    planted: list[bool] = []

    def change(vcpu: SieVcpu) -> None:
        if not planted:
            planted.append(True)
            for name, value in fields.items():
                setattr(vcpu.sd, name, value)

    guest.vm.on_exit(reason)(change)
