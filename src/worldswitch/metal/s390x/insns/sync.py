"""Compare-and-swap, calls to the supervisor, clocks, conversions. ref: PoP chapter 7."""

from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.sie_controls import Ictl
from worldswitch.arch.s390x.state_description import FAC_ORIGIN
from worldswitch.engine import Leave, i32, i64, typed, u8, u16, u32, u64, u128
from worldswitch.metal.s390x.insn import Intercept, insn
from worldswitch.metal.s390x.insns.logic import pair, set_pair
from worldswitch.metal.s390x.leave import (
    LEAVE_SVC,
    data_exception,
    program,
    specification,
)
from worldswitch.metal.s390x.memory import (
    check_write,
    fetch_u8,
    fetch_u32,
    fetch_u64,
    fetch_u128,
    store_u8,
    store_u32,
    store_u64,
    store_u128,
)
from worldswitch.metal.s390x.regs import low, set_low
from worldswitch.metal.s390x.sie.exits import check_svc, intercept_failed_swap
from worldswitch.metal.s390x.state import OP1, OP2, Cpu, Record
from worldswitch.metal.s390x.timers import tod_now

CS_CC1 = int(Ictl.CS_CC1)
CDS_CC1 = int(Ictl.CDS_CC1)
TS_CC1 = int(Ictl.TS_CC1)


def _compare_and_swap() -> None:
    for mnemonic, opcode, format, wide in (
        ("CS", "BA", "RS_a", False), ("CSY", "EB14", "RSY_a", False),
        ("CSG", "EB30", "RSY_a", True),
    ):  # fmt: skip
        fetch, store = (fetch_u64, store_u64) if wide else (fetch_u32, store_u32)
        aligned = 7 if wide else 3
        kind = u64 if wide else u32

        @insn(mnemonic, opcode, format, ref="PoP 7 COMPARE AND SWAP")
        def swap(cpu: Cpu, rec: Record, r1: u8, r3: u8, addr2: u64) -> None:
            """Storage := R3 if it equals R1; otherwise R1 := storage."""
            if addr2 & aligned != 0:
                specification(cpu)
            old = fetch(cpu, OP2, addr2)
            if old == kind(cpu.gr[r1]):
                store(cpu, OP2, addr2, kind(cpu.gr[r3]))
                cpu.cc = 0
            else:
                check_write(cpu, OP2, addr2, 1)
                if wide:
                    cpu.gr[r1] = u64(old)
                else:
                    set_low(cpu, r1, u32(old))
                cpu.cc = 1
                intercept_failed_swap(cpu, rec, CS_CC1)

    for mnemonic, opcode, format in (("CDS", "BB", "RS_a"), ("CDSY", "EB31", "RSY_a")):

        @insn(mnemonic, opcode, format, ref="PoP 7 COMPARE DOUBLE AND SWAP")
        def double(cpu: Cpu, rec: Record, r1: u8, r3: u8, addr2: u64) -> None:
            """As CS with the low words of register pairs."""
            if (r1 | r3) & 1 != 0 or addr2 & 7 != 0:
                specification(cpu)
            old = fetch_u64(cpu, OP2, addr2)
            if old == pair(cpu, r1):
                store_u64(cpu, OP2, addr2, pair(cpu, r3))
                cpu.cc = 0
            else:
                check_write(cpu, OP2, addr2, 1)
                set_pair(cpu, r1, old)
                cpu.cc = 1
                intercept_failed_swap(cpu, rec, CDS_CC1)

    @insn("CDSG", "EB3E", "RSY_a", ref="PoP 7 COMPARE DOUBLE AND SWAP")
    def cdsg(cpu: Cpu, rec: Record, r1: u8, r3: u8, addr2: u64) -> None:
        """As CS with register pairs and a quadword."""
        if (r1 | r3) & 1 != 0 or addr2 & 15 != 0:
            specification(cpu)
        old = fetch_u128(cpu, OP2, addr2)
        if old == (u128(cpu.gr[r1]) << 64) | u128(cpu.gr[r1 + 1]):
            store_u128(cpu, OP2, addr2, (u128(cpu.gr[r3]) << 64) | u128(cpu.gr[r3 + 1]))
            cpu.cc = 0
        else:
            check_write(cpu, OP2, addr2, 1)
            cpu.gr[r1] = u64(old >> 64)
            cpu.gr[r1 + 1] = u64(old)
            cpu.cc = 1
            intercept_failed_swap(cpu, rec, CDS_CC1)


