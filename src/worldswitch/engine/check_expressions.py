"""The checker's lower half: names, constants and expressions of the typed subset."""

import ast
import builtins
import functools
import inspect
import linecache
import types
from dataclasses import dataclass
from typing import Any, NoReturn

from worldswitch.engine import intrinsics, tree
from worldswitch.engine.errors import SubsetError
from worldswitch.engine.function import Typed
from worldswitch.engine.intrinsic_types import result_kind
from worldswitch.engine.layout import Struct
from worldswitch.engine.types import INT_TYPES, Int, f32, f64, fits

BINARY: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Div: "/",
}
COMPARE: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
UNARY: dict[type[ast.unaryop], str] = {ast.USub: "-", ast.Invert: "~", ast.Not: "not"}
UNROLL_LIMIT = 256
FLOATS = (f32, f64)


def is_int(kind: Any) -> bool:
    """True for the integer classes."""
    return kind in INT_TYPES


def is_struct(kind: Any) -> bool:
    """True for Struct classes."""
    return isinstance(kind, type) and issubclass(kind, Struct)


def is_scalar(kind: Any) -> bool:
    """True for what fits a local variable by value."""
    return is_int(kind) or kind is bool or kind in FLOATS


def kind_name(kind: Any) -> str:
    """A kind as the programmer wrote it."""
    if isinstance(kind, tuple):
        return f"tuple[{', '.join(kind_name(k) for k in kind)}]"
    return "None" if kind is None else kind.__name__


def return_kinds(function: Typed[Any, Any]) -> list[Any]:
    """The kinds that a function returns: none, one, or a tuple's."""
    returns = function.returns
    if returns is None:
        return []
    if getattr(returns, "__origin__", None) is tuple:
        return list(returns.__args__)
    return [returns]


@dataclass(frozen=True)
class Source:
    """The text of a file, and a function in it, which all that one template gives share."""

    filename: str
    lines: list[str]
    node: ast.FunctionDef


@functools.cache
def _functions(filename: str) -> tuple[list[str], dict[tuple[str, int], ast.FunctionDef]]:
    """The lines of a file, and its functions by name and first line, decorators included."""
    lines = linecache.getlines(filename)
    found: dict[tuple[str, int], ast.FunctionDef] = {}
    for node in ast.walk(ast.parse("".join(lines))):
        if isinstance(node, ast.FunctionDef):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            found[node.name, first] = node
    return [line.rstrip("\n") for line in lines], found


def source_of(code: types.CodeType) -> Source:
    """The text of a function; files are read and parsed once."""
    filename = inspect.getsourcefile(code) or code.co_filename
    lines, functions = _functions(filename)
    return Source(filename, lines, functions[code.co_name, code.co_firstlineno])


