"""What a guest's creator chooses: capabilities that the machine turns on or off."""

from dataclasses import dataclass


@dataclass
class Options:
    """Capabilities of one virtual machine; the names are those of the back end's capabilities.

    user_controlled: every interception is the machine's. user_cpu_state: starting, stopping and
    resetting CPUs is. user_sigp: all SIGP orders but the quick ones are. user_instr0: the opcode
    0000 is. css_support: the machine has a channel subsystem; without one, I/O instructions find
    nothing operational. cmma: collaborative memory management. sigp_interpretation: SIE executes
    quick SIGP orders itself where the host can. external_interpretation: timer interruptions are
    taken without interception where the host can.
    """

    user_controlled: bool = False
    user_cpu_state: bool = False
    user_sigp: bool = False
    user_instr0: bool = False
    css_support: bool = True
    cmma: bool = False
    sigp_interpretation: bool = True
    external_interpretation: bool = True
    skeys: bool = True
