"""The checker: a typed function's source becomes a typed tree, or a precise error."""

import ast
from typing import Any

from worldswitch.engine import tree
from worldswitch.engine.check_expressions import (
    UNROLL_LIMIT,
    ExpressionChecker,
    is_int,
    is_scalar,
    is_struct,
    kind_name,
    return_kinds,
)
from worldswitch.engine.function import Leave, Typed


class Checker(ExpressionChecker):
    """Checks one function: the statements."""

    def run(self) -> tree.Checked:
        """Check the whole function."""
        params: list[tuple[str, Any]] = []
        for name, kind in self.function.parameters.items():
            if not (is_scalar(kind) or is_struct(kind)):
                self.fail(self.node, f"parameter {name} needs a type of the subset")
            params.append((name, kind))
            self.locals[name] = kind
            self.assigned.add(name)
        for kind in self.returns:
            if not (is_scalar(kind) or is_struct(kind)):
                self.fail(self.node, f"return type {kind!r} is not of the subset")
        body, ends = self.block(self.node.body)
        if self.returns and not ends:
            self.fail(self.node, f"{self.function.name} can end without a return")
        return tree.Checked(self.function, params, self.returns, self.locals, body)

    # Statements. Each returns (nodes, does control never pass its end).

    def block(self, statements: list[ast.stmt]) -> tuple[list[Any], bool]:
        out: list[Any] = []
        for statement in statements:
            nodes, ends = self.statement(statement)
            out += nodes
            if ends:
                return out, True
        return out, False

    def statement(self, s: ast.stmt) -> tuple[list[Any], bool]:
        method = getattr(self, f"do_{type(s).__name__.lower()}", None)
        if method is None:
            self.fail(s, f"{type(s).__name__.lower()} is not in the typed subset")
        return method(s)

    def do_pass(self, s: ast.Pass) -> tuple[list[Any], bool]:
        return [], False

    def do_expr(self, s: ast.Expr) -> tuple[list[Any], bool]:
        if isinstance(s.value, ast.Constant) and isinstance(s.value.value, str):
            return [], False
        if not isinstance(s.value, ast.Call):
            self.fail(s, "an expression statement has to be a call")
        return [tree.Effect(self.expression(s.value, want_value=False))], False

    def do_assign(self, s: ast.Assign) -> tuple[list[Any], bool]:
        if len(s.targets) != 1:
            self.fail(s, "assign to one target at a time")
        target = s.targets[0]
        if isinstance(target, ast.Tuple):
            return self.unpack(s, target), False
        if isinstance(target, ast.Name):
            value = self.expression(s.value)
            return [self.assign_local(target, target.id, value, s.value)], False
        place = self.place(target)
        return [tree.Store(place, self.value_of(s.value, place.kind))], False

    def unpack(self, s: ast.Assign, target: ast.Tuple) -> list[Any]:
        if isinstance(s.value, ast.Tuple):
            self.fail(s.value, "unpack a call's result; assign other values one by one")
        call = self.expression(s.value)
        if not isinstance(call, tree.Call) or not isinstance(call.kind, tuple):
            self.fail(s.value, "only a call that returns a tuple can be unpacked")
        if len(target.elts) != len(call.kind):
            self.fail(target, f"{len(call.kind)} values for {len(target.elts)} targets")
        targets: list[Any] = []
        for element, kind in zip(target.elts, call.kind, strict=True):
            if isinstance(element, ast.Name):
                self.declare(element, element.id, kind)
                targets.append(element.id)
            else:
                place = self.place(element)
                if place.kind is not kind:
                    self.fail(element, f"{kind_name(kind)} stored in {kind_name(place.kind)}")
                targets.append(place)
        return [tree.Unpack(targets, call)]

    def declare(self, node: ast.AST, name: str, kind: Any) -> None:
        if name in self.unrolled:
            self.fail(node, f"{name} is the variable of an unrolled loop")
        before = self.locals.setdefault(name, kind)
        if before is not kind:
            self.fail(node, f"{name} is {kind_name(before)}, not {kind_name(kind)}")
        self.assigned.add(name)

    def assign_local(self, node: ast.AST, name: str, value: Any, where: ast.expr) -> Any:
        if name in self.locals:
            value = self.adapt(value, self.locals[name], where)
        elif value.kind is None:
            self.fail(node, f"{name} needs a type: write `{name}: u64 = ...`")
        elif not (is_scalar(value.kind) or is_struct(value.kind)):
            self.fail(where, f"{kind_name(value.kind)} cannot be assigned to a variable")
        self.declare(node, name, value.kind)
        return tree.Assign(name, value)

    def do_annassign(self, s: ast.AnnAssign) -> tuple[list[Any], bool]:
        if not isinstance(s.target, ast.Name):
            self.fail(s, "only variables take annotations")
        kind = self.constant(s.annotation)
        if not (is_scalar(kind) or is_struct(kind)):
            self.fail(s.annotation, "not a type of the subset")
        if s.value is None:
            self.fail(s, "give the variable a value")
        value = self.value_of(s.value, kind)
        self.declare(s.target, s.target.id, kind)
        return [tree.Assign(s.target.id, value)], False

    def do_augassign(self, s: ast.AugAssign) -> tuple[list[Any], bool]:
        op = self.operator(s.op, s)
        if isinstance(s.target, ast.Name):
            old = self.expression(ast.copy_location(ast.Name(s.target.id, ast.Load()), s.target))
            value = self.binary(s, op, old, self.expression(s.value), s.value)
            return [self.assign_local(s.target, s.target.id, value, s.value)], False
        place = self.place(s.target)
        value = self.binary(s, op, place, self.expression(s.value), s.value)
        return [tree.Store(place, value)], False

    def do_if(self, s: ast.If) -> tuple[list[Any], bool]:
        condition = self.condition(s.test)
        if isinstance(condition, tree.Const):
            return self.block(s.body if condition.value else s.orelse)
        before = set(self.assigned)
        then, then_ends = self.block(s.body)
        after_then, self.assigned = self.assigned, set(before)
        orelse, else_ends = self.block(s.orelse)
        if then_ends:
            pass
        elif else_ends:
            self.assigned = after_then
        else:
            self.assigned &= after_then
        return [tree.If(condition, then, orelse)], then_ends and else_ends

    def do_while(self, s: ast.While) -> tuple[list[Any], bool]:
        if s.orelse:
            self.fail(s.orelse[0], "while has no else in the typed subset")
        condition = self.condition(s.test)
        if isinstance(condition, tree.Const) and not condition.value:
            return [], False
        before = set(self.assigned)
        self.breaks.append([])
        body, _ = self.block(s.body)
        exits = self.breaks.pop()
        if isinstance(condition, tree.Const):
            if not exits:
                return [tree.While(None, body)], True
            self.assigned = set.intersection(*exits)
            return [tree.While(None, body)], False
        self.assigned = before
        return [tree.While(condition, body)], False

    def do_for(self, s: ast.For) -> tuple[list[Any], bool]:
        bounds = self.range_of(s)
        assert isinstance(s.target, ast.Name)
        name = s.target.id
        if name in self.locals:
            self.fail(s.target, f"{name} is a variable already; an unrolled loop needs its own")
        bodies: list[list[Any]] = []
        self.breaks.append([])
        for value in bounds:
            self.unrolled[name] = value
            body, _ = self.block(s.body)
            bodies.append(body)
        self.unrolled.pop(name, None)
        for exit_set in self.breaks.pop():
            self.assigned &= exit_set
        return [tree.Unrolled(bodies)], False

    def range_of(self, s: ast.For) -> range:
        if s.orelse:
            self.fail(s.orelse[0], "for has no else in the typed subset")
        call = s.iter
        if (
            not isinstance(call, ast.Call)
            or self.lookup(call.func) is not range
            or not isinstance(s.target, ast.Name)
        ):
            self.fail(s, "for goes over a constant range(...) with one variable")
        bounds = range(*[self.constant(a) for a in call.args])
        if len(bounds) > UNROLL_LIMIT:
            self.fail(call, f"{len(bounds)} rounds are too many to unroll; use while")
        return bounds

    def do_break(self, s: ast.Break) -> tuple[list[Any], bool]:
        if not self.breaks:
            self.fail(s, "break outside a loop")
        self.breaks[-1].append(set(self.assigned))
        return [tree.Break()], True

    def do_continue(self, s: ast.Continue) -> tuple[list[Any], bool]:
        if not self.breaks:
            self.fail(s, "continue outside a loop")
        return [tree.Continue()], True

    def do_return(self, s: ast.Return) -> tuple[list[Any], bool]:
        if s.value is None or (isinstance(s.value, ast.Constant) and s.value.value is None):
            if self.returns:
                self.fail(s, f"return needs a value: {kind_name(tuple(self.returns))}")
            return [tree.Return([])], True
        if not self.returns:
            self.fail(s, "the function is declared to return None")
        if len(self.returns) == 1:
            return [tree.Return([self.value_of(s.value, self.returns[0])])], True
        if isinstance(s.value, ast.Tuple):
            if len(s.value.elts) != len(self.returns):
                self.fail(s.value, f"{len(self.returns)} values have to be returned")
            values = [self.value_of(e, k) for e, k in zip(s.value.elts, self.returns, strict=True)]
            return [tree.Return(values)], True
        call = self.expression(s.value)
        if call.kind != tuple(self.returns):
            self.fail(s.value, f"returns {kind_name(tuple(self.returns))}")
        names = [f"return.{i}.{s.lineno}" for i in range(len(self.returns))]
        for name, kind in zip(names, self.returns, strict=True):
            self.locals[name] = kind
        values = [tree.Local(k, n) for n, k in zip(names, self.returns, strict=True)]
        return [tree.Unpack(list(names), call), tree.Return(values)], True

    def do_raise(self, s: ast.Raise) -> tuple[list[Any], bool]:
        if s.exc is None or s.cause is not None or self.lookup(s.exc) is not Leave:
            self.fail(s, "only `raise Leave` is in the typed subset")
        self.may_leave(s)
        return [tree.Raise()], True

    def do_try(self, s: ast.Try) -> tuple[list[Any], bool]:
        simple = len(s.handlers) == 1 and not s.orelse and not s.finalbody
        if not simple or s.handlers[0].type is None or s.handlers[0].name is not None:
            self.fail(s, "only `try: ... except Leave: ...` is in the typed subset")
        if self.lookup(s.handlers[0].type) is not Leave:
            self.fail(s.handlers[0], "only Leave can be caught")
        before = set(self.assigned)
        self.in_try += 1
        body, body_ends = self.block(s.body)
        self.in_try -= 1
        after, self.assigned = self.assigned, before
        handler, handler_ends = self.block(s.handlers[0].body)
        if handler_ends:
            self.assigned = after
        elif not body_ends:
            self.assigned &= after
        return [tree.Try(body, handler)], body_ends and handler_ends


def check(function: Typed[Any, Any]) -> tree.Checked:
    """Check a typed function; raises SubsetError."""
    return Checker(function).run()


__all__ = ["check", "is_int", "is_struct", "return_kinds"]
