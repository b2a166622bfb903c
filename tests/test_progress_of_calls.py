"""Long calls: the bar, the logger, threads that share work, and an end within a second of Ctrl-C."""

import io
import signal
import subprocess
import sys
import threading
import time

import pytest

import simcore
from simcore import progress as module
from simcore.progress import Meter, current, duration, long_call, share

LONG = {
    "find": "simcore.find_critical_points(simcore.GaussianField(n=60), draws=2, starts=4000, seed=1, threads=2)",
    "trajectory": "simcore.trajectory(simcore.SphericalSpin(n=12), method='gradient_descent', step_size=0.001, "
    "steps=10**6, every=10**5, starts=64, seed=1)",
    "flow": "simcore.trajectory(simcore.SphericalSpin(n=12), method='gradient_flow', step_size=100.0, steps=1000, "
    "starts=64, seed=1)",
    "enumerate": "simcore.enumerate_critical_points(simcore.TorusField(n=7), seed=1, starts=10**6)",
    "counts": "simcore.estimate_counts(simcore.SphericalSpin(n=20), seed=1, moves=10**7)",
    "run": "simcore.run({'seed': 1, 'landscape': [{'name': 'torus_field', 'n': 7}], 'search': {'method': 'enumerate', "
    "'draws': 1000}}, out=sys.argv[1], workers=WORKERS)",
}
CASES = [
    pytest.param("find", LONG["find"], id="find"),
    pytest.param("trajectory", LONG["trajectory"], id="trajectory"),
    *[pytest.param(name, LONG[name], id=name, marks=pytest.mark.long) for name in ("flow", "enumerate", "counts")],
    *[
        pytest.param("run", LONG["run"].replace("WORKERS", workers), id=f"run-{workers}", marks=pytest.mark.long)
        for workers in ("0", "2")
    ],
]
SCRIPT = """
import logging, sys, threading, time
import simcore
def ready():
    while not any(thread.name.startswith("simcore") for thread in threading.enumerate()):
        time.sleep(0.05)
    time.sleep(1.0)
    print("computing", flush=True)
threading.Thread(target=ready, daemon=True).start()
try:
    {call}
except KeyboardInterrupt:
    print("stopped", flush=True)
"""


