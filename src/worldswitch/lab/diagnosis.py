"""What to tell a person about a guest that crashed."""

from capstone import CS_ARCH_SYSZ, CS_MODE_BIG_ENDIAN, Cs

from worldswitch.machine.s390x.board import S390Board

BEFORE = 12
AFTER = 12


def diagnose(machine: S390Board, reason: str) -> str:
    """What happened, PSW, registers, the code around it, and the last exits."""
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
