"""What a sweep says about itself: shards, rate and the time that is left."""

import io

from simcore.sweep import progress as module
from simcore.sweep.progress import Progress


def test_the_time_left_is_that_of_the_work_left_after_compilation(monkeypatch):
    """The first shard took 30 s, most of it compilation; the second, of 30, took 6 s: the 20 that are left take 4 s."""
    clock = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    shown = Progress("points", io.StringIO())
    shown.start(0, 8, 60.0)
    clock[0] += 4.0
    assert shown.line() == "0/8 shards, starting workers and compiling kernels (once), 4 s"
    clock[0] += 26.0
    shown.done(600, 10.0)
    assert shown.line() == "1/8 shards, 600 points, in the first shards"
    clock[0] += 6.0
    shown.done(600, 30.0)
    assert shown.line() == "2/8 shards, 100 points/s, 4 s left"
    shown.extend(16, 120.0)  # a look asked for as much again
    assert shown.line() == "2/16 shards, 100 points/s, 16 s left"


def test_a_resumed_run_does_not_begin_at_nothing(monkeypatch):
    """60 of 100 are there: the bar begins at 60 %."""
    shown = Progress("points", io.StringIO())
    shown.start(6, 4, 40.0, 60.0)
    updates = []
    shown._live = type("Bar", (), {"update": lambda self, task, **given: updates.append(given)})()
    shown.tick()
    assert (updates[0]["completed"], updates[0]["total"]) == (60.0, 100.0)
    assert updates[0]["text"].startswith("6/10 shards")


def test_a_quiet_run_speaks_to_the_logger(caplog):
    stream = io.StringIO()
    with caplog.at_level("INFO", logger="simcore"):
        Progress("points", stream, quiet=True).start(0, 3, 1.0)
    assert caplog.messages == ["3 shards to compute"] and not stream.getvalue()


def test_a_time_left_that_says_nothing_is_not_shown(monkeypatch):
    """A run sat at "1 s left" for ever: its last worker was stopped, or its last shard never ended."""
    clock = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    shown = Progress("points", io.StringIO())
    shown.start(0, 9, 9.0)
    for weight in (1.0, 7.0):
        clock[0] += 70.0
        shown.done(600, weight)
    assert shown.line().endswith(", 10 s left")
    shown.stopped = 1
    assert shown.line().endswith(", 1 worker process stopped")
    shown.stopped = 0
    clock[0] += 60.0
    assert shown.line().endswith("s left")
    clock[0] += 30.0
    assert shown.line().endswith(", no shard finished for 1 min 30 s")


def test_lines_come_seldom_and_only_where_something_happened(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    stream = io.StringIO()
    shown = Progress("starts", stream)
    shown.start(3, 5, 5.0)
    assert stream.getvalue() == "simcore: resuming: 3 shards are there, 5 to compute\n"
    for seconds, weight, lines in ((5.0, 1.0, 1), (6.0, 1.0, 2), (9.0, 0.0, 2), (62.0, 0.0, 3)):
        clock[0] += seconds
        shown.done(1, weight) if weight else shown.tick()
        assert len(stream.getvalue().splitlines()) == lines