_compare_and_swap()


def _load_pair_disjoint() -> None:
    for mnemonic, opcode, wide in (("LPD", "C84", False), ("LPDG", "C85", True)):

        @insn(mnemonic, opcode, "SSF", ref="PoP 7 LOAD PAIR DISJOINT", facility=45)
        def load(cpu: Cpu, r3: u8, addr1: u64, addr2: u64) -> None:
            """Both operands into the pair; no other processor's store comes between."""
            if r3 & 1 != 0:
                specification(cpu)
            if wide:
                if (addr1 | addr2) & 7 != 0:
                    specification(cpu)
                a = fetch_u64(cpu, OP1, addr1)
                cpu.gr[r3 + 1] = fetch_u64(cpu, OP2, addr2)
                cpu.gr[r3] = a
            else:
                if (addr1 | addr2) & 3 != 0:
                    specification(cpu)
                x = fetch_u32(cpu, OP1, addr1)
                set_low(cpu, r3 + 1, fetch_u32(cpu, OP2, addr2))
                set_low(cpu, r3, x)
            cpu.cc = 0


_load_pair_disjoint()


@insn("TS", "93", "RS_a", ref="PoP 7 TEST AND SET")
def ts(cpu: Cpu, rec: Record, addr2: u64) -> None:
    """The leftmost bit of the byte becomes the condition code, the byte all ones."""
    old = fetch_u8(cpu, OP2, addr2)
    store_u8(cpu, OP2, addr2, u8(0xFF))
    cpu.cc = u64(old >> 7)
    if cpu.cc == 1:
        intercept_failed_swap(cpu, rec, TS_CC1)


@insn("SVC", "0A", "I", ref="PoP 7 SUPERVISOR CALL", ends=True)
def svc(cpu: Cpu, rec: Record, i1: i64) -> None:
    """Supervisor-call interruption."""
    if cpu.in_sie != 0:
        check_svc(cpu, rec, u32(i1))
    cpu.leave = LEAVE_SVC
    cpu.fault_code = u16(i1)
    raise Leave


@insn("MC", "AF", "SI", ref="PoP 7 MONITOR CALL")
def mc(cpu: Cpu, addr1: u64, i2: i64) -> None:
    """Monitor event, if control register 8 has the class's mask one."""
    monitor_class = u64(i2)
    if monitor_class > 15:
        specification(cpu)
    if (cpu.cr[8] >> (15 - monitor_class)) & 1 != 0:
        cpu.mon_class = u8(i2)
        cpu.translation_code = addr1
        program(cpu, ProgramCode.MONITOR_EVENT)


@typed
def unique_tod(cpu: Cpu) -> u64:
    """The TOD clock, greater than at the last call."""
    now = tod_now(cpu)
    if now <= cpu.tod_last and cpu.tod_last - now < 0x10000:
        now = cpu.tod_last + 1
    cpu.tod_last = now
    return now


@insn("STCK", "B205", "S", ref="PoP 7 STORE CLOCK")
def stck(cpu: Cpu, addr2: u64) -> None:
    """Bits 0-63 of the TOD clock, unique."""
    store_u64(cpu, OP2, addr2, unique_tod(cpu))
    cpu.cc = 0


@insn("STCKF", "B27C", "S", ref="PoP 7 STORE CLOCK FAST", facility=25)
def stckf(cpu: Cpu, addr2: u64) -> None:
    """Bits 0-63 of the TOD clock."""
    store_u64(cpu, OP2, addr2, tod_now(cpu))
    cpu.cc = 0


@insn("STCKE", "B278", "S", ref="PoP 7 STORE CLOCK EXTENDED")
def stcke(cpu: Cpu, addr2: u64) -> None:
    """The extended format: epoch index, clock, programmable field."""
    check_write(cpu, OP2, addr2, 16)
    now = unique_tod(cpu)
    high = now >> 8
    low_part = ((now & 0xFF) << 56) | 0x10000 | u64(cpu.todpr & 0xFFFF)
    store_u64(cpu, OP2, addr2, high)
    store_u64(cpu, OP2, (addr2 + 8) & cpu.address_mask, low_part)
    cpu.cc = 0


