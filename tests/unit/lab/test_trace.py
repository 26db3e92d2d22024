"""Traces: the format's events, nesting, and the same bytes for the same events."""

import io
import json
from typing import Any

import pytest

from worldswitch.lab.trace import TraceError, TraceWriter, microseconds


def events(text: str) -> list[dict[str, Any]]:
    """The events of a trace without its metadata."""
    return [event for event in json.loads(text) if event["ph"] != "M"]


@pytest.mark.parametrize(
    ("tod", "text"), [(0, "0.000"), (4096, "1.000"), (4095, "0.999"), (4, "0.000"), (5, "0.001")]
)
def test_microseconds_of_a_span_are_cut_to_nanoseconds(tod: int, text: str) -> None:
    assert microseconds(tod) == text


def test_trace_written_has_tracks_and_nested_events() -> None:
    file = io.StringIO()
    with TraceWriter(file) as trace:
        track = trace.track("processors", "processor 0")
        trace.begin(track, "execute", 1 << 40)
        trace.instant(track, "tick", (1 << 40) + 4096, {"n": 3})
        trace.end(track, (1 << 40) + 8192, {"why": "DIAGNOSE"})
    every = json.loads(file.getvalue())
    assert {"process_name", "thread_name"} <= {e["name"] for e in every if e["ph"] == "M"}
    assert [(e["ph"], e["ts"]) for e in events(file.getvalue())] == [("B", 0), ("i", 1), ("E", 2)]
    assert events(file.getvalue())[1]["args"] == {"n": 3}


def test_tracks_of_two_groups_have_numbers_of_their_own() -> None:
    file = io.StringIO()
    with TraceWriter(file) as trace:
        for group, name in (("processors", "0"), ("vcpus", "0"), ("processors", "1")):
            trace.instant(trace.track(group, name), "here", 0)
    assert [(e["pid"], e["tid"]) for e in events(file.getvalue())] == [(1, 1), (2, 1), (1, 2)]


def test_trace_closed_early_ends_what_is_open_at_the_latest_time() -> None:
    file = io.StringIO()
    trace = TraceWriter(file, origin=0)
    track = trace.track("processors", "processor 0")
    trace.begin(track, "outer", 0)
    trace.begin(track, "inner", 4096 * 5)
    trace.close()
    trace.close()
    assert [(e["ph"], e["ts"]) for e in events(file.getvalue())][2:] == [("E", 5), ("E", 5)]


def test_trace_without_events_is_an_empty_list() -> None:
    file = io.StringIO()
    TraceWriter(file).close()
    assert json.loads(file.getvalue()) == []


def test_trace_cut_off_misses_only_its_bracket() -> None:
    file = io.StringIO()
    trace = TraceWriter(file)
    trace.instant(trace.track("a", "b"), "here", 0)
    assert len(events(file.getvalue() + "]")) == 1


def test_end_of_what_never_began_is_an_error() -> None:
    trace = TraceWriter(io.StringIO())
    track = trace.track("a", "b")
    with pytest.raises(TraceError, match="nothing has begun"):
        trace.end(track, 0)


def test_event_after_the_close_is_an_error() -> None:
    trace = TraceWriter(io.StringIO())
    track = trace.track("a", "b")
    trace.close()
    with pytest.raises(TraceError, match="closed"):
        trace.instant(track, "late", 0)
