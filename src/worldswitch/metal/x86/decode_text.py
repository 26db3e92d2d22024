"""From an instruction's bytes to its record. ref: APM3 1 Instruction Encoding"""

from worldswitch.engine import (
    i8,
    i16,
    i32,
    i64,
    peek_u8,
    peek_u16,
    peek_u32,
    peek_u64,
    typed,
    u8,
    u16,
    u32,
    u64,
)
from worldswitch.metal.x86.codecache import (
    CodeCache,
    InsnInfo,
)
from worldswitch.metal.x86.decode_bits import (
    IMM_8,
    IMM_8_8,
    IMM_16,
    IMM_16_8,
    IMM_32,
    IMM_BRANCH,
    IMM_FAR16,
    IMM_FAR32,
    IMM_NONE,
    INFO_SIZE,
    INSN_ADDRESS,
    INSN_AVX,
    INSN_BYTE_REG,
    INSN_BYTE_RM,
    INSN_CONTROL,
    INSN_CPL0,
    INSN_ENDS,
    INSN_LOCK,
    INSN_MMX,
    INSN_OFFSET,
    INSN_PLUS_R,
    INSN_PROTECTED,
    INSN_SSE,
    INSN_X87,
    NO_SEGMENT,
    OPCODE_KNOWN,
    OPCODE_MODRM,
    PREFIX_ADDRESS,
    PREFIX_LOCK,
    PREFIX_OPERAND,
    PREFIX_REP,
    PREFIX_REPNE,
    PREFIX_REX,
    PREFIX_REX_W,
    RECORD_LOCKED,
    RECORD_MEMORY,
    SHAPE_ASIZE,
    SHAPE_LONG,
    SHAPE_MOD,
    SHAPE_PREFIX,
    SHAPE_REG,
    SHAPE_RM,
    SHAPE_SIZE,
    SHAPE_VL,
    TEXT_LIMIT,
)
from worldswitch.metal.x86.mode import (
    MODE_ALIGN,
    MODE_CODE32,
    MODE_KERNEL,
    MODE_LONG,
    MODE_NO_AVX,
    MODE_NO_SSE,
    MODE_NO_X87,
    MODE_PROTECTED,
    MODE_TS,
    MODE_V86,
)
from worldswitch.metal.x86.state import (
    DS,
    FLAT,
    FLAT_STACK,
    FS,
    NO_REGISTER,
    SS,
    Cpu,
    Record,
)
from worldswitch.metal.x86.svm.features import SVM_LOCKED_CR8


@typed
def signed_at(at: u64, kind: u64) -> i64:
    """A sign-extended immediate of IMM_8, IMM_16, IMM_32 or IMM_64."""
    if kind == IMM_8:
        return i64(i8(peek_u8(at)))
    if kind == IMM_16:
        return i64(i16(peek_u16(at)))
    if kind == IMM_32:
        return i64(i32(peek_u32(at)))
    return i64(peek_u64(at))


@typed
def size_of_immediate(kind: u64) -> u64:
    """Bytes that an immediate takes in the text."""
    plain = kind & 15
    if plain == IMM_NONE:
        return 0
    if plain == IMM_8:
        return 1
    if plain == IMM_16 or plain == IMM_8_8:
        return 2
    if plain == IMM_16_8:
        return 3
    if plain == IMM_32 or plain == IMM_FAR16:
        return 4
    if plain == IMM_FAR32:
        return 6
    return 8


@typed
def address_mask(bytes: u64) -> u64:
    """The mask of an address of 2, 4 or 8 bytes."""
    if bytes == 2:
        return 0xFFFF
    if bytes == 4:
        return 0xFFFF_FFFF
    return 0xFFFF_FFFF_FFFF_FFFF


@typed
def set_memory16(rec: Record, rm: u64) -> u64:
    """Base and index of 16-bit addressing; the default segment. ref: APM3 1.4.3"""
    rec.index = NO_REGISTER
    segment: u64 = DS
    if rm == 0 or rm == 1:
        rec.base = 3
    elif rm == 2 or rm == 3:
        rec.base = 5
        segment = SS
    elif rm == 4:
        rec.base = 6
    elif rm == 5:
        rec.base = 7
    elif rm == 6:
        rec.base = 5
        segment = SS
    else:
        rec.base = 3
    if rm < 4:
        rec.index = u8(6 + (rm & 1))
    return segment


