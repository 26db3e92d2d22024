"""The plain-Python engine: the same records and semantics, run by CPython.

Slow, and a breakpoint can stand in any instruction.
"""

from typing import Any

from worldswitch.engine import Leave
from worldswitch.engine.flows import Flow
from worldswitch.metal.x86 import flow
from worldswitch.metal.x86.begin import begin
from worldswitch.metal.x86.state import Cpu, Record


class Interpreter:
    """Runs decoded records through the typed functions as they stand."""

    def __init__(self, table: Any) -> None:
        self.table = table

    def run(self, address: int) -> None:
        """Execute from RIP until a hook returns 0."""
        cpu = Cpu.at(address)
        if not begin(cpu):
            return
        at = int(flow.resume(cpu))
        while at:
            at = self.step(cpu, Record.at(at))

    def step(self, cpu: Cpu, rec: Record) -> int:
        """Execute one record; returns the address of the next, or 0."""
        index = int(rec.insn)
        function, kind = self.table.functions[index], self.table.flows[index]
        following = rec.address + Record.size
        if kind is Flow.CONTROL:
            flow.before_control(cpu, rec)
        try:
            result: Any = function(cpu, rec)
        except Leave:
            return int(flow.leave(cpu, rec))
        if kind is Flow.NEXT:
            return following
        if kind is Flow.CONTROL:
            return int(flow.resume(cpu))
        if kind is Flow.RECORD:
            return int(result)
        if kind is Flow.BRANCH:
            return int(flow.taken(cpu, rec)) if result else following
        taken, target = result
        return int(flow.jump(cpu, rec, target)) if taken else following
