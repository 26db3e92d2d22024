"""Lowering: the typed tree of a function becomes LLVM IR.

Locals are stack slots at first; LLVM's optimiser turns them into registers. A function that may
leave returns one more value, an i1 that is true when it left.
"""

from typing import Any

from llvmlite import ir

from worldswitch.engine import tree
from worldswitch.engine.check import check, is_int, is_struct, return_kinds
from worldswitch.engine.function import Typed
from worldswitch.engine.layout import size_of
from worldswitch.engine.lower_intrinsics import LOWERINGS
from worldswitch.engine.types import f32, f64

POINTER = ir.PointerType()
BYTE = ir.IntType(8)
BIT = ir.IntType(1)
WORD = ir.IntType(64)


def value_type(kind: Any) -> ir.Type:
    """LLVM type of a value of `kind` in a register."""
    if is_struct(kind):
        return POINTER
    if kind is bool:
        return BIT
    if kind is f32:
        return ir.FloatType()
    if kind is f64:
        return ir.DoubleType()
    return ir.IntType(kind.bits)


def memory_type(kind: Any) -> ir.Type:
    """LLVM type of a value of `kind` in memory: a bool takes a byte."""
    return BYTE if kind is bool else value_type(kind)


def function_type(function: Typed[Any, Any]) -> ir.FunctionType:
    """LLVM signature of a typed function."""
    returns = [value_type(k) for k in return_kinds(function)]
    if function.leaves:
        returns.append(BIT)
    if not returns:
        result: ir.Type = ir.VoidType()
    elif len(returns) == 1:
        result = returns[0]
    else:
        result = ir.LiteralStructType(returns)
    return ir.FunctionType(result, [value_type(k) for k in function.parameters.values()])


KEEPING = {"x86_64": "preserve_mostcc", "aarch64": "preserve_mostcc"}
"""By the host's architecture: the calling convention whose callee saves the registers."""
STACK_SLOT = {"x86_64": 8}
"""Where a stack frame for the sake of alignment alone can be avoided: the size of a push."""
REALIGN = 32
"""More than the convention's alignment, so that a gate aligns the stack itself."""


def gate(function: Typed[Any, Any]) -> str:
    """Symbol by which handlers call a never-inlined function (see `Module`)."""
    return f"{function.symbol}:gate"


class Module:
    """An LLVM module under construction, with the typed functions it holds or refers to.

    `define_shared`: whether never-inlined functions get their bodies here. Otherwise they are
    external, for another module of the same build to define; and they are called through gates.
    A gate keeps all registers, because it is the rare path that calls: so the common path of a
    handler saves none, and has no stack frame.
    """

    def __init__(self, name: str, define_shared: bool, architecture: str = "") -> None:
        self.ir = ir.Module(name)
        self.define_shared = define_shared
        self.keeping = KEEPING.get(architecture, "")
        self.slot = STACK_SLOT.get(architecture, 0)
        if self.slot and not define_shared:
            word = ir.IntType(32)
            flag = [word(1), "override-stack-alignment", word(self.slot)]
            self.ir.add_named_metadata("llvm.module.flags", flag)
        self.functions: dict[Typed[Any, Any], ir.Function] = {}
        self.shared: list[Typed[Any, Any]] = []
        self.pending: list[Typed[Any, Any]] = []

    def function(self, function: Typed[Any, Any]) -> ir.Function:
        """The LLVM function for `function`; its body follows when `finish` is called."""
        known = self.functions.get(function)
        if known is not None:
            return known
        through = function.inline is False and not self.define_shared
        symbol = gate(function) if through else function.symbol
        made = ir.Function(self.ir, function_type(function), symbol)
        if through:
            made.calling_convention = self.keeping
        self.functions[function] = made
        if function.inline is False:
            self.shared.append(function)
            made.attributes.add("noinline")
            if self.define_shared:
                self.pending.append(function)
        else:
            made.linkage = "internal"
            if function.inline:
                made.attributes.add("alwaysinline")
            self.pending.append(function)
        made.attributes.add("nounwind")
        return made

    def member(self, name: str) -> Any:
        """The type-based alias tag of accesses to a member."""
        add = self.ir.add_metadata
        kind = add([name, add(["worldswitch"]), WORD(0)])
        return add([kind, kind, WORD(0)])

    def define_gate(self, function: Typed[Any, Any]) -> None:
        """Emit what handlers call a never-inlined function through."""
        made = ir.Function(self.ir, function_type(function), gate(function))
        made.calling_convention = self.keeping
        made.attributes.add("nounwind")
        if self.slot:
            made.attributes.alignstack = REALIGN
        build = ir.IRBuilder(made.append_basic_block("entry"))
        result = build.call(self.function(function), made.args)
        if isinstance(result.type, ir.VoidType):
            build.ret_void()
        else:
            build.ret(result)

    def finish(self) -> None:
        """Lower the bodies of all functions that became needed."""
        while self.pending:
            function = self.pending.pop()
            FunctionLowering(self, check(function)).run()

    def intrinsic(self, name: str, types: list[ir.Type], fnty: ir.FunctionType) -> ir.Function:
        """An LLVM intrinsic, declared once."""
        full = ".".join([name, *[_suffix(t) for t in types]])
        known = self.ir.globals.get(full)
        return known if known is not None else ir.Function(self.ir, fnty, full)


