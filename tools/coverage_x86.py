"""The x86 part of the coverage page: instructions and CPU features, out of the code."""

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import worldswitch.metal.x86.insns as insns
from worldswitch.arch.x86.cpuid import FEATURES, Feature, Leaf
from worldswitch.arch.x86.models import MODELS
from worldswitch.metal.x86.features import MODELLED as MODELLED_FEATURES
from worldswitch.metal.x86.insn import TABLE, Insn

MODELLED, PARTIAL, ABSENT = "modelled", "partial", "absent"
UNMODELLED = "UNMODELLED"
VOLUMES = {
    "APM3 3": "General-purpose instructions",
    "APM3 4": "System instructions",
    "APM4": "128-bit media instructions",
    "APM5": "64-bit media and x87 instructions",
}
OTHERS = "Other instructions"
ABSENT_INSTRUCTIONS: dict[str, str] = {
    "avx": "AVX: all VEX-encoded instructions that are not BMI's",
    "avx2": "AVX2",
    "fma": "FMA",
    "f16c": "VCVTPH2PS, VCVTPS2PH",
    "avx512f": "AVX-512: all EVEX-encoded instructions",
    "sse4a": "EXTRQ, INSERTQ, MOVNTSD, MOVNTSS",
    "sha_ni": "SHA1*, SHA256*",
    "gfni": "GF2P8*",
    "vaes": "AES with VEX encoding",
    "vpclmulqdq": "PCLMULQDQ with VEX encoding",
    "xsaves": "XSAVES, XRSTORS",
    "shstk": "INCSSP, RDSSP, SAVEPREVSSP, RSTORSSP, WRSS, WRUSS, SETSSBSY, CLRSSBSY",
    "clzero": "CLZERO",
    "mwaitx": "MONITORX, MWAITX",
    "rdpru": "RDPRU",
    "invlpgb": "INVLPGB, TLBSYNC",
    "mcommit": "MCOMMIT",
    "skinit": "SKINIT",
    "sev_snp": "PSMASH, PVALIDATE, RMPADJUST, RMPUPDATE, RMPQUERY",
    "monitor": "MONITOR, MWAIT",
    "wbnoinvd": "WBNOINVD, which does as WBINVD does",
}
"""Instructions by the feature without which they are not there."""


def state_of(item: Insn) -> str:
    """Modelled, or partial if the template that an instruction was made from says so."""
    function: Any = item.function.fn
    module = inspect.getmodule(function)
    template = getattr(module, function.__qualname__.partition(".")[0], function)
    try:
        own = inspect.getsource(template)
    except (OSError, TypeError):
        own = inspect.getdoc(function) or ""
    return PARTIAL if UNMODELLED in own else MODELLED


def volume(item: Insn) -> str:
    """The group of instructions that an instruction is in, by the manual's volumes."""
    return next((name for ref, name in VOLUMES.items() if item.ref.startswith(ref)), OTHERS)


def exceptions(item: Insn) -> str:
    """What an instruction asks before it executes, in words."""
    rules = item.rules
    words = ["CPL 0"] if rules.cpl0 else []
    words += ["LOCK"] if rules.lock else []
    if rules.long is not None:
        words.append("64-bit mode only" if rules.long else "not in 64-bit mode")
    words += ["intercepted"] if rules.intercept is not None else []
    return ", ".join(words)


def rows() -> Iterator[tuple[str, tuple[str, str, str, str, str, str]]]:
    """For each opcode its group and its row: variants for sizes and operands are one."""
    seen: dict[tuple[str, str], list[Insn]] = {}
    for item in TABLE:
        seen.setdefault((item.mnemonic, item.encoding.text), []).append(item)
    for (mnemonic, text), items in sorted(seen.items()):
        first = items[0]
        state = PARTIAL if any(state_of(item) == PARTIAL for item in items) else MODELLED
        yield volume(first), (
            mnemonic, f"`{text}`", first.ref, first.rules.feature or "", exceptions(first), state,
        )  # fmt: skip


def features() -> Iterator[tuple[str, str, str, str]]:
    """Each CPU feature that a model has or may be given: place, models, state."""
    for name, item in FEATURES.items():
        models = [model.name for model in MODELS.values() if name in model.features]
        if models or name in MODELLED_FEATURES:
            state = MODELLED if name in MODELLED_FEATURES else ABSENT
            yield name, place(item), ", ".join(models) or "by name alone", state


def place(item: Feature) -> str:
    """Where CPUID reports a feature."""
    sub = f".{item.subleaf}" if item.subleaf or item.leaf in (Leaf.STRUCTURED, Leaf.XSAVE) else ""
    return f"{item.leaf:X}{sub} {item.register.upper()}[{item.bit}]"


def remark(lines: Sequence[str]) -> str:
    """The remark that begins in the first of some lines: to its comment's or sentence's end."""
    first = lines[0].partition(f"{UNMODELLED}: ")[2]
    comment = "#" in lines[0].partition(UNMODELLED)[0]
    parts = [first]
    for line in lines[1:]:
        text = line.strip()
        if parts[-1].rstrip().endswith((".", '"""')) or not text or comment != text.startswith("#"):
            break
        parts.append(text.lstrip("# "))
    return " ".join(parts).replace('"""', "").strip().rstrip(".")


def unmodelled(folder: Path, sources: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """Every remark about what is not modelled: the file, and the remark."""
    for source in sources:
        for path in sorted(source.rglob("*.py")):
            lines = path.read_text(encoding="utf-8").splitlines()
            for number, line in enumerate(lines):
                if f"{UNMODELLED}: " in line:
                    yield str(path.relative_to(folder)), remark(lines[number:])


def absent_instructions() -> Iterator[tuple[str, str]]:
    """Instructions that are not there, by the feature that would bring them."""
    have = {item.rules.feature for item in TABLE}
    for name, text in ABSENT_INSTRUCTIONS.items():
        if name not in MODELLED_FEATURES and name not in have:
            yield text, name


assert insns.__name__