@insn("STFLE", "B2B0", "S", ref="PoP 7 STORE FACILITY LIST EXTENDED", facility=7,
      intercept=Intercept("fac", FAC_ORIGIN, when=False))  # fmt: skip
def stfle(cpu: Cpu, addr2: u64) -> None:
    """The facility list, as many doublewords as register 0 asks for."""
    if addr2 & 7 != 0:
        specification(cpu)
    wanted = (cpu.gr[0] & 0xFF) + 1
    have: u64 = 1
    if cpu.facilities[1] != 0:
        have = 2
    if cpu.facilities[2] != 0:
        have = 3
    if cpu.facilities[3] != 0:
        have = 4
    n: u64 = 0
    while n < wanted and n < have:
        store_u64(cpu, OP2, (addr2 + n * 8) & cpu.address_mask, cpu.facilities[n])
        n += 1
    cpu.gr[0] = (cpu.gr[0] & 0xFFFF_FFFF_FFFF_FF00) | (have - 1)
    cpu.cc = 3 if wanted < have else 0


@insn("ECAG", "EB4C", "RSY_a", ref="PoP 7 EXTRACT CPU ATTRIBUTE", facility=34, leaves=False)
def ecag(cpu: Cpu, r1: u8, r3: u8, addr2: u64) -> None:
    """Cache attributes: none are modelled, so the topology is empty.

    UNMODELLED: caches. A request for topology gives zeros, others all ones.
    """
    if (addr2 >> 4) & 0xF == 0:
        cpu.gr[r1] = 0
    else:
        cpu.gr[r1] = 0xFFFF_FFFF_FFFF_FFFF


@insn("ECTG", "C81", "SSF", ref="PoP 7 EXTRACT CPU TIME", facility=31)
def ectg(cpu: Cpu, addr1: u64, addr2: u64, r3: u8) -> None:
    """The operand minus the CPU timer, and two more operands, into registers 0, 1 and R3."""
    third = fetch_u64(cpu, OP1, cpu.gr[r3] & cpu.address_mask)
    first = fetch_u64(cpu, OP1, addr1)
    second = fetch_u64(cpu, OP2, addr2)
    timer = cpu.timer_deadline - (tod_now(cpu) - cpu.epoch)
    cpu.gr[0] = first - timer
    cpu.gr[1] = second
    cpu.gr[r3] = third


@typed(leaves=True, inline=False)
def decimal_digits(cpu: Cpu, at: u64, size: u64) -> i64:
    """A packed-decimal number of 8 bytes as an integer; data exception for bad digits."""
    value: u64 = 0
    i: u64 = 0
    while i < size:
        byte = fetch_u8(cpu, OP2, (at + i) & cpu.address_mask)
        digit = byte >> 4
        if digit > 9:
            data_exception(cpu, u8(0))
        value = value * 10 + u64(digit)
        last = byte & 15
        if i + 1 == size:
            if last < 10:
                data_exception(cpu, u8(0))
            if last == 0xB or last == 0xD:
                return -i64(value)
            return i64(value)
        if last > 9:
            data_exception(cpu, u8(0))
        value = value * 10 + u64(last)
        i += 1
    return i64(value)


def _conversions() -> None:
    for mnemonic, opcode, format in (("CVB", "4F", "RX_a"), ("CVBY", "E306", "RXY_a")):

        @insn(mnemonic, opcode, format, ref="PoP 7 CONVERT TO BINARY")
        def to_binary(cpu: Cpu, r1: u8, addr2: u64) -> None:
            """Packed decimal to 32 bits."""
            value = decimal_digits(cpu, addr2, u64(8))
            set_low(cpu, r1, u32(value))
            if i64(i32(value)) != value:
                program(cpu, ProgramCode.FIXED_POINT_DIVIDE)

    for mnemonic, opcode, format in (("CVD", "4E", "RX_a"), ("CVDY", "E326", "RXY_a")):

        @insn(mnemonic, opcode, format, ref="PoP 7 CONVERT TO DECIMAL")
        def to_decimal(cpu: Cpu, r1: u8, addr2: u64) -> None:
            """32 bits to packed decimal of 8 bytes."""
            store_u64(cpu, OP2, addr2, u64(packed(i64(i32(low(cpu, r1))))))

    @insn("CVDG", "E32E", "RXY_a", ref="PoP 7 CONVERT TO DECIMAL")
    def cvdg(cpu: Cpu, r1: u8, addr2: u64) -> None:
        """64 bits to packed decimal of 16 bytes."""
        store_u128(cpu, OP2, addr2, packed(i64(cpu.gr[r1])))


