"""Long calls from Python: where they stand, threads to share them, and an end within a second of Ctrl-C.

A compiled kernel can't be interrupted, and Python hands Ctrl-C to the main thread alone. So ``long_call`` computes in a
thread of its own while the thread that called waits, draws the bar and takes the interrupt. All threads here are
daemons: neither the call nor the end of the process waits for a kernel that was left behind; its thread stops before
its next piece of work (``Meter.check``).
"""

from __future__ import annotations

import contextvars
import functools
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Generic, TextIO, TypeVar

from simcore.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")

LOG = logging.getLogger("simcore")
LOG_EVERY = 10.0
"""Seconds between lines where there is no terminal."""
REDRAW = 0.2
"""Seconds between two looks of the waiting thread."""
PARTING = 0.2
"""Seconds that a stopped call waits for its threads to end before it leaves them behind."""
IDLE = 2.0
"""Seconds for which a thread waits for the next call."""
WIDTH = 24


class Stopped(BaseException):
    """Ends a thread whose call was stopped; nobody outside sees it."""


class Meter:
    """How far a long call is: ``plan`` says how much there is, ``step`` that some of it is done, ``say`` what is done.

    Any thread may call them. ``shown`` draws a bar on standard error (lines where that is no terminal); otherwise the
    lines go to the logger ``simcore`` at level INFO.
    """

    def __init__(self, name: str, shown: bool, stream: TextIO | None = None) -> None:
        self.name, self.shown = name, shown
        self.stream = sys.stderr if stream is None else stream
        self.stopped = threading.Event()
        self.done = self.total = 0
        self.unit = self.note = ""
        self._lock = threading.Lock()
        self._began = self._spoke = time.monotonic()
        self._first: tuple[float, int] | None = None
        self._live = shown and _redraws(self.stream)
        self._drawn = 0

    def plan(self, total: int, unit: str) -> None:
        """Say how much there is to do in all, in ``unit``: "draws", "steps"."""
        with self._lock:
            self.total, self.unit = total, unit

    def step(self, count: int = 1) -> None:
        """Note that ``count`` more are done; ends this thread where the call was stopped."""
        self.check()
        with self._lock:
            self.done += count
            if self._first is None:  # what came before it held the compilation
                self._first = time.monotonic(), self.done

    def say(self, note: str) -> None:
        """Say in words where things stand; ends this thread where the call was stopped."""
        self.check()
        self.note = note

    def check(self) -> None:
        """End this thread where the call was stopped."""
        if self.stopped.is_set():
            raise Stopped

    def line(self) -> str:
        """Return one line: the share done, the time left, or since when there has been nothing to tell."""
        passed = time.monotonic() - self._began
        parts = [self.note] if self.note else []
        if self.total:
            share = min(1.0, self.done / self.total)
            parts = [f"{100 * share:3.0f}%", f"{self.done:,}/{self.total:,} {self.unit}", *parts]
        left = self._left()
        if left is not None:
            parts.append(f"{duration(left)} left")
        else:
            parts += [] if self.done or self.note else ["compiling kernels (once)"]
            parts.append(duration(passed))
        return f"{self.name}: {', '.join(parts)}"

    def _left(self) -> float | None:
        if self._first is None or not self.total or self.done <= self._first[1]:
            return None
        pace = (time.monotonic() - self._first[0]) / (self.done - self._first[1])
        return pace * max(0, self.total - self.done)

    def tick(self, last: bool = False) -> None:
        """Draw the bar anew, or write a line where it is time for one."""
        if self._live:
            self._draw(last)
            return
        if not last and time.monotonic() - self._spoke < LOG_EVERY:
            return
        self._spoke = time.monotonic()
        if self.shown:
            print(f"simcore: {self.line()}", file=self.stream, flush=True)
        else:
            LOG.log(logging.DEBUG if last else logging.INFO, self.line())

    def leave(self) -> None:
        """End the line of the bar where it stands."""
        if self._live:
            print(file=self.stream, flush=True)

    def _draw(self, last: bool) -> None:
        full = round(WIDTH * min(1.0, self.done / self.total)) if self.total else 0
        text = f"[{'#' * full}{'.' * (WIDTH - full)}] {self.line()}"
        print(f"\r{text:<{self._drawn}}", end="\n" if last else "", file=self.stream, flush=True)
        self._drawn = len(text)


_current: contextvars.ContextVar[Meter | None] = contextvars.ContextVar("simcore_meter", default=None)