class ExpressionChecker:
    """What a function's statements share: its source, its scopes, and its expressions."""

    def __init__(self, function: Typed[Any, Any]) -> None:
        self.function = function
        source = source_of(function.fn.__code__)
        self.filename, self.lines, self.node = source.filename, source.lines, source.node
        self.closure = inspect.getclosurevars(function.fn)
        self.locals: dict[str, Any] = {}
        self.unrolled: dict[str, int] = {}
        self.assigned: set[str] = set()
        self.breaks: list[list[set[str]]] = []
        self.in_try = 0
        self.returns = return_kinds(function)

    def fail(self, node: ast.AST, message: str) -> NoReturn:
        line = getattr(node, "lineno", 1)
        column = getattr(node, "col_offset", 0)
        raise SubsetError(message, self.filename, line, column + 1, self.lines[line - 1])

    def may_leave(self, node: ast.AST) -> None:
        if not self.function.leaves and not self.in_try:
            self.fail(node, f"{self.function.name} has to be declared @typed(leaves=True)")

    # Expressions.

    def lookup(self, node: ast.AST) -> Any:
        """The Python object that a name or attribute chain stands for, or `self` if local."""
        if isinstance(node, ast.Name):
            if node.id in self.locals or node.id in self.unrolled:
                return self
            for scope in (
                self.closure.nonlocals,
                self.closure.globals,
                self.function.fn.__globals__,
            ):
                if node.id in scope:
                    return scope[node.id]
            return getattr(builtins, node.id, self)
        if isinstance(node, ast.Attribute):
            owner = self.lookup(node.value)
            return self if owner is self else getattr(owner, node.attr, self)
        return self

    def constant(self, node: ast.expr) -> Any:
        """A compile-time constant: a type, a number, an enum member."""
        value = self.lookup(node)
        if value is not self:
            return value
        literal = self.expression(node)
        if not isinstance(literal, tree.Const):
            self.fail(node, "has to be constant")
        return literal.value

    def value_of(self, node: ast.expr, kind: Any) -> Any:
        return self.adapt(self.expression(node), kind, node)

    def adapt(self, value: Any, kind: Any, node: ast.AST) -> Any:
        """`value` as `kind`: a literal takes it if it fits, anything else has to have it."""
        if value.kind is kind:
            return value
        if value.kind is None and isinstance(value, tree.Select):
            a = self.adapt(value.a, kind, node)
            return tree.Select(kind, value.condition, a, self.adapt(value.b, kind, node))
        if value.kind is None and isinstance(value, tree.Const):
            if is_int(kind) and isinstance(value.value, int):
                if not fits(value.value, kind):
                    self.fail(node, f"{value.value} does not fit in {kind_name(kind)}")
                return tree.Const(kind, int(kind(value.value)))
            if kind in FLOATS:
                return tree.Const(kind, float(value.value))
        shown = "a literal" if value.kind is None else kind_name(value.kind)
        self.fail(node, f"{shown} where {kind_name(kind)} is needed: cast it")

    def condition(self, node: ast.expr) -> Any:
        value = self.expression(node)
        if isinstance(value, tree.Const) and isinstance(value.value, bool):
            return value
        if value.kind is not bool:
            self.fail(node, "a condition has to be bool: compare with 0")
        return value

    def expression(self, node: ast.expr, want_value: bool = True) -> Any:
        method = getattr(self, f"on_{type(node).__name__.lower()}", None)
        if method is None:
            self.fail(node, f"{type(node).__name__.lower()} is not in the typed subset")
        value = method(node)
        if want_value and value.kind is None and not isinstance(value, (tree.Const, tree.Select)):
            self.fail(node, "the call has no value")
        return value

    def on_constant(self, node: ast.Constant) -> Any:
        if isinstance(node.value, bool):
            return tree.Const(bool, node.value)
        if isinstance(node.value, (int, float)):
            return tree.Const(None, node.value)
        self.fail(node, "only numbers and booleans are literals of the typed subset")

    def on_name(self, node: ast.Name) -> Any:
        if node.id in self.unrolled:
            return tree.Const(None, self.unrolled[node.id])
        if node.id in self.locals:
            if node.id not in self.assigned:
                self.fail(node, f"{node.id} may be used before it is assigned")
            return tree.Local(self.locals[node.id], node.id)
        return self.outside(node)

    def outside(self, node: ast.expr) -> Any:
        value = self.lookup(node)
        if value is self:
            self.fail(node, f"unknown name {ast.unparse(node)}")
        if isinstance(value, bool):
            return tree.Const(bool, value)
        if isinstance(value, Int):
            return tree.Const(type(value), int(value))
        if isinstance(value, int):
            return tree.Const(None, int(value))
        if isinstance(value, float):
            return tree.Const(None, value)
        self.fail(node, f"{ast.unparse(node)} is not a value of the typed subset")

    def on_attribute(self, node: ast.Attribute) -> Any:
        if self.lookup(node) is not self:
            return self.outside(node)
        place = self.place(node)
        return place

    def on_subscript(self, node: ast.Subscript) -> Any:
        return self.place(node)

    def place(self, node: ast.expr) -> Any:
        """A member of a Struct or an element of its array."""
        index: Any = None
        member = node
        if isinstance(node, ast.Subscript):
            member = node.value
        if not isinstance(member, ast.Attribute):
            self.fail(node, "has to be a member of a Struct")
        base = self.expression(member.value)
        if not is_struct(base.kind):
            self.fail(member.value, f"{kind_name(base.kind)} has no members")
        field = base.kind.fields.get(member.attr)
        if field is None:
            self.fail(member, f"{base.kind.__name__} has no member {member.attr}")
        if isinstance(node, ast.Subscript):
            if not field.count:
                self.fail(node, f"{member.attr} is not an array")
            index = self.expression(node.slice)
            if isinstance(index, tree.Const):
                if not 0 <= index.value < field.count:
                    self.fail(node.slice, f"{member.attr} has {field.count} elements")
            elif not is_int(index.kind) or index.kind.signed:
                self.fail(node.slice, "an index is of an unsigned type")
        elif field.count:
            self.fail(node, f"{member.attr} is an array: index it")
        name = f"{base.kind.__name__}.{field.name}" if base.kind.apart else ""
        return tree.Place(field.element, base, field.offset, index, name)

    def on_unaryop(self, node: ast.UnaryOp) -> Any:
        op = UNARY.get(type(node.op))
        if op is None:
            self.fail(node, "unary + is not in the typed subset")
        if op == "not":
            value = self.condition(node.operand)
            if isinstance(value, tree.Const):
                return tree.Const(bool, not value.value)
            return tree.Unary(bool, op, value)
        a = self.expression(node.operand)
        if isinstance(a, tree.Const) and a.kind is None:
            return tree.Const(None, -a.value if op == "-" else ~a.value)
        if not is_int(a.kind) and not (op == "-" and a.kind in FLOATS):
            self.fail(node, f"{op} is not for {kind_name(a.kind)}")
        return tree.Unary(a.kind, op, a)

    def operator(self, op: ast.operator, node: ast.AST) -> str:
        name = BINARY.get(type(op))
        if name is None:
            self.fail(node, f"operator {type(op).__name__} is not in the typed subset")
        return name

    def on_binop(self, node: ast.BinOp) -> Any:
        op = self.operator(node.op, node)
        left = self.expression(node.left)
        return self.binary(node, op, left, self.expression(node.right), node.right)

    def binary(self, node: ast.AST, op: str, a: Any, b: Any, right: ast.expr) -> Any:
        if isinstance(a, tree.Const) and isinstance(b, tree.Const) and a.kind is b.kind is None:
            return tree.Const(None, self.fold(op, a.value, b.value))
        if op in ("<<", ">>"):
            if a.kind is None:
                self.fail(node, "the literal that is shifted needs a cast")
            if not is_int(a.kind):
                self.fail(node, f"{kind_name(a.kind)} cannot be shifted")
            if b.kind is not None and not is_int(b.kind):
                self.fail(right, "a shift count is an integer")
            if b.kind is None:
                b = tree.Const(a.kind, b.value % a.kind.bits)
            return tree.Binary(a.kind, op, a, b)
        a, b = self.meet(node, a, b)
        if op in ("//", "%") and a.kind.signed:
            self.fail(node, f"{op} is for unsigned types; use sdiv or srem")
        if a.kind in FLOATS:
            if op not in "+-*/":
                self.fail(node, f"{op} is not for {kind_name(a.kind)}")
        elif op == "/":
            self.fail(node, "/ is for floats; use // on unsigned integers")
        elif a.kind is bool and op not in "&|^":
            self.fail(node, f"{op} is not for bool")
        return tree.Binary(a.kind, op, a, b)

    @staticmethod
    def fold(op: str, a: Any, b: Any) -> Any:
        return eval(f"a {op} b", {"a": a, "b": b})  # two literals and an operator of BINARY

    def meet(self, node: ast.AST, a: Any, b: Any) -> tuple[Any, Any]:
        """Two operands of one kind; a literal takes the other's."""
        if a.kind is None:
            a = self.adapt(a, b.kind, node)
        if b.kind is None:
            b = self.adapt(b, a.kind, node)
        if a.kind is not b.kind:
            self.fail(node, f"{kind_name(a.kind)} meets {kind_name(b.kind)}: cast one of them")
        if not is_scalar(a.kind):
            self.fail(node, f"no operator takes {kind_name(a.kind)}")
        return a, b

    def on_compare(self, node: ast.Compare) -> Any:
        if len(node.ops) == 1 and isinstance(node.ops[0], (ast.Is, ast.IsNot)):
            return self.identity(node)
        parts: list[Any] = []
        left = self.expression(node.left)
        for op, right_node in zip(node.ops, node.comparators, strict=True):
            name = COMPARE.get(type(op))
            if name is None:
                self.fail(node, f"{type(op).__name__} is not in the typed subset")
            right = self.expression(right_node)
            if isinstance(left, tree.Const) and isinstance(right, tree.Const):
                parts.append(tree.Const(bool, self.fold(name, left.value, right.value)))
            else:
                a, b = self.meet(node, left, right)
                parts.append(tree.Compare(bool, name, a, b))
            left = right
        return parts[0] if len(parts) == 1 else tree.Logic(bool, "and", parts)

    def identity(self, node: ast.Compare) -> Any:
        """`kind is u64` in a template: settled when the function is compiled."""
        a, b = self.lookup(node.left), self.lookup(node.comparators[0])
        if a is self or b is self:
            self.fail(node, "`is` compares constants, such as types, only")
        return tree.Const(bool, (a is b) == isinstance(node.ops[0], ast.Is))

    def on_boolop(self, node: ast.BoolOp) -> Any:
        op = "and" if isinstance(node.op, ast.And) else "or"
        parts: list[Any] = []
        for value_node in node.values:
            value = self.condition(value_node)
            if isinstance(value, tree.Const):
                if value.value == (op == "or"):
                    parts.append(value)
                    break
                continue
            parts.append(value)
        if not parts:
            return tree.Const(bool, op == "and")
        return parts[0] if len(parts) == 1 else tree.Logic(bool, op, parts)

    def on_ifexp(self, node: ast.IfExp) -> Any:
        condition = self.condition(node.test)
        if isinstance(condition, tree.Const):
            return self.expression(node.body if condition.value else node.orelse)
        a, b = self.expression(node.body), self.expression(node.orelse)
        if a.kind is None and b.kind is None:
            return tree.Select(None, condition, a, b)
        if a.kind is None:
            a = self.adapt(a, b.kind, node.body)
        if b.kind is None:
            b = self.adapt(b, a.kind, node.orelse)
        if a.kind is not b.kind:
            self.fail(node, f"{kind_name(a.kind)} meets {kind_name(b.kind)}: cast one of them")
        return tree.Select(a.kind, condition, a, b)

    def on_call(self, node: ast.Call) -> Any:
        if node.keywords:
            self.fail(node, "arguments are positional in the typed subset")
        if isinstance(node.func, ast.Attribute) and node.func.attr == "at":
            owner = self.lookup(node.func.value)
            if is_struct(owner):
                return tree.At(owner, self.value_of(node.args[0], _U64))
        callee = self.lookup(node.func)
        if isinstance(callee, Typed):
            return self.call(node, callee)
        if is_int(callee) or callee in FLOATS or callee is bool:
            return self.cast(node, callee)
        name = getattr(callee, "__name__", "")
        if intrinsics.INTRINSICS.get(name) is callee and callee is not self:
            return self.intrinsic(node, name)
        self.fail(node.func, f"{ast.unparse(node.func)} is not a typed function")

    def call(self, node: ast.Call, callee: Typed[Any, Any]) -> Any:
        kinds = list(callee.parameters.values())
        if len(kinds) != len(node.args):
            self.fail(node, f"{callee.name} takes {len(kinds)} arguments, not {len(node.args)}")
        if callee.leaves:
            self.may_leave(node)
        args = [self.value_of(a, k) for a, k in zip(node.args, kinds, strict=True)]
        returns = return_kinds(callee)
        kind = None if not returns else returns[0] if len(returns) == 1 else tuple(returns)
        return tree.Call(kind, callee, args)

    def cast(self, node: ast.Call, kind: Any) -> Any:
        if len(node.args) != 1:
            self.fail(node, "a cast takes one value")
        value = self.expression(node.args[0])
        if isinstance(value, tree.Select) and value.kind is None:
            return self.adapt(value, kind, node)
        if isinstance(value, tree.Const):
            if kind is bool:
                self.fail(node, "compare with 0 instead")
            converted = kind(value.value)
            return tree.Const(kind, float(converted) if kind in FLOATS else int(converted))
        if kind is bool and value.kind is not bool:
            self.fail(node, "compare with 0 instead of casting to bool")
        if not is_scalar(value.kind):
            self.fail(node, f"{kind_name(value.kind)} cannot be cast")
        return tree.Cast(kind, value)

    def intrinsic(self, node: ast.Call, name: str) -> Any:
        args = [self.expression(a) for a in node.args]
        kinds = result_kind(name, [a.kind for a in args])
        if kinds is None:
            shown = ", ".join("literal" if a.kind is None else kind_name(a.kind) for a in args)
            self.fail(node, f"{name}({shown}) does not match its declaration")
        wanted, result = kinds
        adapted = [self.adapt(a, k, n) for a, k, n in zip(args, wanted, node.args, strict=True)]
        return tree.Intrinsic(result, name, adapted)


_U64 = INT_TYPES[3]
