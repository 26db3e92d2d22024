"""What the generator has to know of instructions beyond their encodings, by mnemonic."""

BRANCHES = {"JMP", "CALL", "LOOP", "LOOPE", "LOOPNE", "LOOPZ", "LOOPNZ", "JCXZ", "JECXZ", "JRCXZ"}
"""And the conditional ones: those with a branch offset. They end among HLTs."""
TO_OPERAND = {"JMP", "CALL"}
"""Without an offset, to an address in their operand."""
RETURNS = {"RET"}
STACK = {
    "PUSH", "POP", "CALL", "RET", "ENTER", "LEAVE", "PUSHF", "PUSHFD", "PUSHFQ", "POPF", "POPFD",
    "POPFQ", "PUSHA", "PUSHAD", "POPA", "POPAD",
}  # fmt: skip
"""RSP designates memory."""
POPS_FLAGS = {"POPF", "POPFD", "POPFQ"}
FRAME = {"ENTER", "LEAVE"}
"""RBP designates memory."""
SOURCE = {"MOVS", "LODS", "CMPS", "OUTS"}
DESTINATION = {"MOVS", "STOS", "CMPS", "SCAS", "INS", "MASKMOVQ", "MASKMOVDQU"}
STRING = SOURCE | DESTINATION
BIT_STRING = {"BT", "BTS", "BTR", "BTC"}
"""A bit offset in a register reaches beyond a memory operand."""
AREA_512 = {"FXSAVE", "FXRSTOR"}
"""Their memory operand has 512 bytes."""
LOADS_MXCSR = {"LDMXCSR": 0, "FXRSTOR": 24}
"""Where in the operand MXCSR is, which must not have reserved bits."""
WAITS = {"WAIT", "FWAIT"}
LENGTHS = {"PCMPESTRI", "PCMPESTRM"}
"""RAX and RDX are lengths. The emulator does not come back if one is -2**31."""
DIVISION = {"DIV", "IDIV"}
ABSENT = {
    # Time, randomness, and what depends on the model or on the operating system.
    "RDTSC", "RDTSCP", "RDPMC", "RDRAND", "RDSEED", "RDPID", "CPUID", "XGETBV", "RDPKRU", "WRPKRU",
    "SGDT", "SIDT", "SLDT", "STR", "SMSW", "RDPRU",
    # Another base for FS and GS: the host's C library lives there.
    "RDFSBASE", "RDGSBASE", "WRFSBASE", "WRGSBASE",
    # Ways out of the program.
    "SYSCALL", "SYSRET", "SYSENTER", "SYSEXIT", "INT", "INT3", "INTO", "ICEBP", "INT1", "IRET",
    "VMMCALL", "VMCALL", "RSM",
    # Segments: the tables of the host's operating system.
    "LDS", "LES", "LFS", "LGS", "LSS", "LAR", "LSL", "VERR", "VERW", "ARPL", "RETF", "LLDT", "LTR",
    # Waiting.
    "HLT", "MWAIT", "MONITOR", "MWAITX", "MONITORX", "PAUSE",
    # The area of XSAVE has more on the host.
    "XSAVE", "XSAVEC", "XSAVEOPT", "XSAVES", "XRSTOR", "XRSTORS", "XSETBV",
}  # fmt: skip
"""Not compared here."""
SEGMENT_LOADS = {0x8E, 0x07, 0x17, 0x1F, 0x1A1, 0x1A9}
"""Opcodes, with the map above them, that load segment registers; nor are these."""
