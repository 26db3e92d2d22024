"""Opcodes E3xx: guarded storage."""

from worldswitch.hypervisor.sie.instructions.op_aa import guarded_storage
from worldswitch.hypervisor.sie.instructions.privilege import Instructions

group = Instructions("opcodes E3")
STGSC, LGSC = 0x49, 0x4D

for _code in (STGSC, LGSC):
    group.on(_code, "gs", privileged=False)(guarded_storage)
