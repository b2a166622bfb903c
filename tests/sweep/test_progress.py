"""What a sweep says about itself: shards, rate and the time that is left."""

import io

from simcore.sweep import progress as module
from simcore.sweep.progress import Progress, duration


def test_the_time_left_is_that_of_the_work_left(monkeypatch):
    """A quarter of the weight took 30 s: three quarters are left, 90 s; not the 120 s of the whole."""
    clock = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    shown = Progress("points", io.StringIO())
    shown.start(0, 8, 40.0)
    assert "compiling or in the first shards" in shown.line()
    clock[0] += 30.0
    shown.done(600, 10.0)
    assert shown.line() == "1/8 shards, 20 points/s, 1 min 30 s left"
    clock[0] += 30.0
    shown.done(600, 30.0)
    assert shown.line() == "2/8 shards, 20 points/s, 0 s left"
    shown.extend(16, 80.0)  # a look asked for as much again
    assert shown.line() == "2/16 shards, 20 points/s, 1 min 00 s left"


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


def test_durations_read_as_people_say_them():
    assert [duration(s) for s in (0.4, 59.4, 60, 200, 3600, 18_420)] == [
        "0 s", "59 s", "1 min 00 s", "3 min 20 s", "1 h 00 min", "5 h 07 min",
    ]  # fmt: skip
