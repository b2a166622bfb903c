"""A user's own ``analysis.py`` or ``analysis/`` beside a notebook: theirs is imported as theirs, and breaks nothing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

THEIRS = {"analysis.py": "MINE = 'a module'\n", "analysis/__init__.py": "MINE = 'a package'\n"}


@pytest.mark.parametrize("name", THEIRS)
def test_a_users_analysis_stays_the_users(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(THEIRS[name])
    code = (
        "import analysis, simcore, simcore.plot\n"
        "from simcore.cli import main\n"
        "assert main(['reproduce', '--list']) == 0\n"
        "import simcore_analysis.tables\n"
        "assert analysis.MINE and 'simcore' not in (analysis.__file__ or '')[-20:]\n"
        "print(analysis.MINE)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == THEIRS[name].split("'")[1]
    command = [sys.executable, "-m", "simcore", "reproduce", "--list"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, env=dict(os.environ))
    assert done.returncode == 0 and done.stdout, done.stderr
