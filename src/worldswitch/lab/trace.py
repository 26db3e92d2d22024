"""Traces in the trace-event format that Perfetto (ui.perfetto.dev) and Chrome open.

    with TraceWriter(file) as trace:
        cpu = trace.track("processors", "processor 0")
        trace.begin(cpu, "execute", tod)
        trace.end(cpu, tod)

Events are written as they come, one a line. Times are TOD clock values; the file has microseconds
since the first of them, cut to nanoseconds with integer arithmetic, so that the same events make
the same bytes. A file whose writer never came to `close` still opens: the format lets the closing
bracket be missing.
"""

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Self, TextIO

Args = Mapping[str, int | str]


def microseconds(tod: int) -> str:
    """A span of TOD clock units (2**-12 microseconds, at least 0) as microseconds."""
    nanoseconds = tod * 1000 >> 12
    return f"{nanoseconds // 1000}.{nanoseconds % 1000:03d}"


class TraceError(Exception):
    """An event that makes no sense: the end of what never began, or an event after the close."""


class TraceWriter:
    """Writes one trace. `origin`: the TOD clock value that is time 0; default: the first event's.

    A track is a line of the picture, a number that `track` gives; groups hold tracks together.
    """

    def __init__(self, file: TextIO, origin: int | None = None) -> None:
        self._file = file
        self._origin = origin
        self._groups: dict[str, int] = {}
        self._tracks: list[tuple[int, int]] = []
        self._depths: list[int] = []
        self._latest = 0
        self._separator = "[\n"
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def track(self, group: str, name: str) -> int:
        """Add a track to a group, below those that it has; returns what events name it by."""
        process = self._groups.get(group)
        if process is None:
            process = self._groups[group] = len(self._groups) + 1
            self._metadata("process_name", process, 0, {"name": group})
            self._metadata("process_sort_index", process, 0, {"sort_index": process})
        thread = 1 + sum(1 for known, _ in self._tracks if known == process)
        self._tracks.append((process, thread))
        self._depths.append(0)
        self._metadata("thread_name", process, thread, {"name": name})
        self._metadata("thread_sort_index", process, thread, {"sort_index": thread})
        return len(self._tracks) - 1

    def begin(self, track: int, name: str, time: int, args: Args | None = None) -> None:
        """Something with a duration begins; what begins within it ends within it."""
        self._event("B", track, time, name, args)
        self._depths[track] += 1

    def end(self, track: int, time: int, args: Args | None = None) -> None:
        """What began last on the track, and has not ended, ends; `args` join those of its begin."""
        if not self._depths[track]:
            raise TraceError(f"nothing has begun on track {track}")
        self._depths[track] -= 1
        self._event("E", track, time, None, args)

    def instant(self, track: int, name: str, time: int, args: Args | None = None) -> None:
        """Something without a duration happens."""
        self._event("i", track, time, name, args)

    def close(self) -> None:
        """End what is still open at the time of the latest event, and the file. Repeatable."""
        if self._closed:
            return
        for track, depth in enumerate(self._depths):
            for _ in range(depth):
                self.end(track, self._latest)
        self._file.write("[]\n" if self._separator == "[\n" else "\n]\n")
        self._file.flush()
        self._closed = True

    def _event(
        self, phase: str, track: int, time: int, name: str | None, args: Args | None
    ) -> None:
        if self._origin is None:
            self._origin = time
        self._latest = max(self._latest, time)
        process, thread = self._tracks[track]
        span = microseconds(max(0, time - self._origin))
        text = f'"ph":"{phase}","pid":{process},"tid":{thread},"ts":{span}'
        if name is not None:
            text = f'"name":{json.dumps(name)},{text}'
        if phase == "i":
            text += ',"s":"t"'
        if args:
            text += f',"args":{_text(args)}'
        self._line(text)

    def _metadata(self, name: str, process: int, thread: int, args: Args) -> None:
        self._line(f'"name":"{name}","ph":"M","pid":{process},"tid":{thread},"args":{_text(args)}')

    def _line(self, text: str) -> None:
        if self._closed:
            raise TraceError("the trace is closed")
        self._file.write(f"{self._separator}{{{text}}}")
        self._separator = ",\n"


def _text(args: Args) -> str:
    return json.dumps(dict(args), separators=(",", ":"))
