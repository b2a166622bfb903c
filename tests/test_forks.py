"""A process may fork while another of its threads compiles: the child can compile and search."""

import os
import subprocess
import sys

import pytest
from places import ROOT

SCRIPT = """
import os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore")
import simcore
from simcore.compilation import jit
from numba.core.compiler_lock import global_compiler_lock
import simcore.search.target

def compile_for_a_second(taken):
    with global_compiler_lock:  # as a compilation does
        taken.set()
        time.sleep(1.0)

codes = []
for number in range(3):
    taken = threading.Event()
    thread = threading.Thread(target=compile_for_a_second, args=(taken,))
    thread.start()
    taken.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # a child that hangs dies by the signal

        @jit(cache=False)
        def doubled(x):
            return 2.0 * x

        os._exit(0 if doubled(1.5) == 3.0 else 1)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    thread.join()
print(codes)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_children_forked_during_a_compilation_can_compile():
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[0, 0, 0]"
