"""Run typed functions on tables of cases (host.py), compiled."""

import ctypes
import linecache
from collections.abc import Sequence
from functools import cache
from typing import Any

import llvmlite.binding as llvm

from tests.semantics.x86.fp.host import SIZE, Case, Result, unpack
from worldswitch.engine import Typed, peek_u32, peek_u64, peek_u128, poke_u128, typed, u64, u128
from worldswitch.engine.build import compile_shared, target_machine
from worldswitch.engine.check import return_kinds
from worldswitch.engine.intrinsics import poke_u64

CONTROLS = ("mxcsr", "control")
IMMEDIATES = ("immediate", "predicate", "negate", "which", "before")
SCOPE = {
    "typed": typed,
    "u64": u64,
    "u128": u128,
    "peek_u32": peek_u32,
    "peek_u64": peek_u64,
    "peek_u128": peek_u128,
    "poke_u128": poke_u128,
    "poke_u64": poke_u64,
}


def fields(function: Typed[Any, Any]) -> list[tuple[str, Any]]:
    """Which field of a case each parameter takes, and its class."""
    numbers = iter("abc")
    out: list[tuple[str, Any]] = []
    for name, kind in function.parameters.items():
        if name in CONTROLS:
            out.append(("control", kind))
        elif name in IMMEDIATES or kind is bool:
            out.append(("immediate", kind))
        else:
            out.append((next(numbers), kind))
    return out


PLACES = {"control": "u32(at)", "immediate": "u32(at + 4)"}
PLACES |= {"a": "u128(at + 16)", "b": "u128(at + 32)", "c": "u128(at + 48)"}


@cache
def driver(function: Typed[Any, Any]) -> Typed[Any, Any]:
    """A typed function that applies another to a table; its argument tells where and how many."""
    scope: dict[str, Any] = {**SCOPE, "function": function}
    arguments: list[str] = []
    for field, kind in fields(function):
        value = f"peek_{PLACES[field]}"
        if kind is bool:
            arguments.append(f"{value} & 1 != 0")
        else:
            scope[kind.__name__] = kind
            arguments.append(f"{kind.__name__}({value})")
    count = len(return_kinds(function))
    names = [f"r{i}" for i in range(count)]
    lines = [
        f"@typed(inline=False, name='drive_{function.name}')",
        "def run(where: u64) -> u64:",
        "    at = peek_u64(where)",
        "    to = peek_u64(where + 8)",
        "    n = peek_u64(where + 16)",
        "    while n != 0:",
        f"        {', '.join(names)} = function({', '.join(arguments)})",
        *[f"        poke_u128(to + {16 * i}, u128({name}))" for i, name in enumerate(names)],
        f"        at += {SIZE}",
        f"        to += {SIZE}",
        "        n -= 1",
        "    return n",
    ]
    text = "\n".join(lines) + "\n"
    name = f"<driver of {function.symbol}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    exec(compile(text, name, "exec"), scope)
    return scope["run"]


class Compiled:
    """Some typed functions as native code."""

    def __init__(self, functions: Sequence[Typed[Any, Any]]) -> None:
        drivers = [driver(f) for f in functions]
        self.code = llvm.ObjectFileRef.from_data(compile_shared("fp", drivers))
        self.engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine())
        self.engine.add_object_file(self.code)
        self.engine.finalize_object()
        kind = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p)
        self.run_of = {
            f: kind(self.engine.get_function_address(d.symbol))
            for f, d in zip(functions, drivers, strict=True)
        }

    def run(self, function: Typed[Any, Any], cases: Sequence[Case]) -> list[Result]:
        """Results of a function on the cases."""
        table = ctypes.create_string_buffer(b"".join(case.pack() for case in cases))
        out = ctypes.create_string_buffer(SIZE * len(cases))
        where = (ctypes.c_uint64 * 3)(ctypes.addressof(table), ctypes.addressof(out), len(cases))
        self.run_of[function](ctypes.addressof(where))
        return unpack(out.raw)


def in_python(function: Typed[Any, Any], case: Case) -> Result:
    """The same for one case, by plain Python."""
    arguments: list[Any] = []
    for field, kind in fields(function):
        value = getattr(case, field)
        arguments.append(bool(value & 1) if kind is bool else kind(value))
    result = function(*arguments)
    values = result if isinstance(result, tuple) else (result,)
    padded = [int(v) for v in values] + [0] * (4 - len(values))
    return padded[0], padded[1], padded[2], padded[3]
