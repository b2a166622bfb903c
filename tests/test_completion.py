"""The completion script, run in a real bash where there is one; `simcore help`."""

import shutil
import subprocess

import pytest

import simcore
from simcore.cli import main


def complete(script, *words):
    """Return what bash offers for the last of these words."""
    line = " ".join(f"'{word}'" for word in words)
    ask = f'{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _simcore; echo "${{COMPREPLY[@]}}"'
    return subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_verbs_options_and_names_are_completed(capsys):
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    assert complete(script, "simcore", "rep") == ["report", "reproduce"]
    assert complete(script, "simcore", "run", "--wor") == ["--workers"]
    assert complete(script, "simcore", "landscapes", "spheri") == ["spherical_spin"]
    assert complete(script, "simcore", "nothing", "--wor") == []


def test_another_shell_is_refused(capsys):
    assert main(["completion", "fish"]) == 2
    assert "choose from bash, zsh" in capsys.readouterr().err


@pytest.mark.parametrize("topic", ["run", "positions", "SphericalSpin", "plot"])
def test_help_explains_verbs_and_names(topic, capsys):
    assert main(["help", topic]) == 0
    assert topic in capsys.readouterr().out


def test_help_of_what_is_not_there_names_what_is(capsys):
    assert main(["help", "enumerate_critical_pionts"]) == 2
    assert "did you mean 'enumerate_critical_points'" in capsys.readouterr().err
    assert main(["help"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in simcore.__all__ if name != "__version__")