def current() -> Meter:
    """Return the meter of the long call that this thread works for; one that nobody reads outside of any."""
    return _current.get() or Meter("", False)


def long_call(name: str, work: Callable[[], Result], progress: bool) -> Result:
    """Return ``work()``, computed in a thread of its own; Ctrl-C ends the wait at once.

    Parameters
    ----------
    name : str
        What the bar and the lines begin with.
    work : () -> result
        What it raises is raised here. Inside another long call it is simply called.
    progress : bool
        Whether to show a bar on standard error.

    Raises
    ------
    InputError
        If ``progress`` is neither True nor False.
    KeyboardInterrupt
        Within a second of Ctrl-C. Nothing of the call is kept.
    """
    if not isinstance(progress, bool):
        raise InputError(f"progress is {progress!r}; give True or False")
    if _current.get() is not None:
        return work()
    call = Background(work, Meter(name, progress))
    try:
        while not call.over.wait(REDRAW):
            call.meter.tick()
    except BaseException:
        call.stop()
        raise
    result = call.result()
    call.meter.tick(last=True)
    return result


class Background(Generic[Result]):
    """``work()``, begun at once in a thread of its own that has a meter; ``over`` is set when it has ended."""

    def __init__(self, work: Callable[[], Result], meter: Meter | None = None) -> None:
        self.meter = Meter("", False) if meter is None else meter
        self.over = threading.Event()
        self._ended: tuple[bool, Any] = False, None
        _Helper.begin(functools.partial(contextvars.copy_context().run, self._body, work))

    def _body(self, work: Callable[[], Result]) -> None:
        _current.set(self.meter)
        try:
            self._ended = True, work()
        except BaseException as error:  # raised again where somebody waits
            self._ended = False, error
        self.over.set()

    def result(self) -> Result:
        """Return what ``work`` returned, or raise what it raised, once it is over."""
        self.over.wait()
        good, value = self._ended
        if not good:
            raise value
        return value  # type: ignore[no-any-return]

    def stop(self) -> None:
        """Let the threads end before their next piece of work; wait for them for a moment only."""
        self.meter.stopped.set()
        self.over.wait(PARTING)
        self.meter.leave()


class _Helper:
    """A thread that takes one call after another and ends when none comes for ``IDLE`` seconds.

    To start a thread, and to fill its memory anew, costs as much as a tenth of the shortest searches.
    """

    _idle: ClassVar[list[_Helper]] = []

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        threading.Thread(target=self._serve, daemon=True, name="simcore").start()

    @classmethod
    def begin(cls, call: Callable[[], None]) -> None:
        """Let a thread that has nothing to do, or a new one, begin with a call, which raises nothing."""
        try:
            helper = cls._idle.pop()  # one operation to Python's lock: nobody else gets this one
        except IndexError:
            helper = cls()
        helper._calls.put(call)

    def _serve(self) -> None:
        while True:
            try:
                call = self._calls.get(timeout=IDLE)
            except queue.Empty:
                try:
                    self._idle.remove(self)
                except ValueError:  # just taken: its call comes
                    continue
                return
            call()
            del call
            self._idle.append(self)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_Helper._idle.clear)  # a child has none of its parent's threads


def share(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> list[Result]:
    """Return function(item) in the order of the items, computed by so many threads; the first error is raised.

    After an error, or once the call is stopped, each thread ends with the item in hand.
    """
    everything = list(items)
    meter = _current.get() or Meter("", False)
    if threads <= 1 or len(everything) <= 1:
        results = []
        for item in everything:
            meter.check()
            results.append(function(item))
        return results
    found: list[Any] = [None] * len(everything)
    errors: dict[int, BaseException] = {}
    places = iter(range(len(everything)))
    lock = threading.Lock()

    def take() -> None:
        _current.set(meter)
        while not errors:
            with lock:
                place = next(places, None)
            if place is None:
                return
            try:
                meter.check()
                found[place] = function(everything[place])
            except BaseException as error:
                errors[place] = error

    team = [threading.Thread(target=take, daemon=True) for _ in range(min(threads, len(everything)))]
    for thread in team:
        thread.start()
    for thread in team:
        thread.join()
    if errors:
        raise errors[min(errors)]
    return found


def duration(seconds: float) -> str:
    """Return seconds as people say them: 12 s, 3 min 20 s, 5 h 07 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _redraws(stream: TextIO) -> bool:
    """Whether a stream can show one line again and again: a terminal, or a notebook's."""
    try:
        return bool(stream.isatty()) or "ipykernel" in type(stream).__module__
    except (AttributeError, ValueError):
        return False