@typed(inline=False)
def packed(value: i64) -> u128:
    """A packed-decimal number with the preferred sign."""
    sign: u128 = 0xC
    rest = u64(value)
    if value < 0:
        sign = 0xD
        rest = u64(-value)
    result = sign
    shift: u64 = 4
    while rest != 0:
        result = result | (u128(rest % 10) << shift)
        rest = rest // 10
        shift += 4
    return result


_conversions()


@insn("UNPK", "F3", "SS_b", ref="PoP 7 UNPACK")
def unpk(cpu: Cpu, l1: u8, l2: u8, addr1: u64, addr2: u64) -> None:
    """Packed to zoned, right to left."""
    check_write(cpu, OP1, addr1, u64(l1) + 1)
    left1 = u64(l1)
    left2 = i64(l2)
    byte = fetch_u8(cpu, OP2, (addr2 + u64(l2)) & cpu.address_mask)
    store_u8(cpu, OP1, (addr1 + left1) & cpu.address_mask, (byte << 4) | (byte >> 4))
    left2 -= 1
    nibble: u64 = 0
    while left1 != 0:
        left1 -= 1
        # Both digits come from one fetch, even if the first one's result destroys the byte.
        if nibble != 0:
            byte = byte >> 4
        elif left2 >= 0:
            byte = fetch_u8(cpu, OP2, (addr2 + u64(left2)) & cpu.address_mask)
            left2 -= 1
        else:
            byte = 0
        nibble = nibble ^ 1
        store_u8(cpu, OP1, (addr1 + left1) & cpu.address_mask, (byte & 15) | 0xF0)


@insn("PACK", "F2", "SS_b", ref="PoP 7 PACK")
def pack(cpu: Cpu, l1: u8, l2: u8, addr1: u64, addr2: u64) -> None:
    """Zoned to packed, right to left."""
    check_write(cpu, OP1, addr1, u64(l1) + 1)
    left1 = u64(l1)
    left2 = i64(l2)
    byte = fetch_u8(cpu, OP2, (addr2 + u64(l2)) & cpu.address_mask)
    store_u8(cpu, OP1, (addr1 + left1) & cpu.address_mask, (byte << 4) | (byte >> 4))
    left2 -= 1
    while left1 != 0:
        left1 -= 1
        value: u8 = 0
        if left2 >= 0:
            value = fetch_u8(cpu, OP2, (addr2 + u64(left2)) & cpu.address_mask) & 15
            left2 -= 1
        if left2 >= 0:
            upper = fetch_u8(cpu, OP2, (addr2 + u64(left2)) & cpu.address_mask)
            value = value | (upper << 4)
            left2 -= 1
        store_u8(cpu, OP1, (addr1 + left1) & cpu.address_mask, value)


@insn("MVO", "F1", "SS_b", ref="PoP 7 MOVE WITH OFFSET")
def mvo(cpu: Cpu, l1: u8, l2: u8, addr1: u64, addr2: u64) -> None:
    """The second operand, shifted left by a digit, beside the first's last digit."""
    check_write(cpu, OP1, addr1, u64(l1) + 1)
    left1 = u64(l1)
    left2 = i64(l2)
    carry = fetch_u8(cpu, OP1, (addr1 + left1) & cpu.address_mask) & 15
    while True:
        byte: u8 = 0
        if left2 >= 0:
            byte = fetch_u8(cpu, OP2, (addr2 + u64(left2)) & cpu.address_mask)
            left2 -= 1
        store_u8(cpu, OP1, (addr1 + left1) & cpu.address_mask, carry | (byte << 4))
        carry = byte >> 4
        if left1 == 0:
            break
        left1 -= 1
