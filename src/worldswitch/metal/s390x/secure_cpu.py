"""Entry to and exit from a protected guest: what the Ultravisor does between guest and host.

An instruction that the host has to carry out shows it only the registers it needs, and its
operand in the secure instruction data area (SIDA). When the guest is entered again, the answer
goes back the same way. ref: SIE protected guest; UV secure instruction data area.
"""

from collections.abc import Callable

from worldswitch.arch.s390x.diag import DiagCode
from worldswitch.arch.s390x.lowcore import Lowcore
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.sie_controls import Icpt, IcptStatus, Iictl
from worldswitch.arch.s390x.sie_host import ValidityReason
from worldswitch.arch.s390x.sigp import SigpOrder
from worldswitch.arch.s390x.state_description import SIDA_ORIGIN, StateDescription, sida_size
from worldswitch.arch.s390x.uv import Share, UvCommand, UvCpuState, UvReturn
from worldswitch.arch.s390x.validity import ValidityReport, set_validity_interception
from worldswitch.metal.interface import EntryResult
from worldswitch.metal.s390x.leave import Exit
from worldswitch.metal.s390x.processor import Processor
from worldswitch.metal.s390x.secure_storage import FRAME
from worldswitch.metal.s390x.sie.secure import SecureState
from worldswitch.metal.s390x.ultravisor import SecureCpu, Ultravisor

REGISTERS = 0x380
"""Offset from the state description of the 16 doublewords that stand for general registers."""
CC_BITS = 3 << 44
MASK64 = 0xFFFF_FFFF_FFFF_FFFF
PREFIX = 0x7FFF_E000
MAIN_STORAGE_ORIGIN = 0xFFFF_FFFF_FFF0_0000
OLD_TO_NEW = Lowcore.offset_of("pgm_new_psw") - Lowcore.offset_of("pgm_old_psw")


class NotSecureError(Exception):
    """The Ultravisor needs a page that the guest does not have. address: guest absolute."""

    def __init__(self, address: int) -> None:
        super().__init__(f"guest page {address:#x} is not secure")
        self.address = address


