"""The board's own interface: steps, hooks, and how a run ends."""

import pytest

from worldswitch.lab.s390x import Exit, Processor, Result, S390Machine, assemble, load, step_until
from worldswitch.machine.result import STATUS_CRASHED

ENGINES = ["python", "native"]
LOOP = """
        lghi %r1, 3
next:   aghi %r2, 5
        exrl %r0, target
        brctg %r1, next
        diag %r1, %r2, 0x500
        larl %r3, done
        lpswe 0(%r3)
target: lr %r4, %r2
        .align 8
done:   .quad 0x0002000180000000, 0x600D
"""


def machine(engine: str, text: str = LOOP) -> S390Machine:
    """A machine about to execute `text`."""
    made = S390Machine(4 << 20, engine=engine)
    load(made, assemble(text, 0x1000))
    return made


@pytest.mark.parametrize("engine", ENGINES)
def test_step_of_a_loop_executes_one_instruction_each(engine: str) -> None:
    made = machine(engine)
    cpu = made.processors[0]
    seen: list[int] = []
    for _ in range(6):
        seen.append(cpu.psw[1])
        assert made.step() is Exit.BUDGET
    assert seen == [0x1000, 0x1004, 0x1008, 0x100E, 0x1004, 0x1008]
    assert (cpu.gr[1], cpu.gr[2], cpu.gr[4], cpu.icount) == (2, 10, 10, 6)


@pytest.mark.parametrize("engine", ENGINES)
def test_run_after_steps_ends_as_without_them(engine: str) -> None:
    made, other = machine(engine), machine(engine)
    for _ in range(3):
        made.step()
    assert made.run() == other.run()
    assert made.processors[0].icount == other.processors[0].icount
    assert list(made.processors[0].raw.gr) == list(other.processors[0].raw.gr)


def test_step_after_the_end_executes_nothing() -> None:
    made = machine("python")
    made.run()
    count = made.processors[0].icount
    assert made.step() is Exit.STOPPED
    assert made.processors[0].icount == count


def test_step_into_a_program_interruption_stops_at_its_handler() -> None:
    made = machine("python", ".insn 0000")
    made.storage.write(0x1D0, (0x180000000).to_bytes(8, "big") + (0x2000).to_bytes(8, "big"))
    made.step()
    assert made.processors[0].psw[1] == 0x2000


def test_hook_that_answers_keeps_the_machine_out() -> None:
    made = machine("python")
    seen: list[int] = []

    def hook(cpu: Processor) -> bool:
        seen.append(cpu.raw.exit_args[0])
        return True

    made.on(Exit.DIAGNOSE, hook)
    made.run()
    assert seen == [0x500]
    assert made.processors[0].gr[2] == 15


def test_hook_that_declines_leaves_it_to_the_next_and_the_machine() -> None:
    made = machine("python")
    asked: list[str] = []
    made.on(Exit.DIAGNOSE, lambda cpu: bool(asked.append("first")))
    made.on(Exit.DIAGNOSE, lambda cpu: bool(asked.append("second")))
    made.run()
    assert asked == ["first", "second"]
    assert made.processors[0].gr[2] == 2**64 - 22  # KVM's answer: no such hypercall


def test_hook_that_ends_the_run_gives_its_result() -> None:
    made = machine("python")
    wanted = Result(7, "that will do")

    def hook(cpu: Processor) -> bool:
        made.end(wanted)
        return True

    made.on(Exit.DIAGNOSE, hook)
    assert made.run() == wanted
    assert made.processors[0].psw[1] == 0x1016


def test_run_to_a_disabled_wait_is_a_crash() -> None:
    result = machine("python").run()
    assert result.status == STATUS_CRASHED
    assert "600D" in result.reason


@pytest.mark.parametrize(
    ("value", "limit", "steps"), [(10, 100, 5), (1000, 100, None), (15, 3, None)]
)
def test_step_until_condition_counts_instructions(
    value: int, limit: int, steps: int | None
) -> None:
    assert step_until(machine("python"), lambda cpu: cpu.gr[2] == value, limit) == steps
