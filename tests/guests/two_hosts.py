"""A guest that a hypervisor runs on two physical processors in turn."""

from worldswitch.hypervisor.outcome import RunEnd, ToMachine
from worldswitch.hypervisor.requests import Diagnose
from worldswitch.hypervisor.sie.backend import SieBackEnd
from worldswitch.machine.s390x.modelled import modelled_cpu
from worldswitch.metal.s390x.assembler import assemble
from worldswitch.metal.s390x.host import Host
from worldswitch.metal.s390x.processor import Complex
from worldswitch.metal.s390x.storage import Storage

PSW_64 = 0x0000_0001_8000_0000
PROGRAM = 0x2000
MEGABYTE = 1 << 20
NEW_PSWS = {"external": 0x1B0, "io": 0x1F0}
"""New PSWs that a label of this name gets."""


class TwoHosts:
    """`text` is the program of the first CPU; the others start at labels `cpu1`, `cpu2`..."""

    def __init__(self, text: str, cpus: int = 1) -> None:
        model = modelled_cpu("z14")
        complex = Complex(Storage(12 * MEGABYTE), model, 2)
        self.hosts = [Host(processor) for processor in complex.processors]
        self.backend = SieBackEnd(model)
        for host in self.hosts:
            self.backend.init(host)
            host.time_slice = 100_000
        self.vm = self.backend.vminit(2 * MEGABYTE, cpus)
        self.cpus = self.vm.vcpus
        program = assemble(text, PROGRAM)
        self.labels = program.labels
        self.vm.memory.write(PROGRAM, program.text)
        for name, where in NEW_PSWS.items():
            if name in self.labels:
                psw = PSW_64.to_bytes(8, "big") + self.labels[name].to_bytes(8, "big")
                self.vm.memory.write(where, psw)
        for cpu in self.cpus:
            cpu.psw = PSW_64, self.labels.get(f"cpu{cpu.address}", PROGRAM)
            cpu.sd.ckc = 2**64 - 1
            cpu.timers.set_cpu_timer(1 << 62)
            cpu.start()

    def run(self, host: int, cpu: int = 0) -> RunEnd:
        """Run a CPU on a host to the end of its run."""
        return self.backend.run(self.cpus[cpu], self.hosts[host])

    def asked(self, host: int, cpu: int = 0) -> int:
        """Run a CPU on a host to its next DIAGNOSE; the function code."""
        end = self.run(host, cpu)
        assert isinstance(end, ToMachine), end
        assert isinstance(end.request, Diagnose), end
        return end.request.code