class SecureEntry:
    """A physical processor's way into protected guests and back.

    `enter` and `leave` say what SIE ends with, or None if the guest goes on.
    """

    def __init__(self, ultravisor: Ultravisor, processor: Processor) -> None:
        self.ultravisor = ultravisor
        self.processor = processor
        self.storage = ultravisor.storage

    def enter(self, block: StateDescription, where: int) -> EntryResult | None:
        """Prepare for entry, and complete the instruction that the host was asked about."""
        cpu = self.ultravisor.cpus.get(block.pv_handle_cpu)
        if (
            cpu is None
            or cpu.configuration.handle != block.pv_handle_config
            or cpu.state_description != where
            or cpu.state != UvCpuState.OPERATING
        ):
            message = "the handles name no operating CPU that was created for this block"
            report = ValidityReport(
                ValidityReason.PV_HANDLES, "protected-handles", "SIE protected guest", message
            )
            set_validity_interception(block, report)
            return EntryResult.EXIT
        self.processor.raw.sie_secure = cpu.address
        if cpu.outstanding is not None:
            try:
                again = cpu.outstanding()
            except NotSecureError as missing:
                return self._host_fault(block, missing.address)
            if again is not None:
                block.icptcode = again
                return EntryResult.EXIT
            cpu.outstanding = None
        try:
            self._inject(cpu, block)
        except NotSecureError:
            block.icptcode, block.icptstatus = Icpt.PV_PREF, 0
            return EntryResult.EXIT
        return None

    def leave(self, block: StateDescription, where: int) -> EntryResult | None:
        """After an exit; None if the guest goes on at once and the host never saw it."""
        if block.icptcode != Icpt.PV_INSTR:
            return EntryResult.EXIT
        cpu = self.ultravisor.cpus[block.pv_handle_cpu]
        raw = self.processor.raw
        reason = Exit(raw.sie_reason)
        args = [raw.exit_args[n] for n in range(4)]
        try:
            if reason is Exit.UVC:
                return self._guest_call(cpu, block, args[1])
            if reason not in _SHOWN:
                self._program(cpu, ProgramCode.OPERATION, _length(block))
                return None
            return self._show(cpu, block, where, reason, args)
        except NotSecureError as missing:
            if missing.address >= cpu.configuration.length:
                self._program(cpu, ProgramCode.ADDRESSING, _length(block))
                return None
            state = SecureState.raw_at(cpu.address)
            state.psw_addr = (state.psw_addr - _length(block)) & MASK64
            return self._host_fault(block, missing.address)

    def _host_fault(self, block: StateDescription, address: int) -> EntryResult:
        """Have the host make a page secure: the same is tried again at the next entry."""
        raw = self.processor.raw
        raw.fault_code = ProgramCode.NON_SECURE_STORAGE_ACCESS
        raw.host_fault_address = (block.mso & MAIN_STORAGE_ORIGIN) + address // FRAME * FRAME
        raw.host_fault_store = 1
        block.icptcode = Icpt.NONE
        return EntryResult.HOST_FAULT

    def _show(
        self, cpu: SecureCpu, block: StateDescription, where: int, reason: Exit, args: list[int]
    ) -> EntryResult | None:
        """Show the host what it needs of an instruction."""
        state = SecureState.raw_at(cpu.address)
        if not self._give_operand(cpu, block, reason, args):
            self._program(cpu, ProgramCode.SPECIFICATION, _length(block))
            return None
        r1, r3 = block.ipa >> 4 & 0xF, block.ipa & 0xF
        view = self.storage.view[where + REGISTERS : where + REGISTERS + 128]
        view[:] = bytes(128)
        if reason in (Exit.SERVICE_CALL, Exit.STHYI, Exit.PTF):
            r1, r3 = block.ipb >> 20 & 0xF, block.ipb >> 16 & 0xF
        show = _SHOWN[reason]
        shown = {r1, r1 | 1, r3, r3 | 1} if show is None else set(show)
        returned = shown & _RETURNED[reason](r1)
        if reason is Exit.SIGP:
            shown.add(block.ipb >> 28)  # the base of the order code
        if reason is Exit.DIAGNOSE and args[0] == DiagCode.KVM_HYPERCALL:
            shown |= {1, 2, 3, 4}
            returned = {2}
        for n in sorted(shown):
            view[8 * n : 8 * n + 8] = state.gr[n].to_bytes(8, "big")
        cpu.outstanding = lambda: self._complete(cpu, block, where, reason, args, returned)
        return EntryResult.EXIT

    # Instructions.

    def _give_operand(
        self, cpu: SecureCpu, block: StateDescription, reason: Exit, args: list[int]
    ) -> bool:
        """Copy what the instruction reads into the SIDA, and note where its answer belongs.

        IMPDEF: False, a specification exception, for a service call's block across pages.
        """
        if reason is Exit.SERVICE_CALL:
            length = max(8, int.from_bytes(self.read(cpu, args[1], 2), "big"))
            if args[1] % FRAME + length > FRAME:
                return False
            self._put_sida(block, self.read(cpu, args[1], length))
            args[2] = length
        # The host may have given the frame to somebody else by the time it answers: what stays is
        # the guest's own address.
        if reason is Exit.STSI and args[3]:
            args[3] = self._guest_address(args[3])
        if reason is Exit.STHYI and args[2]:
            args[2] = self._guest_address(args[2])
        return True

    def _guest_address(self, host_address: int) -> int:
        """The guest absolute address of a page at a host absolute address."""
        return self.ultravisor.frames.guest_frame(host_address // FRAME) * FRAME

    def _complete(
        self,
        cpu: SecureCpu,
        block: StateDescription,
        where: int,
        reason: Exit,
        args: list[int],
        returned: set[int],
    ) -> int | None:
        """Give the guest the answer; the interception that is due instead of entry, or None."""
        state = SecureState.raw_at(cpu.address)
        view = self.storage.view[where + REGISTERS : where + REGISTERS + 128]
        for n in returned:
            state.gr[n] = int.from_bytes(view[8 * n : 8 * n + 8], "big")
        if reason in _WITH_CC:
            state.psw_mask = state.psw_mask & ~CC_BITS | block.gpsw_mask & CC_BITS
        if reason is Exit.SERVICE_CALL:
            self.write(cpu, args[1], self._sida(block, args[2]))
            cpu.outstanding = None
            return Icpt.PV_NOTIFY
        if block.gpsw_mask & CC_BITS:
            return None
        if reason is Exit.STSI and args[3]:
            self.write(cpu, args[3], self._sida(block, FRAME))
        if reason is Exit.STHYI:
            self.write(cpu, args[2], self._sida(block, FRAME))
        if reason is Exit.SIGP and args[0] == SigpOrder.SET_PREFIX:
            self._set_prefix(cpu, args[1], args[2])
        return None

    def _set_prefix(self, cpu: SecureCpu, number: int, prefix: int) -> None:
        """The host has accepted SET PREFIX: the prefix is in what it cannot see."""
        target = cpu.configuration.cpus.get(number)
        if target is not None and target.state == UvCpuState.STOPPED:
            SecureState.raw_at(target.address).prefix = prefix & PREFIX

    def _guest_call(
        self, cpu: SecureCpu, block: StateDescription, address: int
    ) -> EntryResult | None:
        """An Ultravisor call of the guest: SHARE is done at once, UNSHARE is notified."""
        state = SecureState.raw_at(cpu.address)
        if address + Share.block_size > cpu.configuration.length:
            self._answer(cpu, address, None, UvReturn.INVALID_ADDRESS)
            return None
        share = Share(bytearray(self.read(cpu, address, Share.block_size)))
        command = share.header.command
        if command == UvCommand.SHARE:
            code = self.ultravisor.share(cpu.configuration, share.address, True)
            self._answer(cpu, address, state, code)
            return None
        if command != UvCommand.UNSHARE:
            self._answer(cpu, address, state, UvReturn.INVALID_COMMAND)
            return None
        block.icptcode = Icpt.PV_NOTIFY
        self._put_sida(block, bytes(share))

        def finish() -> int | None:
            code = self.ultravisor.share(cpu.configuration, share.address, False)
            if code == UvReturn.PAGE_BUSY:
                # The host has not unpinned the page: it is told again.
                return Icpt.PV_NOTIFY
            self._answer(cpu, address, state, code)
            return None

        cpu.outstanding = finish
        return EntryResult.EXIT

    def _answer(self, cpu: SecureCpu, address: int, state: object | None, code: int) -> None:
        """Store a guest call's return code and set its condition code."""
        raw = SecureState.raw_at(cpu.address)
        failed = code != UvReturn.EXECUTED
        raw.psw_mask = raw.psw_mask & ~CC_BITS | (1 << 44 if failed else 0)
        if state is not None:
            self.write(cpu, address + 4, code.to_bytes(2, "big"))

    # Guest storage, by absolute address.

    def _frame(self, cpu: SecureCpu, address: int) -> int:
        frame = cpu.configuration.frames.get(address // FRAME)
        if frame is None:
            raise NotSecureError(address)
        return frame

    def read(self, cpu: SecureCpu, address: int, size: int) -> bytes:
        """Bytes of guest absolute storage; NotSecureError for a page that is not secure."""
        result = b""
        while size:
            part = min(size, FRAME - address % FRAME)
            start = self._frame(cpu, address) * FRAME + address % FRAME
            result += bytes(self.storage.view[start : start + part])
            address, size = address + part, size - part
        return result

    def write(self, cpu: SecureCpu, address: int, data: bytes) -> None:
        """Store into guest absolute storage; NotSecureError for a page that is not secure."""
        while data:
            part = min(len(data), FRAME - address % FRAME)
            self.storage.put(self._frame(cpu, address) * FRAME + address % FRAME, data[:part])
            address, data = address + part, data[part:]

    def _sida(self, block: StateDescription, size: int) -> bytes:
        start = block.sidad & SIDA_ORIGIN
        return bytes(self.storage.view[start : start + min(size, sida_size(block))])

    def _put_sida(self, block: StateDescription, data: bytes) -> None:
        start = block.sidad & SIDA_ORIGIN
        data = data[: sida_size(block)]
        self.storage.view[start : start + len(data)] = data

    # Interruptions.

    def _inject(self, cpu: SecureCpu, block: StateDescription) -> None:
        """Present the interruption that the host asks for in iictl."""
        kind = block.iictl
        if kind == Iictl.NONE:
            return

        def fill(lowcore: Lowcore) -> None:
            self._parameters(block, kind, lowcore)

        self._interrupt(cpu, _OLD[kind], fill)
        block.iictl = Iictl.NONE

    def _parameters(self, block: StateDescription, kind: int, lowcore: Lowcore) -> None:
        match kind:
            case Iictl.EXT:
                lowcore.ext_params = block.eiparams
                lowcore.ext_cpu_addr, lowcore.ext_int_code = block.extcpuaddr, block.eic
            case Iictl.IO:
                lowcore.subchannel_id = block.subchannel_id
                lowcore.subchannel_nr = block.subchannel_nr
                lowcore.io_int_parm, lowcore.io_int_word = block.io_int_parm, block.io_int_word
            case Iictl.MCHK:
                lowcore.mcck_code, lowcore.ext_damage_code = block.mcic, block.edc
                lowcore.failing_storage_address = block.faddr
            case Iictl.SPECIFICATION | Iictl.OPERAND:
                specification = kind == Iictl.SPECIFICATION
                lowcore.pgm_ilc = 4
                lowcore.pgm_code = (
                    ProgramCode.SPECIFICATION if specification else ProgramCode.OPERAND
                )
            case _:
                pass

    def _program(self, cpu: SecureCpu, code: ProgramCode, length: int) -> None:
        """A program interruption that suppresses the instruction that has just left."""

        def fill(lowcore: Lowcore) -> None:
            lowcore.pgm_ilc, lowcore.pgm_code = length, code

        self._interrupt(cpu, "pgm_old_psw", fill)

    def _interrupt(self, cpu: SecureCpu, old: str, fill: Callable[[Lowcore], None]) -> None:
        """The interruption action; NotSecureError, with nothing done, without a prefix area."""
        state = SecureState.raw_at(cpu.address)
        low = bytearray(self.read(cpu, state.prefix, 2 * FRAME))
        fill(Lowcore(low))
        at = Lowcore.offset_of(old)
        psw = state.psw_mask.to_bytes(8, "big") + state.psw_addr.to_bytes(8, "big")
        low[at : at + 16] = psw
        new = low[at + OLD_TO_NEW : at + OLD_TO_NEW + 16]
        state.psw_mask = int.from_bytes(new[:8], "big")
        state.psw_addr = int.from_bytes(new[8:], "big")
        self.write(cpu, state.prefix, bytes(low))


def _length(block: StateDescription) -> int:
    """Bytes of the intercepted instruction, or of the EXECUTE that led to it."""
    if block.icptstatus & IcptStatus.EXECUTE:
        return block.icptstatus >> 4 & 6 or 4
    return (2, 4, 4, 6)[block.ipa >> 14]


_OLD = {
    Iictl.MCHK: "mcck_old_psw",
    Iictl.EXT: "ext_old_psw",
    Iictl.IO: "io_old_psw",
    Iictl.RESTART: "restart_old_psw",
    Iictl.SPECIFICATION: "pgm_old_psw",
    Iictl.OPERAND: "pgm_old_psw",
}
# Which registers the host sees: None for those that the instruction designates.
_SHOWN: dict[Exit, tuple[int, ...] | None] = {
    Exit.SERVICE_CALL: None,
    Exit.DIAGNOSE: None,
    Exit.SIGP: None,
    Exit.STSI: (0, 1),
    Exit.IO: (0, 1, 2),
    Exit.STHYI: None,
    Exit.PTF: None,
}
# Which of them the host's answer may change, by R1 of the instruction.
_RETURNED = {
    Exit.SERVICE_CALL: lambda r1: set[int](),
    Exit.DIAGNOSE: lambda r1: {r1 | 1},
    Exit.SIGP: lambda r1: {r1},
    Exit.STSI: lambda r1: {0},
    Exit.IO: lambda r1: set[int](),
    Exit.STHYI: lambda r1: set(range(16)),
    Exit.PTF: lambda r1: set(range(16)),
}
_WITH_CC = (Exit.SERVICE_CALL, Exit.SIGP, Exit.STSI, Exit.IO, Exit.STHYI, Exit.PTF)
