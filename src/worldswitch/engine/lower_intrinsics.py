"""LLVM forms of the intrinsics: a table from name to lowering."""

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from worldswitch.engine.types import Int

BYTE = ir.IntType(8)
BIT = ir.IntType(1)
POINTER = ir.PointerType()
VOID = ir.VoidType()

Lowering = Callable[[Any, list[Any], Any, list[Any]], Any]


def _same(name: str) -> Lowering:
    def lower(f: Any, kinds: list[Any], kind: Any, args: list[Any]) -> Any:
        t = args[0].type
        if t.width == 8 and name == "llvm.bswap":
            return args[0]
        fn = f.module.intrinsic(name, [t], ir.FunctionType(t, [t]))
        return f.builder.call(fn, args)

    return lower


def _count(name: str) -> Lowering:
    def lower(f: Any, kinds: list[Any], kind: Any, args: list[Any]) -> Any:
        t = args[0].type
        fn = f.module.intrinsic(name, [t], ir.FunctionType(t, [t, BIT]))
        return f.builder.call(fn, [args[0], ir.Constant(BIT, 0)])

    return lower


def _rotl(f: Any, kinds: list[Any], kind: Any, args: list[Any]) -> Any:
    x, count = args
    if count.type.width < x.type.width:
        count = f.builder.zext(count, x.type)
    elif count.type.width > x.type.width:
        count = f.builder.trunc(count, x.type)
    t = x.type
    fn = f.module.intrinsic("llvm.fshl", [t], ir.FunctionType(t, [t, t, t]))
    return f.builder.call(fn, [x, x, count])


def _overflow(op: str) -> Lowering:
    def lower(f: Any, kinds: list[Any], kind: Any, args: list[Any]) -> Any:
        t = args[0].type
        sign = "s" if kinds[0].signed else "u"
        result = ir.LiteralStructType([t, BIT])
        name = f"llvm.{sign}{op}.with.overflow"
        fn = f.module.intrinsic(name, [t], ir.FunctionType(result, [t, t]))
        return f.builder.extract_value(f.builder.call(fn, args), 1)

    return lower


def _identity(f: Any, kinds: list[Any], kind: Any, args: list[Any]) -> Any:
    return args[0]


def _peek(f: Any, kinds: list[Any], kind: type[Int], args: list[Any]) -> Any:
    pointer = f.builder.inttoptr(args[0], POINTER)
    return f.builder.load(pointer, align=1, typ=ir.IntType(kind.bits))


def _poke(f: Any, kinds: list[Any], kind: Any, args: list[Any]) -> Any:
    pointer = f.builder.inttoptr(args[0], POINTER)
    return f.builder.store(args[1], pointer, align=1)


def _copy(f: Any, kinds: list[Any], kind: Any, args: list[Any]) -> Any:
    size = ir.IntType(64)
    fnty = ir.FunctionType(VOID, [POINTER, POINTER, size, BIT])
    fn = f.module.intrinsic("llvm.memmove", [POINTER, POINTER, size], fnty)
    to, source = (f.builder.inttoptr(a, POINTER) for a in args[:2])
    return f.builder.call(fn, [to, source, args[2], ir.Constant(BIT, 0)])


def _fill(f: Any, kinds: list[Any], kind: Any, args: list[Any]) -> Any:
    size = ir.IntType(64)
    fnty = ir.FunctionType(VOID, [POINTER, BYTE, size, BIT])
    fn = f.module.intrinsic("llvm.memset", [POINTER, size], fnty)
    to = f.builder.inttoptr(args[0], POINTER)
    return f.builder.call(fn, [to, args[1], args[2], ir.Constant(BIT, 0)])


def _compare(f: Any, kinds: list[Any], kind: Any, args: list[Any]) -> Any:
    word = ir.IntType(32)
    fnty = ir.FunctionType(word, [POINTER, POINTER, ir.IntType(64)])
    fn = f.module.intrinsic("memcmp", [], fnty)
    a, b = (f.builder.inttoptr(x, POINTER) for x in args[:2])
    return f.builder.icmp_unsigned("==", f.builder.call(fn, [a, b, args[2]]), ir.Constant(word, 0))


def _address(f: Any, kinds: list[Any], kind: Any, args: list[Any]) -> Any:
    return f.builder.ptrtoint(args[0], ir.IntType(64))


def _call_native(f: Any, kinds: list[Any], kind: Any, args: list[Any]) -> Any:
    word = ir.IntType(64)
    pointer = ir.FunctionType(word, [word]).as_pointer()
    return f.builder.call(f.builder.inttoptr(args[0], pointer), [args[1]])


def _bitcast(target: ir.Type) -> Lowering:
    return lambda f, kinds, kind, args: f.builder.bitcast(args[0], target)


def _float(name: str) -> Lowering:
    def lower(f: Any, kinds: list[Any], kind: Any, args: list[Any]) -> Any:
        t = args[0].type
        fn = f.module.intrinsic(name, [t], ir.FunctionType(t, [t] * len(args)))
        return f.builder.call(fn, args)

    return lower


LOWERINGS: dict[str, Lowering] = {
    "bswap": _same("llvm.bswap"),
    "popcount": _same("llvm.ctpop"),
    "clz": _count("llvm.ctlz"),
    "ctz": _count("llvm.cttz"),
    "rotl": _rotl,
    "sdiv": lambda f, kinds, kind, args: f.builder.sdiv(*args),
    "srem": lambda f, kinds, kind, args: f.builder.srem(*args),
    "add_overflows": _overflow("add"),
    "sub_overflows": _overflow("sub"),
    "mul_overflows": _overflow("mul"),
    "signed": _identity,
    "unsigned": _identity,
    "likely": _identity,
    "f64_of_bits": _bitcast(ir.DoubleType()),
    "bits_of_f64": _bitcast(ir.IntType(64)),
    "f32_of_bits": _bitcast(ir.FloatType()),
    "bits_of_f32": _bitcast(ir.IntType(32)),
    "sqrt": _float("llvm.sqrt"),
    "round_even": _float("llvm.roundeven"),
    "truncate": _float("llvm.trunc"),
    "floor": _float("llvm.floor"),
    "ceiling": _float("llvm.ceil"),
    "fused": _float("llvm.fma"),
    "copy_bytes": _copy,
    "fill_bytes": _fill,
    "compare_bytes": _compare,
    "address_of": _address,
    "call_native": _call_native,
    **{f"peek_u{bits}": _peek for bits in (8, 16, 32, 64, 128)},
    **{f"poke_u{bits}": _poke for bits in (8, 16, 32, 64, 128)},
}