@typed(inline=False)
def decode_one(cpu: Cpu, rec: Record, text: u64, pc: u64) -> u64:
    """Decode the instruction whose bytes are at host address `text` (zeros follow) into `rec`.

    Returns INSN_* bits; `rec.ilen` says how long it is, 16 or more for one that is too long.
    `rec.spare2` gets the memory operand's address size in bytes, 0 if there is none to prepare.
    """
    cache = CodeCache.at(cpu.code_cache)
    long = cpu.mode & MODE_LONG != 0
    n: u64 = 0
    rex: u64 = 0
    prefixes: u64 = 0
    segment: u64 = NO_SEGMENT
    byte = u64(peek_u8(text))
    going = True
    while going and n < TEXT_LIMIT:
        byte = u64(peek_u8(text + n))
        if long and byte & 0xF0 == 0x40:
            rex = byte
            n += 1
        else:
            known = True
            if byte == 0x66:
                prefixes = prefixes | PREFIX_OPERAND
            elif byte == 0x67:
                prefixes = prefixes | PREFIX_ADDRESS
            elif byte == 0xF0:
                prefixes = prefixes | PREFIX_LOCK
            elif byte == 0xF3:
                prefixes = (prefixes & ~u64(PREFIX_REPNE)) | PREFIX_REP
            elif byte == 0xF2:
                prefixes = (prefixes & ~u64(PREFIX_REP)) | PREFIX_REPNE
            elif byte & 0xE7 == 0x26:
                if not long:
                    segment = (byte >> 3) & 3
            elif byte == 0x64 or byte == 0x65:
                segment = byte - 0x60
            else:
                known = False
            if known:
                rex = 0
                n += 1
            else:
                going = False
    map: u64 = 0
    vvvv: u64 = 0
    vl: u64 = 0
    pp: u64 = 0
    if prefixes & PREFIX_REP != 0:
        pp = 2
    elif prefixes & PREFIX_REPNE != 0:
        pp = 3
    elif prefixes & PREFIX_OPERAND != 0:
        pp = 1
    n += 1
    second = u64(peek_u8(text + n))
    if byte == 0x0F:
        map = 1
        byte = second
        n += 1
        if byte == 0x38 or byte == 0x3A:
            map = 2 + ((byte >> 1) & 1)
            byte = u64(peek_u8(text + n))
            n += 1
    elif (byte == 0xC4 or byte == 0xC5) and (long or second >= 0xC0):
        third = second
        if byte == 0xC4:
            third = u64(peek_u8(text + n + 1))
            n += 1
            rex = ((~second >> 5) & 7) | ((third >> 4) & 8) | 0x40
            map = 3 + (second & 31)
            if map < 4 or map > 6:
                map = 7
        else:
            rex = ((~second >> 5) & 4) | 0x40
            map = 4
        if not long:
            rex = 0x40 | (rex & 8)
        bad = prefixes & (PREFIX_OPERAND | PREFIX_REP | PREFIX_REPNE | PREFIX_LOCK) != 0
        if bad or cpu.mode & (MODE_PROTECTED | MODE_V86) != MODE_PROTECTED:
            map = 7
        vvvv = (~third >> 3) & 15
        vl = (third >> 2) & 1
        pp = third & 3
        if not long:
            vvvv = vvvv & 7
        prefixes = prefixes & PREFIX_ADDRESS
        byte = u64(peek_u8(text + n + 1))
        n += 2
    if rex & 8 != 0:
        prefixes = prefixes | PREFIX_REX_W
    if rex != 0:
        prefixes = prefixes | PREFIX_REX
    rec.pc = pc
    rec.imm = 0
    rec.disp = 0
    rec.chain = 0
    rec.reg = 0
    rec.rm = 0
    rec.base = NO_REGISTER
    rec.index = NO_REGISTER
    rec.scale = 0
    rec.seg = FLAT
    rec.reg_shift = 0
    rec.rm_shift = 0
    rec.vvvv = u8(vvvv)
    rec.prefixes = u8(prefixes)
    rec.flags = 0
    rec.spare2 = 0
    index = u64(cache.undefined_insn)
    entry = cache.opcodes[(map << 8) | byte]
    if map == 7 or entry.kind & OPCODE_KNOWN == 0:
        rec.ilen = u8(n)
        rec.insn = u16(index)
        rec.handler = InsnInfo.at(cache.infos + index * INFO_SIZE).handler
        return INSN_ENDS
    modrm: u64 = 0
    if entry.kind & OPCODE_MODRM != 0:
        modrm = u64(peek_u8(text + n))
        n += 1
    size: u64 = 1
    if long:
        extension = (modrm >> 3) & 7
        if rex & 8 != 0 or (entry.f64 >> u8(extension)) & 1 != 0:
            size = 2
        elif prefixes & PREFIX_OPERAND != 0:
            size = 0
        elif (entry.d64 >> u8(extension)) & 1 != 0:
            size = 2
    elif (cpu.mode & MODE_CODE32 != 0) == (prefixes & PREFIX_OPERAND != 0):
        size = 0
    asize: u64 = 4
    if long:
        asize = 8
        if prefixes & PREFIX_ADDRESS != 0:
            asize = 4
    elif (cpu.mode & MODE_CODE32 != 0) == (prefixes & PREFIX_ADDRESS != 0):
        asize = 2
    mod = modrm >> 6
    shape = entry.shape
    choice: u64 = 0
    if shape & SHAPE_PREFIX != 0:
        choice = pp
    if shape & SHAPE_REG != 0:
        choice = choice * 8 + ((modrm >> 3) & 7)
    if shape & SHAPE_MOD != 0:
        choice = choice * 2
        if mod == 3:
            choice += 1
    if shape & SHAPE_RM != 0:
        choice = choice * 8 + (modrm & 7)
    if shape & SHAPE_SIZE != 0:
        choice = choice * 3 + size
    if shape & SHAPE_LONG != 0:
        choice = choice * 2
        if long:
            choice += 1
    if shape & SHAPE_ASIZE != 0:
        choice = choice * 3 + (asize >> 2)
    if shape & SHAPE_VL != 0:
        choice = choice * 2 + vl
    found = u64(peek_u16(cache.variants + (u64(entry.base) + choice) * 2))
    kind: u64 = INSN_ENDS
    immediate: u64 = 0
    width: u64 = 0
    if found != 0:
        index = found - 1
        info = InsnInfo.at(cache.infos + index * INFO_SIZE)
        kind = info.kind
        immediate = u64(info.immediate)
        width = u64(info.width)
    memory = False
    if entry.kind & OPCODE_MODRM != 0:
        rec.reg = u8(((modrm >> 3) & 7) | ((rex & 4) << 1))
        if kind & INSN_BYTE_REG != 0 and rex == 0 and rec.reg >= 4:
            rec.reg = rec.reg - 4
            rec.reg_shift = 8
        if mod == 3:
            rec.rm = u8((modrm & 7) | ((rex & 1) << 3))
            if kind & INSN_BYTE_RM != 0 and rex == 0 and rec.rm >= 4:
                rec.rm = rec.rm - 4
                rec.rm_shift = 8
            # MASKMOVQ and MASKMOVDQU: the segment of their destination.
            if segment == NO_SEGMENT:
                segment = DS
            if not long or segment >= FS:
                rec.seg = u8(segment)
        else:
            memory = True
            default: u64 = DS
            rm = modrm & 7
            if asize == 2:
                default = set_memory16(rec, rm)
                if mod == 0 and rm == 6:
                    rec.base = NO_REGISTER
                    default = DS
                    rec.disp = i64(i16(peek_u16(text + n)))
                    n += 2
                elif mod == 1:
                    rec.disp = i64(i8(peek_u8(text + n)))
                    n += 1
                elif mod == 2:
                    rec.disp = i64(i16(peek_u16(text + n)))
                    n += 2
            else:
                base = rm
                if rm == 4:
                    sib = u64(peek_u8(text + n))
                    n += 1
                    number = ((sib >> 3) & 7) | ((rex & 2) << 2)
                    if number != 4:
                        rec.index = u8(number)
                        rec.scale = u8(sib >> 6)
                    base = sib & 7
                if base == 5 and mod == 0:
                    rec.disp = i64(i32(peek_u32(text + n)))
                    n += 4
                    if rm == 5 and long:
                        # Relative to the next instruction: its address is added below.
                        rec.spare2 = 256
                else:
                    rec.base = u8(base | ((rex & 1) << 3))
                    if base == 4 or base == 5:
                        if rex & 1 == 0:
                            default = SS
                if mod == 1:
                    rec.disp = i64(i8(peek_u8(text + n)))
                    n += 1
                elif mod == 2:
                    rec.disp = i64(i32(peek_u32(text + n)))
                    n += 4
            if segment == NO_SEGMENT:
                segment = default
            if not long or segment >= FS:
                rec.seg = u8(segment)
            elif segment == SS:
                rec.seg = FLAT_STACK
    elif kind & INSN_PLUS_R != 0:
        rec.rm = u8((byte & 7) | ((rex & 1) << 3))
        if kind & INSN_BYTE_RM != 0 and rex == 0 and rec.rm >= 4:
            rec.rm = rec.rm - 4
            rec.rm_shift = 8
    elif kind & INSN_OFFSET != 0:
        memory = True
        rec.disp = i64(peek_u64(text + n) & address_mask(asize))
        n += asize
        if segment == NO_SEGMENT:
            segment = DS
        if not long or segment >= FS:
            rec.seg = u8(segment)
    else:
        # String instructions: the segment of their source.
        if segment == NO_SEGMENT:
            segment = DS
        if not long or segment >= FS:
            rec.seg = u8(segment)
    if immediate != IMM_NONE:
        plain = immediate & 15
        if plain == IMM_16_8 or plain == IMM_8_8:
            first: u64 = IMM_16
            if plain == IMM_8_8:
                first = IMM_8
            rec.imm = signed_at(text + n, first)
            rec.disp = i64(u64(peek_u8(text + n + size_of_immediate(first))))
        elif plain == IMM_FAR16:
            rec.imm = i64(u64(peek_u16(text + n)))
            rec.disp = i64(u64(peek_u16(text + n + 2)))
        elif plain == IMM_FAR32:
            rec.imm = i64(u64(peek_u32(text + n)))
            rec.disp = i64(u64(peek_u16(text + n + 4)))
        else:
            rec.imm = signed_at(text + n, plain)
        n += size_of_immediate(immediate)
        if immediate & IMM_BRANCH != 0:
            target = pc + n + u64(rec.imm)
            if size == 0:
                target = target & 0xFFFF
            elif not long:
                target = target & 0xFFFF_FFFF
            rec.imm = i64(target)
    rec.ilen = u8(n)
    if rec.spare2 == 256:
        rec.disp = rec.disp + i64(pc + n)
        rec.spare2 = 0
    if prefixes & PREFIX_LOCK != 0:
        rec.flags = RECORD_LOCKED
        lockable = kind & INSN_LOCK != 0
        if lockable and not memory:
            # MOV of CR0 is one of CR8. ref: APM3 4 MOV CRn
            other = cpu.svm_features & SVM_LOCKED_CR8 != 0 and rec.reg == 0
            lockable = kind & INSN_CPL0 != 0 and other
        if not lockable:
            index = u64(cache.undefined_insn)
            kind = INSN_ENDS
    if n > TEXT_LIMIT:
        index = u64(cache.protection_insn)
        kind = INSN_ENDS
    index, kind = checked(cpu, cache, index, kind)
    if memory and kind & INSN_ADDRESS != 0:
        if asize != 8 or cpu.mode & MODE_ALIGN != 0:
            rec.spare2 = u32(asize)
    if kind & INSN_ADDRESS == 0 and memory:
        rec.spare2 = u32(asize << 8)
    rec.width = u8(width)
    if kind & INSN_X87 != 0:
        rec.opcode = u16((segment << 12) | ((byte & 7) << 8) | modrm)
    rec.flags = rec.flags | u16(kind & INSN_CONTROL)
    if memory:
        rec.flags = rec.flags | RECORD_MEMORY
    rec.insn = u16(index)
    rec.handler = InsnInfo.at(cache.infos + index * INFO_SIZE).handler
    return kind


