"""The simulator's barriers and shared arrays: what the other tests of this folder stand on."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from numba import int64

from simcore.backends.cuda import device, simulator
from simcore.backends.cuda.device import cuda

THREADS = (4, 2)


@device.kernel
def sums(rounds, out):
    own = cuda.shared.array(8, int64)
    t = cuda.threadIdx.x + 4 * cuda.threadIdx.y
    own[t] = t
    for _ in range(rounds):
        cuda.syncthreads()
        following = own[(t + 1) % 8]
        cuda.syncthreads()
        own[t] = following + 1
    out[t] = own[t]


@device.kernel
def leaving_early(out):
    t = cuda.threadIdx.x + 4 * cuda.threadIdx.y
    if t >= 3:
        return
    cuda.syncthreads()
    out[t] = 1


@device.kernel
def failing(out):
    if cuda.threadIdx.x == 1:
        raise ZeroDivisionError("the second thread")
    cuda.syncthreads()


def test_a_block_shares_its_arrays_and_waits_at_its_barriers() -> None:
    out = device.empty(8, np.int64)
    device.launch(sums, 3, THREADS, (5, out))
    np.testing.assert_array_equal(out, [(t + 5) % 8 + 5 for t in range(8)])


def test_threads_that_ended_are_not_waited_for() -> None:
    out = device.empty(8, np.int64)
    device.launch(leaving_early, 1, THREADS, (out,))
    assert list(out) == [1, 1, 1, 0, 0, 0, 0, 0]


def test_a_thread_that_fails_ends_the_kernel_with_its_error() -> None:
    with pytest.raises(ZeroDivisionError, match="the second thread"):
        device.launch(failing, 1, THREADS, (device.empty(8, np.int64),))


def test_a_barrier_that_one_thread_never_reaches_is_an_error() -> None:
    barrier = simulator.Barrier(2, patience=0.05)
    with pytest.raises(simulator.BarrierError, match="never came"):
        barrier.wait()


def test_a_shared_array_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = simulator.kernelapi.FakeCUDAShared(0)
    met = threading.Barrier(2)
    plain = np.empty

    def together(*arguments: object) -> object:  # both threads are past the look-up before either stores its array
        met.wait(5)
        return plain(*arguments)

    monkeypatch.setattr(simulator.np, "empty", together)
    arrays: list[object] = []
    threads = [threading.Thread(target=lambda: arrays.append(shared.array(3, int64))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert arrays[0] is arrays[1]
