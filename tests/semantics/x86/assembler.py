"""The assembler of guest programs, under the name that the tests of instructions know."""

from worldswitch.lab.x86_assembler import Program, assemble

__all__ = ["Program", "assemble"]
