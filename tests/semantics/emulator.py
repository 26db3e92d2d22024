"""One instruction on Unicorn's s390x, for comparison with ours."""

from dataclasses import dataclass

import unicorn
from unicorn import s390x_const

from tests.semantics.bench import PSW_64, Bench

SIZE = 4 << 20
CODE = 0x1000
REGISTERS = [getattr(s390x_const, f"UC_S390X_REG_R{n}") for n in range(16)]


@dataclass(frozen=True)
class State:
    """What an instruction starts from or leaves: registers, condition code, a storage area."""

    gr: tuple[int, ...]
    cc: int | None
    """None: the instruction was interrupted."""
    area: bytes


class Emulator:
    """A Unicorn machine that is used again and again."""

    def __init__(self) -> None:
        self.uc = unicorn.Uc(unicorn.UC_ARCH_S390X, unicorn.UC_MODE_BIG_ENDIAN)
        self.uc.mem_map(0, SIZE)

    def run(self, text: str, gr: list[int], area: int, data: bytes, mask: int = PSW_64) -> State:
        """Execute one instruction with `data` at address `area`."""
        uc = self.uc
        code = bytes.fromhex(text.replace(" ", ""))
        uc.mem_write(CODE, code + b"\x07\x07")
        uc.mem_write(area, data)
        uc.ctl_remove_cache(CODE, CODE + 16)
        uc.reg_write(s390x_const.UC_S390X_REG_PSWM, mask)
        for register, value in zip(REGISTERS, gr, strict=True):
            uc.reg_write(register, value)
        cc: int | None
        try:
            uc.emu_start(CODE, CODE + len(code), count=1)
            cc = uc.reg_read(s390x_const.UC_S390X_REG_PSWM) >> 44 & 3
        except unicorn.UcError:
            cc = None
        after = tuple(uc.reg_read(register) for register in REGISTERS)
        return State(after, cc, bytes(uc.mem_read(area, len(data))))

    def finish(self, text: str, gr: list[int], area: int, data: bytes, mask: int = PSW_64) -> State:
        """The same, repeated while the condition code is 3."""
        state = self.run(text, gr, area, data, mask)
        while state.cc == 3:
            state = self.run(text, list(state.gr), area, state.area, mask)
        return state


def ours(
    bench: Bench, text: str, gr: list[int], area: int, data: bytes, mask: int = PSW_64
) -> State:
    """The same on our processor."""
    bench.write(area, data)
    bench.psw(mask, CODE)
    for n, value in enumerate(gr):
        bench.raw.gr[n] = value
    result = bench.execute(text)
    after = tuple(bench.raw.gr[n] for n in range(16))
    return State(after, bench.raw.cc if result is None else None, bench.read(area, len(data)))
