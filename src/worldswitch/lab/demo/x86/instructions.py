"""Scenes of instructions that are intercepted. ref: APM2 15.9 Instruction Intercepts"""

from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.lab.demo.x86.scene import Scene
from worldswitch.lab.demo.x86.stage import Mode

UNDEFINED = "Injects #UD: its guest is told that there is no SVM."


def _registers() -> tuple[Scene, ...]:
    """Control and debug registers, each with an exit code of its own."""
    scenes: list[Scene] = []
    for kind, numbers, word in (("CR", (0, 2, 3, 4, 8), "control"), ("DR", range(8), "debug")):
        for access, did, answer in (
            ("READ", f"MOV from a {word} register", "Gives it the value that it should see."),
            ("WRITE", f"MOV to a {word} register", "Checks the value, and loads it for the guest."),
        ):
            for number in numbers:
                code = SvmExit[f"{kind}{number}_{access}"]
                scenes.append(Scene(code, did, answer, brief=True))
    return tuple(scenes)


def _tables() -> tuple[Scene, ...]:
    """Descriptor-table registers, each with an exit code of its own."""
    scenes: list[Scene] = []
    for access, did, answer in (
        ("READ", "SIDT, SGDT, SLDT, STR", "Stores what the guest should see: what it loaded."),
        ("WRITE", "LIDT, LGDT, LLDT, LTR", "Loads the register in the VMCB, and notes the change."),
    ):
        for name in ("IDTR", "GDTR", "LDTR", "TR"):
            scenes.append(Scene(SvmExit[f"{name}_{access}"], did, answer, brief=True))
    return tuple(scenes)


INSTRUCTIONS: tuple[Scene, ...] = (
    Scene(SvmExit.CPUID, "CPUID",
          "Answers as its policy has it, and goes on at next_rip."),
    Scene(SvmExit.RDTSC, "RDTSC", "Gives the guest's own time."),
    Scene(SvmExit.RDTSCP, "RDTSCP", "Gives the guest's own time, and its TSC_AUX."),
    Scene(SvmExit.RDPMC, "RDPMC", "Injects #GP: its guest has no such counter."),
    Scene(SvmExit.PUSHF, "PUSHF", "Pushes flags as a debugger wants them seen."),
    Scene(SvmExit.POPF, "POPF", "Loads flags but for those that a debugger needs."),
    Scene(SvmExit.IRET, "IRET at the end of its NMI handler",
          "Takes the intercept away, has IRET executed again: NMIs are open from then on."),
    Scene(SvmExit.SWINT, "INT 80h", "Delivers the interrupt, once it has looked at it."),
    Scene(SvmExit.ICEBP, "ICEBP (opcode F1)", "Takes it for a breakpoint, or injects #DB."),
    Scene(SvmExit.HLT, "HLT", "Lets the virtual CPU sleep until there is an interrupt for it."),
    Scene(SvmExit.PAUSE, "PAUSE", "Lets another virtual CPU run: the guest is spinning."),
    Scene(SvmExit.INVD, "INVD", "Does nothing: the host's own data is in these caches, too."),
    Scene(SvmExit.WBINVD, "WBINVD", "Does nothing, or writes caches back for a device."),
    Scene(SvmExit.INVLPG, "INVLPG", "Drops that page from its shadow page tables."),
    Scene(SvmExit.INVPCID, "INVPCID", "Drops what is asked for from its shadow page tables."),
    Scene(SvmExit.XSETBV, "XSETBV",
          "Checks the value and loads XCR0, which VMRUN does not switch."),
    Scene(SvmExit.RSM, "RSM", "Ends the emulated system management, or injects #UD."),
    Scene(SvmExit.IOIO, "IN from the keyboard controller",
          "Asks the device, sets AL, and goes on at next_rip.", "port_in"),
    Scene(SvmExit.IOIO, "OUT to a serial port", "Gives AL to the device.", "port_out"),
    Scene(SvmExit.IOIO, "REP INSW from a disk",
          "Stores from the device at ES:RDI until RCX is 0.", "port_ins"),
    Scene(SvmExit.IOIO, "REP OUTSB to a debug console",
          "Reads at DS:RSI for the device until RCX is 0.", "port_outs"),
    Scene(SvmExit.MSR, "RDMSR of the APIC base",
          "Sets EDX and EAX to the guest's own value.", "msr_read"),
    Scene(SvmExit.MSR, "WRMSR to EFER", "Checks the value, sets the guest's EFER.", "msr_write"),
    Scene(SvmExit.TASK_SWITCH, "far JMP to another task", "Emulates the task switch.",
          mode=Mode.PROTECTED),
    *_registers(),
    Scene(SvmExit.CR0_SEL_WRITE, "MOV to CR0 that changes NE",
          "Checks the value and loads it. Changes of TS and MP alone need no exit."),
    *_tables(),
    Scene(SvmExit.VMMCALL, "VMMCALL, with a function in RAX",
          "Answers the hypercall, or injects #UD if it has none."),
    Scene(SvmExit.VMLOAD, "an instruction of SVM", UNDEFINED, brief=True),
    Scene(SvmExit.VMSAVE, "an instruction of SVM", UNDEFINED, brief=True),
    Scene(SvmExit.STGI, "an instruction of SVM", UNDEFINED, brief=True),
    Scene(SvmExit.CLGI, "an instruction of SVM", UNDEFINED, brief=True),
    Scene(SvmExit.INVLPGA, "an instruction of SVM", UNDEFINED, brief=True),
)  # fmt: skip
"""In the order of the table."""
