"""The table of exits, and the observers that fill it."""

import io
import json

from worldswitch.lab.exits import ExitTally, ExitTrace, Observers
from worldswitch.lab.s390x import S390Machine, assemble, load
from worldswitch.lab.statistics import Tally, print_statistics
from worldswitch.lab.trace import TraceWriter

GUEST = """
        diag %r1, %r2, 0x500
        diag %r1, %r2, 0x500
        larl %r9, address
        stap 0(%r9)
        llgh %r1, 0(%r9)
        sigp %r3, %r1, 5
        .align 8
address: .quad 0
"""


def observed() -> tuple[str, ExitTally]:
    """A trace and a tally of the guest's run."""
    machine = S390Machine(4 << 20, engine="python")
    load(machine, assemble(GUEST, 0x1000))
    file, tally = io.StringIO(), ExitTally()
    with TraceWriter(file) as trace:
        machine.observer = Observers(ExitTrace(trace), tally)
        assert machine.run().status == 0
    tally.close()
    return file.getvalue(), tally


def test_tally_of_samples_has_shares_and_extremes() -> None:
    tally = Tally()
    for name, time in (("a", 10), ("b", 30), ("a", 20)):
        tally.add(name, time)
    first, second = tally.lines()
    assert (first.name, first.samples, first.shortest, first.longest) == ("a", 2, 10, 20)
    assert (first.sample_share, first.time_share, first.average) == (2 / 3, 0.5, 15)
    assert (second.name, second.samples) == ("b", 1)


def test_tally_without_samples_has_no_lines() -> None:
    assert Tally().lines() == []


def test_table_printed_has_events_and_totals() -> None:
    tally = Tally()
    tally.add("DIAGNOSE", 4096)
    tally.add("DIAGNOSE", 3 * 4096)
    file = io.StringIO()
    print_statistics(tally.lines(), "Exits", file)
    assert "DIAGNOSE" in file.getvalue()
    assert "100.00%" in file.getvalue()
    assert "Total samples: 2, total time of events: 4.00 us" in file.getvalue()


def test_guest_observed_counts_its_exits() -> None:
    _, tally = observed()
    assert {line.name: line.samples for line in tally.tally.lines()} == {"DIAGNOSE": 2, "SIGP": 1}


def test_guest_traced_twice_writes_the_same_bytes() -> None:
    first, second = observed()[0], observed()[0]
    assert first == second


def test_guest_traced_names_what_it_left_for() -> None:
    begun = [e for e in json.loads(observed()[0]) if e["ph"] == "B"]
    names = [event["name"] for event in begun]
    assert names == ["execute", "DIAGNOSE", "execute", "DIAGNOSE", "execute", "SIGP"]
    assert begun[1]["args"]["function"] == "0x500"
    assert begun[5]["args"]["order"] == "0x5"