def _suffix(kind: ir.Type) -> str:
    if isinstance(kind, ir.PointerType):
        return "p0"
    if isinstance(kind, ir.DoubleType):
        return "f64"
    if isinstance(kind, ir.FloatType):
        return "f32"
    return str(kind)


class Builder(ir.IRBuilder):
    """An instruction builder that knows where its branches go."""

    def __init__(self, block: ir.Block) -> None:
        super().__init__(block)
        self._targets: set[ir.Block] = set()

    def branch(self, target: ir.Block) -> Any:
        self._targets.add(target)
        return super().branch(target)

    def cbranch(self, cond: Any, truebr: ir.Block, falsebr: ir.Block) -> Any:
        self._targets.update((truebr, falsebr))
        return super().cbranch(cond, truebr, falsebr)

    def reaches(self, block: ir.Block) -> bool:
        """Whether a branch leads to a block."""
        return block in self._targets


class FunctionLowering:
    """Lowers one checked function."""

    def __init__(self, module: Module, checked: tree.Checked) -> None:
        self.module = module
        self.checked = checked
        self.fn = module.functions[checked.function]
        entry = self.fn.append_basic_block("entry")
        self.builder = Builder(entry)
        self.slots: dict[str, Any] = {}
        self.leave_targets: list[ir.Block] = []
        self.loops: list[tuple[ir.Block, ir.Block]] = []
        self.out: ir.Block | None = None
        """Where a function with several results returns, and the slots of its results: joined
        as scalars, since LLVM does not look through joined structs."""
        self.results: list[Any] = []

    def run(self) -> None:
        """Emit the body."""
        for name, kind in self.checked.locals.items():
            self.slots[name] = self.builder.alloca(memory_type(kind), name=name)
        for argument, (name, kind) in zip(self.fn.args, self.checked.params, strict=True):
            argument.add_attribute("noundef")
            self.builder.store(self.to_memory(argument, kind), self.slots[name])
        self.block(self.checked.body)
        if not self.builder.block.is_terminated:
            if self.checked.returns:
                self.builder.unreachable()
            else:
                self.leave_function([], False)
        if self.out is not None:
            self.return_results(self.out)

    def to_memory(self, value: Any, kind: Any) -> Any:
        return self.builder.zext(value, BYTE) if kind is bool else value

    def from_memory(self, value: Any, kind: Any) -> Any:
        if kind is bool:
            return self.builder.icmp_unsigned("!=", value, ir.Constant(BYTE, 0))
        return value

    def leave_function(self, values: list[Any], left: bool) -> None:
        if self.checked.function.leaves:
            values = [*values, ir.Constant(BIT, int(left))]
        if not values:
            self.builder.ret_void()
        elif len(values) == 1:
            self.builder.ret(values[0])
        else:
            if self.out is None:
                self.out = self.fn.append_basic_block("out")
                with self.builder.goto_entry_block():
                    self.results = [self.builder.alloca(value.type) for value in values]
            for value, slot in zip(values, self.results, strict=True):
                self.builder.store(value, slot)
            self.builder.branch(self.out)

    def return_results(self, out: ir.Block) -> None:
        """The return that all ways out of the function share."""
        self.builder.position_at_end(out)
        result: Any = ir.Constant(self.fn.ftype.return_type, ir.Undefined)
        for i, slot in enumerate(self.results):
            value = self.builder.load(slot, typ=slot.allocated_type)
            result = self.builder.insert_value(result, value, i)
        self.builder.ret(result)

    def leave(self) -> None:
        """Control leaves: to the handler of the enclosing try, or to the caller."""
        if self.leave_targets:
            self.builder.branch(self.leave_targets[-1])
            return
        undefined = [ir.Constant(value_type(k), ir.Undefined) for k in self.checked.returns]
        self.leave_function(undefined, True)

    # Statements.

    def block(self, statements: list[Any]) -> None:
        for statement in statements:
            getattr(self, f"do_{type(statement).__name__.lower()}")(statement)
            if self.builder.block.is_terminated:
                return

    def do_assign(self, s: tree.Assign) -> None:
        value = self.value(s.value)
        self.builder.store(self.to_memory(value, s.value.kind), self.slots[s.name])

    def do_store(self, s: tree.Store) -> None:
        value = self.value(s.value)
        self.store_place(s.place, value)

    def store_place(self, place: tree.Place, value: Any) -> None:
        pointer = self.pointer(place)
        stored = self.to_memory(value, place.kind)
        self.tag(self.builder.store(stored, pointer, align=size_of(place.kind)), place)

    def do_unpack(self, s: tree.Unpack) -> None:
        results = self.call_results(s.call)
        for target, value, kind in zip(s.targets, results, s.call.kind, strict=True):
            if isinstance(target, str):
                self.builder.store(self.to_memory(value, kind), self.slots[target])
            else:
                self.store_place(target, value)

    def do_effect(self, s: tree.Effect) -> None:
        if isinstance(s.value, tree.Call):
            self.call_results(s.value)
        else:
            self.value(s.value)

    def do_if(self, s: tree.If) -> None:
        then = self.fn.append_basic_block("then")
        orelse = self.fn.append_basic_block("else")
        done = self.fn.append_basic_block("endif")
        self.branch_on(s.condition, then, orelse)
        for block, body in ((then, s.then), (orelse, s.orelse)):
            self.builder.position_at_end(block)
            self.block(body)
            if not self.builder.block.is_terminated:
                self.builder.branch(done)
        self.builder.position_at_end(done)
        if not done.is_terminated and not self.builder.reaches(done):
            self.builder.unreachable()

    def branch_on(self, condition: Any, yes: ir.Block, no: ir.Block) -> None:
        """Branch on a condition; `likely(...)` weighs the sides."""
        likely = isinstance(condition, tree.Intrinsic) and condition.name == "likely"
        branch = self.builder.cbranch(
            self.value(condition.args[0] if likely else condition), yes, no
        )
        if likely:
            branch.set_weights([2000, 1])

    def do_while(self, s: tree.While) -> None:
        head = self.fn.append_basic_block("while")
        body = self.fn.append_basic_block("body")
        done = self.fn.append_basic_block("endwhile")
        self.builder.branch(head)
        self.builder.position_at_end(head)
        if s.condition is None:
            self.builder.branch(body)
        else:
            self.branch_on(s.condition, body, done)
        self.builder.position_at_end(body)
        self.loops.append((done, head))
        self.block(s.body)
        self.loops.pop()
        if not self.builder.block.is_terminated:
            self.builder.branch(head)
        self.builder.position_at_end(done)
        if not self.builder.reaches(done):
            self.builder.unreachable()

    def do_unrolled(self, s: tree.Unrolled) -> None:
        done = self.fn.append_basic_block("endfor")
        for body in s.bodies:
            following = self.fn.append_basic_block("round")
            self.loops.append((done, following))
            self.block(body)
            self.loops.pop()
            if not self.builder.block.is_terminated:
                self.builder.branch(following)
            self.builder.position_at_end(following)
        self.builder.branch(done)
        self.builder.position_at_end(done)

    def do_break(self, s: tree.Break) -> None:
        self.builder.branch(self.loops[-1][0])

    def do_continue(self, s: tree.Continue) -> None:
        self.builder.branch(self.loops[-1][1])

    def do_return(self, s: tree.Return) -> None:
        self.leave_function([self.value(v) for v in s.values], False)

    def do_raise(self, s: tree.Raise) -> None:
        self.leave()

    def do_try(self, s: tree.Try) -> None:
        handler = self.fn.append_basic_block("except")
        done = self.fn.append_basic_block("endtry")
        self.leave_targets.append(handler)
        self.block(s.body)
        self.leave_targets.pop()
        if not self.builder.block.is_terminated:
            self.builder.branch(done)
        self.builder.position_at_end(handler)
        if self.builder.reaches(handler):
            self.block(s.handler)
            if not self.builder.block.is_terminated:
                self.builder.branch(done)
        else:
            self.builder.unreachable()
        self.builder.position_at_end(done)
        if not self.builder.reaches(done):
            self.builder.unreachable()

    # Expressions.

    def value(self, e: Any) -> Any:
        """The LLVM value of an expression."""
        return getattr(self, f"on_{type(e).__name__.lower()}")(e)

    def on_const(self, e: tree.Const) -> Any:
        return ir.Constant(value_type(e.kind), e.value)

    def on_local(self, e: tree.Local) -> Any:
        loaded = self.builder.load(self.slots[e.name], typ=memory_type(e.kind))
        return self.from_memory(loaded, e.kind)

    def pointer(self, e: tree.Place) -> Any:
        base = self.value(e.base)
        if e.offset:
            base = self.builder.gep(
                base, [ir.Constant(WORD, e.offset)], inbounds=True, source_etype=BYTE
            )
        if e.index is None:
            return base
        stride = size_of(e.kind)
        if isinstance(e.index, tree.Const):
            offset = ir.Constant(WORD, e.index.value * stride)
            return self.builder.gep(base, [offset], inbounds=True, source_etype=BYTE)
        index = self.value(e.index)
        if index.type.width < 64:
            index = self.builder.zext(index, WORD)
        if not is_struct(e.kind):
            return self.builder.gep(base, [index], inbounds=True, source_etype=memory_type(e.kind))
        scaled = self.builder.mul(index, ir.Constant(WORD, stride))
        return self.builder.gep(base, [scaled], inbounds=True, source_etype=BYTE)

    def on_place(self, e: tree.Place) -> Any:
        pointer = self.pointer(e)
        if is_struct(e.kind):
            return pointer
        loaded = self.builder.load(pointer, align=size_of(e.kind), typ=memory_type(e.kind))
        self.tag(loaded, e)
        return self.from_memory(loaded, e.kind)

    def tag(self, access: Any, place: tree.Place) -> None:
        """Tell LLVM which member is accessed."""
        if place.member:
            access.set_metadata("tbaa", self.module.member(place.member))

    def on_at(self, e: tree.At) -> Any:
        return self.builder.inttoptr(self.value(e.address), POINTER)

    def on_unary(self, e: tree.Unary) -> Any:
        a = self.value(e.a)
        if e.op == "-":
            return self.builder.neg(a) if is_int(e.kind) else self.builder.fneg(a)
        return self.builder.not_(a)

    def on_binary(self, e: tree.Binary) -> Any:
        a, b = self.value(e.a), self.value(e.b)
        build = self.builder
        if not is_int(e.kind) and e.kind is not bool:
            table = {"+": build.fadd, "-": build.fsub, "*": build.fmul, "/": build.fdiv}
            return table[e.op](a, b)
        if e.op in ("<<", ">>"):
            return self.shift(e, a, b)
        table = {
            "+": build.add,
            "-": build.sub,
            "*": build.mul,
            "&": build.and_,
            "|": build.or_,
            "^": build.xor,
            "//": build.udiv,
            "%": build.urem,
        }
        return table[e.op](a, b)

    def shift(self, e: tree.Binary, a: Any, count: Any) -> Any:
        bits = e.kind.bits
        if count.type.width > bits:
            count = self.builder.trunc(count, a.type)
        elif count.type.width < bits:
            count = self.builder.zext(count, a.type)
        count = self.builder.and_(count, ir.Constant(a.type, bits - 1))
        if e.op == "<<":
            return self.builder.shl(a, count)
        return (self.builder.ashr if e.kind.signed else self.builder.lshr)(a, count)

    def on_compare(self, e: tree.Compare) -> Any:
        a, b = self.value(e.a), self.value(e.b)
        if is_int(e.a.kind) or e.a.kind is bool:
            signed = is_int(e.a.kind) and e.a.kind.signed
            compare = self.builder.icmp_signed if signed else self.builder.icmp_unsigned
            return compare(e.op, a, b)
        if e.op == "!=":
            return self.builder.fcmp_unordered(e.op, a, b)
        return self.builder.fcmp_ordered(e.op, a, b)

    def on_logic(self, e: tree.Logic) -> Any:
        slot = self.result_slot(BIT)
        done = self.fn.append_basic_block("logic")
        for i, part in enumerate(e.parts):
            value = self.value(part)
            self.builder.store(value, slot)
            if i == len(e.parts) - 1:
                self.builder.branch(done)
                break
            more = self.fn.append_basic_block("more")
            if e.op == "and":
                self.builder.cbranch(value, more, done)
            else:
                self.builder.cbranch(value, done, more)
            self.builder.position_at_end(more)
        self.builder.position_at_end(done)
        return self.builder.load(slot, typ=BIT)

    def on_select(self, e: tree.Select) -> Any:
        slot = self.result_slot(value_type(e.kind))
        then = self.fn.append_basic_block("if_yes")
        orelse = self.fn.append_basic_block("if_no")
        done = self.fn.append_basic_block("if_done")
        self.branch_on(e.condition, then, orelse)
        for block, side in ((then, e.a), (orelse, e.b)):
            self.builder.position_at_end(block)
            self.builder.store(self.value(side), slot)
            self.builder.branch(done)
        self.builder.position_at_end(done)
        return self.builder.load(slot, typ=value_type(e.kind))

    def result_slot(self, kind: ir.Type) -> Any:
        with self.builder.goto_entry_block():
            return self.builder.alloca(kind)

    def on_cast(self, e: tree.Cast) -> Any:
        a, source = self.value(e.a), e.a.kind
        target = value_type(e.kind)
        if source is e.kind:
            return a
        if is_int(e.kind):
            if source is bool:
                return self.builder.zext(a, target)
            if is_int(source):
                if e.kind.bits < source.bits:
                    return self.builder.trunc(a, target)
                if e.kind.bits == source.bits:
                    return a
                return (self.builder.sext if source.signed else self.builder.zext)(a, target)
            return (self.builder.fptosi if e.kind.signed else self.builder.fptoui)(a, target)
        if is_int(source):
            return (self.builder.sitofp if source.signed else self.builder.uitofp)(a, target)
        return (self.builder.fpext if e.kind is f64 else self.builder.fptrunc)(a, target)

    def on_call(self, e: tree.Call) -> Any:
        results = self.call_results(e)
        return results[0] if results else None

    def call_results(self, e: tree.Call) -> list[Any]:
        """Call a typed function, pass a leave on, and return its results."""
        args = [self.value(a) for a in e.args]
        result = self.builder.call(self.module.function(e.function), args)
        count = 0 if e.kind is None else len(e.kind) if isinstance(e.kind, tuple) else 1
        total = count + (1 if e.function.leaves else 0)
        if total <= 1:
            values = [result]
        else:
            values = [self.builder.extract_value(result, i) for i in range(total)]
        if e.function.leaves:
            left = values[-1]
            away = self.fn.append_basic_block("left")
            stay = self.fn.append_basic_block("stay")
            self.builder.cbranch(left, away, stay).set_weights([1, 2000])
            self.builder.position_at_end(away)
            self.leave()
            self.builder.position_at_end(stay)
        return values[:count]

    def on_intrinsic(self, e: tree.Intrinsic) -> Any:
        args = [self.value(a) for a in e.args]
        return LOWERINGS[e.name](self, [a.kind for a in e.args], e.kind, args)