@typed(inline=False)
def checked(cpu: Cpu, cache: CodeCache, index: u64, kind: u64) -> tuple[u64, u64]:
    """The instruction, or the record that raises its exception in this mode."""
    mode = cpu.mode
    undefined = u64(cache.undefined_insn)
    ends: u64 = INSN_ENDS
    if kind & INSN_PROTECTED != 0 and mode & (MODE_PROTECTED | MODE_V86) != MODE_PROTECTED:
        return undefined, ends
    if kind & INSN_AVX != 0:
        if mode & MODE_NO_AVX != 0:
            return undefined, ends
        if mode & MODE_TS != 0:
            return u64(cache.no_device_insn), ends
    if kind & INSN_SSE != 0:
        if mode & MODE_NO_SSE != 0:
            return undefined, ends
        if mode & MODE_TS != 0:
            return u64(cache.no_device_insn), ends
    if kind & INSN_MMX != 0 and mode & MODE_NO_X87 != 0:
        if mode & MODE_TS != 0:
            return u64(cache.no_device_insn), ends
        return undefined, ends
    if kind & INSN_X87 != 0 and mode & MODE_NO_X87 != 0:
        return u64(cache.no_device_insn), ends
    if kind & INSN_CPL0 != 0 and mode & MODE_KERNEL == 0:
        return u64(cache.protection_insn), ends
    return index, kind
