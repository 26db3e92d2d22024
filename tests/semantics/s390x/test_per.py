"""Program-event recording, by programs that provoke events. ref: PoP 4."""

import pytest

from tests.guests.s390x_program import load, run
from worldswitch.metal.s390x.leave import Exit

PSW_PER = 0x4000_0001_8000_0000
FETCH, BRANCH, STORE, NULLIFY = 1 << 30, 1 << 31, 1 << 29, 1 << 24
HANDLER = """
    larl %r1, new
    mvc 0x1d0(16,%r0), 0(%r1)
    lghi %r2, 0x3000
    lctlg %c9, %c11, 0(%r2)
    larl %r1, with_per
    lpswe 0(%r1)
    .align 8
new: .quad 0x180000000, handler
with_per: .quad 0x4000000180000000, body
handler:
    diag %r0, %r0, 0xfff
body:
"""


def event(controls: tuple[int, int, int], body: str, engine: str) -> tuple[int, int, int, int]:
    """(event code, event address, old PSW address, length) of the first event of `body`."""
    text = HANDLER + body + "\n diag %r0,%r0,0xffe\n"
    processor, program = load(text, engine=engine)
    storage = processor.storage
    for n, value in enumerate(controls):
        named = program.labels["target"] if value == -1 else value
        storage.write(0x3000 + 8 * n, named.to_bytes(8, "big"))
    assert run(processor) is Exit.DIAGNOSE
    assert processor.raw.exit_args[0] == 0xFFF, "no event was presented"
    code = int.from_bytes(storage.read(0x8C, 4), "big")
    assert code & 0xFFFF == 0x80
    base = program.labels["body"]
    return (
        storage.read(0x96, 1)[0],
        int.from_bytes(storage.read(0x98, 8), "big") - base,
        int.from_bytes(storage.read(0x158, 8), "big") - base,
        code >> 16,
    )


@pytest.mark.parametrize("engine", ["python", "native"])
def test_fetch_event_in_range_follows_instruction(engine: str) -> None:
    body = " lghi %r2, 1\ntarget: lghi %r3, 2\n lghi %r4, 3"
    assert event((FETCH, -1, -1), body, engine) == (0x40, 4, 8, 4)


@pytest.mark.parametrize("engine", ["python", "native"])
def test_fetch_nullification_precedes_instruction(engine: str) -> None:
    body = " lghi %r2, 1\ntarget: lghi %r3, 2\n lghi %r4, 3"
    assert event((FETCH | NULLIFY, -1, -1), body, engine) == (0x41, 4, 4, 4)


@pytest.mark.parametrize("engine", ["python", "native"])
def test_branch_event_shows_branch_and_target(engine: str) -> None:
    body = " lghi %r2, 1\n j target\n lghi %r3, 2\ntarget: lghi %r4, 3"
    assert event((BRANCH, 0, 0), body, engine) == (0x80, 4, 12, 4)


@pytest.mark.parametrize("engine", ["python", "native"])
def test_computed_branch_in_range_is_event(engine: str) -> None:
    body = " larl %r2, target\n br %r2\n lghi %r3, 2\ntarget: lghi %r4, 3"
    assert event((BRANCH | 1 << 23, -1, -1), body, engine) == (0x80, 6, 12, 2)


@pytest.mark.parametrize("engine", ["python", "native"])
def test_store_event_in_range_follows_store(engine: str) -> None:
    body = " stg %r2, 0x3100(%r0)\n stg %r2, 0x3108(%r0)\n lghi %r4, 3\ntarget: lghi %r1,0"
    body = body.replace("0x31", "0xe")
    assert event((STORE, 0xE0F, 0xE0F), body, engine) == (0x20, 6, 12, 6)
