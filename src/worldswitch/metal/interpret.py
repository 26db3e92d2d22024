"""The plain-Python engine: the same records and semantics, run by CPython.

Slow, and a breakpoint can stand in any instruction.
"""

from typing import Any

from worldswitch.engine import Leave
from worldswitch.engine.flows import Flow, Hooks


class Interpreter:
    """Runs decoded records through the typed functions as they stand.

    table: `functions`, `flows` and `operands` by an instruction's index. kinds: the architecture's
    Cpu and Record.
    """

    def __init__(self, table: Any, hooks: Hooks, kinds: tuple[Any, Any]) -> None:
        self.table = table
        self.hooks = hooks
        self.cpu, self.record = kinds

    def run(self, address: int) -> None:
        """Execute from where the processor is until a hook returns 0."""
        cpu = self.cpu.at(address)
        if not self.hooks.begin(cpu):
            return
        at = int(self.hooks.resume(cpu))
        while at:
            at = self.step(cpu, self.record.at(at))

    def step(self, cpu: Any, rec: Any) -> int:
        """Execute one record; returns the address of the next, or 0."""
        table, flow, index = self.table, self.hooks, int(rec.insn)
        function, kind = table.functions[index], table.flows[index]
        operands = table.operands[index]
        following = rec.address + self.record.size
        if kind is Flow.CONTROL:
            flow.before_control(cpu, rec)
        args = [operands[name](cpu, rec) for name in list(function.parameters)[1:]]
        try:
            result: Any = function(cpu, *args)
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
