"""What to tell a person about a guest that crashed."""

from capstone import (
    CS_ARCH_SYSZ,
    CS_ARCH_X86,
    CS_MODE_16,
    CS_MODE_32,
    CS_MODE_64,
    CS_MODE_BIG_ENDIAN,
    Cs,
)

from worldswitch.machine.board import Board
from worldswitch.machine.s390x.board import S390Board
from worldswitch.machine.x86.board import CpuView, PcBoard

BEFORE = 12
AFTER = 12


X86_NAMES = [
    "RAX",
    "RCX",
    "RDX",
    "RBX",
    "RSP",
    "RBP",
    "RSI",
    "RDI",
    "R8",
    "R9",
    "R10",
    "R11",
    "R12",
    "R13",
    "R14",
    "R15",
]
X86_MODES = {16: CS_MODE_16, 32: CS_MODE_32, 64: CS_MODE_64}
X86_TEXT = 24


def diagnose(machine: Board, reason: str) -> str:
    """What happened, the registers, the code around it, and the last exits."""
    if isinstance(machine, S390Board):
        return _diagnose_s390(machine, reason)
    assert isinstance(machine, PcBoard)
    return _diagnose_pc(machine, reason)


def _diagnose_pc(machine: PcBoard, reason: str) -> str:
    cpu = machine.view(machine.current)
    lines = [
        f"worldswitch: the guest crashed: {reason}",
        f"RIP {cpu.rip:016X} RFLAGS {cpu.rflags:08X} CR0 {cpu.cr0:08X} CR2 {cpu.cr2:016X}",
        f"CR3 {cpu.cr3:016X} CR4 {cpu.cr4:08X} EFER {cpu.efer:08X} CPL {cpu.cpl}",
    ]
    for start in range(0, 16, 4):
        row = range(start, start + 4)
        lines.append(" ".join(f"{X86_NAMES[n]:<3} {cpu.gr[n]:016X}" for n in row))
    lines += _x86_code(cpu)
    lines.append("last exits: " + ", ".join(machine.recent_exits()))
    return "\n".join(lines)


def _x86_code(cpu: CpuView) -> list[str]:
    text = cpu.text(X86_TEXT)
    if not text:
        return ["RIP has no translation to memory"]
    engine = Cs(CS_ARCH_X86, X86_MODES[cpu.bits])
    found = engine.disasm(text, cpu.rip, 4)
    return [f"  {i.address:X}: {i.mnemonic} {i.op_str}" for i in found]


def _diagnose_s390(machine: S390Board, reason: str) -> str:
    cpu = machine.processors[machine.current]
    mask, address = cpu.psw
    lines = [f"worldswitch: the guest crashed: {reason}", f"PSW   {mask:016X} {address:016X}"]
    for start in range(0, 16, 4):
        row = " ".join(f"{cpu.gr[n]:016X}" for n in range(start, start + 4))
        lines.append(f"GR{start:<3d} {row}")
    lines += _program_old(machine)
    lines += _code(machine, machine.current_code())
    lines.append("last exits: " + ", ".join(machine.recent_exits()))
    return "\n".join(lines)


def _program_old(machine: S390Board) -> list[str]:
    lowcore = machine.memory.read(machine.current_prefix(), 512)
    code = int.from_bytes(lowcore[0x8E:0x90], "big")
    if code == 0:
        return []
    return [f"last program interruption {code:04X}, old PSW {lowcore[0x150:0x160].hex()}"]


def _code(machine: S390Board, address: int | None) -> list[str]:
    if address is None:
        return ["the PSW's address has no translation"]
    if address + AFTER > machine.memory.size:
        return ["the PSW designates no storage"]
    size = min(AFTER + BEFORE, machine.memory.size - address)
    engine = Cs(CS_ARCH_SYSZ, CS_MODE_BIG_ENDIAN)
    text = machine.memory.read(address, size)
    return [f"  {i.address:X}: {i.mnemonic} {i.op_str}" for i in engine.disasm(text, address)]
