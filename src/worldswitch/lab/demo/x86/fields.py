"""One #VMEXIT in words: EXITINFO1, EXITINFO2, the interrupted event and the instruction."""

from collections.abc import Callable

from capstone import CS_ARCH_X86, CS_MODE_64, Cs

from worldswitch.arch.fields import meaning
from worldswitch.arch.x86.exceptions import PageFaultError, Vector
from worldswitch.arch.x86.svm_controls import EventType
from worldswitch.arch.x86.svm_exits import (
    EXIT_INFO,
    FIRST_EXCEPTION,
    IOIO_ADDRESS_MASK,
    IOIO_ADDRESS_SHIFT,
    IOIO_PORT_SHIFT,
    IOIO_SEGMENT_MASK,
    IOIO_SEGMENT_SHIFT,
    IOIO_SIZE_MASK,
    IOIO_SIZE_SHIFT,
    LAST_EXCEPTION,
    MOV_CR,
    IoioInfo,
    NpfInfo,
    SvmExit,
    TaskSwitchInfo,
)
from worldswitch.arch.x86.vmcb import Vmcb, VmcbControl

Decoder = Callable[[int], str]
REGISTERS = (
    "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
    "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15",
)  # fmt: skip
SEGMENTS = ("ES", "CS", "SS", "DS", "FS", "GS")
NAMES_32 = 0xFFFF_FFFF
BITS = 64


def exit_name(code: SvmExit) -> str:
    """The exit by name and code, as the manual numbers it."""
    number = f"{code:03X}" if code < 1 << 63 else f"{code - (1 << 64)}"
    return f"{code.name} {number}"


def _control_register(info: int) -> str:
    return f"MOV {REGISTERS[info & 15]}" if info & MOV_CR else ""


def _port(info: int) -> str:
    words = ["IN" if info & IoioInfo.IN else "OUT"]
    words += [bit.name or "" for bit in (IoioInfo.STR, IoioInfo.REP) if info & bit]
    size = info >> IOIO_SIZE_SHIFT & IOIO_SIZE_MASK
    words.append(f"{size} byte{'s' if size > 1 else ''}, port {info >> IOIO_PORT_SHIFT:X}")
    if info & IoioInfo.STR:
        address = 16 * (info >> IOIO_ADDRESS_SHIFT & IOIO_ADDRESS_MASK)
        segment = SEGMENTS[info >> IOIO_SEGMENT_SHIFT & IOIO_SEGMENT_MASK]
        words[-1] += f", A{address}, {segment}"
    return " ".join(words)


def _task_switch(info: int) -> str:
    return meaning(TaskSwitchInfo, info & ~NAMES_32, BITS)


INFO_1: dict[SvmExit, Decoder] = {
    SvmExit.EXCP_PF: lambda info: meaning(PageFaultError, info, 32),
    SvmExit.SWINT: lambda _: "vector",
    SvmExit.INVLPG: lambda _: "linear address",
    SvmExit.IOIO: _port,
    SvmExit.MSR: lambda info: "WRMSR" if info else "RDMSR",
    SvmExit.TASK_SWITCH: lambda _: "selector",
    SvmExit.MWAIT: lambda info: "armed" if info else "not armed",
    SvmExit.NPF: lambda info: meaning(NpfInfo, info, BITS),
}
INFO_2: dict[SvmExit, Decoder] = {
    SvmExit.EXCP_PF: lambda _: "linear address",
    SvmExit.IOIO: lambda _: "next instruction",
    SvmExit.TASK_SWITCH: _task_switch,
    SvmExit.NPF: lambda _: "guest physical",
}
"""What the information means, for codes that it means something with."""


def _decoder(code: SvmExit) -> Decoder:
    if code in INFO_1:
        return INFO_1[code]
    if code <= SvmExit.CR15_WRITE or code == SvmExit.CR0_SEL_WRITE:
        return _control_register
    if code <= SvmExit.DR15_WRITE:
        return lambda info: REGISTERS[info & 15]
    if FIRST_EXCEPTION <= code <= LAST_EXCEPTION:
        return lambda _: "error code"
    return lambda _: ""


def _info_texts(code: SvmExit, control: VmcbControl, brief: bool) -> list[str]:
    texts: list[str] = []
    info = EXIT_INFO[code]
    values = (
        (info.info1, control.exit_info_1, _decoder(code)),
        (info.info2, control.exit_info_2, INFO_2.get(code, lambda _: "")),
    )
    for number, (defined, value, decode) in enumerate(values, 1):
        if defined or value:
            shown = "" if brief else f"{value:X} "
            texts.append(f"exit_info_{number} {shown}{decode(value)}".rstrip())
    return texts


def _event_text(control: VmcbControl) -> str:
    kind = meaning(EventType, control.exit_int_type, 8)
    vector = control.exit_int_vector
    known = kind == EventType.EXCEPTION.name
    name = f"#{Vector(vector).name}" if known else f"vector {vector:X}"
    return f"exit_int_info {control.exit_int_info:X} {kind} {name}"


def _instruction_text(block: Vmcb) -> str:
    data = block.control.insn_bytes[: block.control.insn_len]
    for found in Cs(CS_ARCH_X86, CS_MODE_64).disasm(data, block.save.rip, 1):
        return f"insn_bytes: {found.mnemonic} {found.op_str}".rstrip()
    return f"insn_bytes {data.hex()}"


def field_texts(block: Vmcb, code: SvmExit, brief: bool = False) -> tuple[str, ...]:
    """What the VMCB says of an exit, RIP last. brief: the information's meaning alone."""
    control = block.control
    texts = _info_texts(code, control, brief)
    if control.exit_int_valid:
        texts.append(_event_text(control))
    if control.insn_len:
        texts.append(_instruction_text(block))
    if not brief:
        following = f", next_rip {control.next_rip:X}" if control.next_rip else ""
        texts.append(f"rip {block.save.rip:X}{following}")
    return tuple(texts)
