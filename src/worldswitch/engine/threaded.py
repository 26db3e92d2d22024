"""Threaded code: one native handler per instruction, each tail-calling the next.

A handler is `void (ptr cpu, ptr record)`. It has its operands from the record, runs the
semantics, and continues at the handler whose address is the first word of the next record.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from llvmlite import ir

from worldswitch.engine.flows import Flow, Hooks
from worldswitch.engine.function import Typed
from worldswitch.engine.lower import BYTE, POINTER, WORD, Module

HANDLER = ir.FunctionType(ir.VoidType(), [POINTER, POINTER])


class HandlerMaker:
    """Emits handlers into a module."""

    def __init__(self, module: Module, hooks: Hooks, record_size: int) -> None:
        self.module = module
        self.hooks = hooks
        self.record_size = record_size

    def handler(
        self, symbol: str, semantics: Typed[Any, Any], operands: Mapping[str, Typed[Any, Any]],
        flow: Flow, before: Sequence[Typed[Any, Any]] = (),
    ) -> None:  # fmt: skip
        """Emit the handler of one instruction under an exported symbol.

        before: the semantics of the instructions in front of it, whose records lie in front of its
        own, if the handler executes a sequence. They have no flow but `Flow.NEXT`.
        """
        fn = ir.Function(self.module.ir, HANDLER, symbol)
        fn.attributes.add("nounwind")
        build = ir.IRBuilder(fn.append_basic_block("entry"))
        cpu, rec = fn.args
        for part in before:
            left = self.semantics(build, part, operands, cpu, rec)
            if part.leaves:
                self.leaving(build, left, cpu, rec)
            rec = self.following(build, rec)
        if flow is Flow.CONTROL:
            build.call(self.module.function(self.hooks.before_control), [cpu, rec])
        result = self.semantics(build, semantics, operands, cpu, rec)
        values: list[Any] = []
        count = {Flow.NEXT: 0, Flow.CONTROL: 0, Flow.BRANCH: 1, Flow.RECORD: 1, Flow.JUMP: 2}[flow]
        total = count + (1 if semantics.leaves else 0)
        if total == 1:
            values = [result]
        elif total > 1:
            values = [build.extract_value(result, i) for i in range(total)]
        if semantics.leaves:
            self.leaving(build, values[-1], cpu, rec)
        if flow is Flow.NEXT:
            self.next(build, cpu, rec)
        elif flow is Flow.RECORD:
            self.go(build, cpu, values[0])
        elif flow is Flow.CONTROL:
            self.go(build, cpu, build.call(self.module.function(self.hooks.resume), [cpu]))
        else:
            taken, not_taken = fn.append_basic_block("taken"), fn.append_basic_block("not_taken")
            build.cbranch(values[0], taken, not_taken)
            build.position_at_end(not_taken)
            self.next(build, cpu, rec)
            build.position_at_end(taken)
            if flow is Flow.BRANCH:
                found = build.call(self.module.function(self.hooks.taken), [cpu, rec])
            else:
                found = build.call(self.module.function(self.hooks.jump), [cpu, rec, values[1]])
            self.go(build, cpu, found)

    def semantics(
        self, build: ir.IRBuilder, function: Typed[Any, Any],
        operands: Mapping[str, Typed[Any, Any]], cpu: Any, rec: Any,
    ) -> Any:  # fmt: skip
        """Call the semantics of an instruction with its operands; what they return."""
        args = []
        for name in list(function.parameters)[1:]:
            args.append(build.call(self.module.function(operands[name]), [cpu, rec]))
        return build.call(self.module.function(function), [cpu, *args])

    def leaving(self, build: ir.IRBuilder, left: Any, cpu: Any, rec: Any) -> None:
        """Go where `hooks.leave` says if the semantics left."""
        away = build.function.append_basic_block("left")
        stay = build.function.append_basic_block("stay")
        build.cbranch(left, away, stay).set_weights([1, 2000])
        build.position_at_end(away)
        self.go(build, cpu, build.call(self.module.function(self.hooks.leave), [cpu, rec]))
        build.position_at_end(stay)

    def following(self, build: ir.IRBuilder, rec: Any) -> Any:
        """The record behind one."""
        size = ir.Constant(WORD, self.record_size)
        return build.gep(rec, [size], inbounds=True, source_etype=BYTE)

    def next(self, build: ir.IRBuilder, cpu: Any, rec: Any) -> None:
        self.tail(build, cpu, self.following(build, rec))

    def go(self, build: ir.IRBuilder, cpu: Any, record: Any) -> None:
        """Continue at a record given by address; return to the caller of `run` on 0."""
        done = build.function.append_basic_block("done")
        more = build.function.append_basic_block("more")
        zero = ir.Constant(WORD, 0)
        build.cbranch(build.icmp_unsigned("==", record, zero), done, more).set_weights([1, 2000])
        build.position_at_end(done)
        build.ret_void()
        build.position_at_end(more)
        self.tail(build, cpu, build.inttoptr(record, POINTER))

    @staticmethod
    def tail(build: ir.IRBuilder, cpu: Any, rec: Any) -> None:
        handler = build.load(rec, align=8, typ=HANDLER.as_pointer())
        build.call(handler, [cpu, rec], tail="musttail")
        build.ret_void()

    def run(self, symbol: str) -> None:
        """Emit the entry: `void run(ptr cpu)` resumes and executes until a hook returns 0."""
        fn = ir.Function(self.module.ir, ir.FunctionType(ir.VoidType(), [POINTER]), symbol)
        build = ir.IRBuilder(fn.append_basic_block("entry"))
        cpu = fn.args[0]
        done, more = fn.append_basic_block("done"), fn.append_basic_block("more")
        begun = fn.append_basic_block("begun")
        build.cbranch(build.call(self.module.function(self.hooks.begin), [cpu]), begun, done)
        build.position_at_end(begun)
        found = build.call(self.module.function(self.hooks.resume), [cpu])
        build.cbranch(build.icmp_unsigned("==", found, ir.Constant(WORD, 0)), done, more)
        build.position_at_end(more)
        rec = build.inttoptr(found, POINTER)
        handler = build.load(rec, align=8, typ=HANDLER.as_pointer())
        build.call(handler, [cpu, rec])
        build.branch(done)
        build.position_at_end(done)
        build.ret_void()