@pytest.mark.parametrize(("name", "call"), CASES)
def test_ctrl_c_ends_call_and_process_within_a_second(name, call, tmp_path):
    """Measured from the signal to the end of the process, compiled kernels in flight included."""
    script = SCRIPT.format(call=call)
    command = [sys.executable, "-c", script, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "computing\n"
            began = time.monotonic()
            child.send_signal(signal.SIGINT)
            assert child.stdout.readline() == "stopped\n"
            answered = time.monotonic() - began
            code = child.wait(timeout=20)
            ended = time.monotonic() - began
        finally:
            child.kill()
    assert code == 0
    assert answered < 1.0, f"{name} came back after {answered:.2f} s"
    assert ended < 4.0, f"the process ended after {ended:.2f} s"  # the interpreter's own end on a busy machine included


def test_a_bar_on_standard_error_and_nothing_without(capfd):
    field = simcore.TorusField(n=2)
    simcore.find_critical_points(field, draws=2, starts=24, seed=1)
    assert capfd.readouterr().err == ""
    simcore.find_critical_points(field, draws=2, starts=24, seed=1, progress=True)
    written = capfd.readouterr()
    assert written.out == "" and "find_critical_points: 100%, 48/48 starts" in written.err


@pytest.mark.parametrize(
    "call",
    [
        lambda: simcore.enumerate_critical_points(simcore.TorusField(n=2), seed=1, prove=False, progress=True),
        lambda: simcore.trajectory(
            simcore.TorusField(n=2), method="gradient_descent", step_size=0.1, steps=3, starts=2, seed=1, progress=True
        ),
        lambda: simcore.estimate_counts(simcore.TorusField(n=2), seed=1, moves=160, progress=True),
        lambda: simcore.ball_critical_points(simcore.GaussianField(n=1), seed=1, progress=True),
    ],
    ids=["enumerate", "trajectory", "counts", "ball"],
)
def test_every_long_call_has_one(call, capfd):
    call()
    assert capfd.readouterr().err.startswith("simcore: ")


def test_anything_but_true_and_false_is_refused():
    with pytest.raises(simcore.InputError, match="progress is 1; give True or False"):
        simcore.find_critical_points(simcore.TorusField(n=2), progress=1)  # type: ignore[arg-type]


def test_the_logger_is_told_where_no_bar_is_shown(monkeypatch, caplog):
    monkeypatch.setattr(module, "LOG_EVERY", 0.0)

    def work():
        current().plan(4, "draws")
        current().step(2)
        time.sleep(0.5)

    with caplog.at_level("INFO", logger="simcore"):
        long_call("a call", work, False)
    assert caplog.messages[0].startswith("a call:  50%, 2/4 draws")


def test_the_time_left_begins_after_the_first_step(monkeypatch):
    """The first of ten draws took 60 s with its compilation, the next two 1 s each: 7 s are left, not 145."""
    clock = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    meter = Meter("count", True, io.StringIO())
    meter.plan(10, "draws")
    clock[0] = 8.0
    assert meter.line() == "count:   0%, 0/10 draws, compiling kernels (once), 8 s"
    clock[0] = 60.0
    meter.step()
    for _ in range(2):
        clock[0] += 1.0
        meter.step()
    assert meter.line() == "count:  30%, 3/10 draws, 7 s left"


def test_a_terminal_shows_one_line_again_and_again():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    meter = Meter("count", True, stream)
    meter.plan(2, "draws")
    meter.step()
    meter.tick()
    meter.step()
    meter.tick(last=True)
    first, second = stream.getvalue().split("\r")[1:]
    assert first.startswith("[############............] count:  50%, 1/2 draws")
    assert second.startswith("[########################] count: 100%, 2/2 draws") and second.endswith("\n")


def test_items_are_shared_in_order_and_the_first_error_is_raised():
    assert share(lambda i: i * i, range(20), 3) == [i * i for i in range(20)]

    def bad(i):
        if i >= 5:
            raise ValueError(i)
        return i

    with pytest.raises(ValueError, match="5"):
        share(bad, range(20), 1)
    with pytest.raises(ValueError, match=r"5|6|7"):  # of those that were begun, the first
        share(bad, range(20), 3)


def test_an_error_of_the_work_is_raised_where_the_call_waits():
    with pytest.raises(ZeroDivisionError):
        long_call("a call", lambda: 1 / 0, False)


def test_threads_of_a_stopped_call_end_before_their_next_piece():
    begun, go, done = threading.Event(), threading.Event(), []

    def piece(i):
        begun.set()
        go.wait(10)
        done.append(i)

    call = module.Background(lambda: share(piece, range(10), 2))
    assert begun.wait(10)
    call.stop()
    go.set()
    assert call.over.wait(10)
    assert len(done) <= 2
    with pytest.raises(module.Stopped):
        call.result()


def test_one_thread_serves_successive_calls_and_ends_when_none_comes(monkeypatch):
    monkeypatch.setattr(module, "IDLE", 0.3)
    monkeypatch.setattr(module._Helper, "_idle", [])

    def who():
        return threading.current_thread()

    first = long_call("a call", who, False)
    while not module._Helper._idle:
        time.sleep(0.01)
    assert long_call("a call", who, False) is first is not threading.current_thread()
    first.join(10)
    assert not first.is_alive() and not module._Helper._idle


def test_calls_side_by_side_have_threads_of_their_own():
    go = threading.Event()
    calls = [module.Background(lambda: (go.wait(10), threading.current_thread())[1]) for _ in range(3)]
    go.set()
    assert len({call.result() for call in calls}) == 3


def test_durations_read_as_people_say_them():
    assert [duration(s) for s in (0.4, 59.4, 60, 200, 3600, 18_420)] == [
        "0 s", "59 s", "1 min 00 s", "3 min 20 s", "1 h 00 min", "5 h 07 min",
    ]  # fmt: skip
