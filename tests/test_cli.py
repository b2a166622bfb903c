"""The command line: exit codes, one-line complaints, JSON on standard output."""

import json
import os
import subprocess
import sys

import pytest
from places import ROOT

from simcore.cli import main
from simcore.errors import RunError


def call(capsys, *arguments):
    """Run a command in this process; return its code, standard output and standard error."""
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((), ["demo", "landscapes", "run"]),
        (("runn",), ["'runn'", "did you mean 'run'"]),
        (("run",), ["CONFIG.toml", "--out"]),
        (("run", "a.toml", "--out", "b", "--worker", "2"), ["'--worker'", "--workers"]),
        (("run", "a.toml", "--out", "b", "--workers", "0"), ["'0'", "at least 1"]),
        (("run", "a.toml", "--out", "b", "--workers", "2", "--dask", "tcp://h:1"), ["--dask", "--workers"]),
        (("run", "a.toml", "--out", "b", "--shard", "0/4"), ["'0/4'", "i/k"]),
        (("run", "a.toml", "--out", "b", "--shard", "5/4"), ["'5/4'", "i/k"]),
        (("table", "a", "--format", "html"), ["'html'", "markdown", "latex", "csv"]),
        (("theory", "goe", "--n", "4:2"), ["'4:2'", "2:4"]),
        (("theory", "goe", "--n", "1:1000000000"), ["10000"]),
        (("theory", "goe", "--n", "0"), ["'0'", "at least 1"]),
        (("theory", "goe", "--n", "two"), ["'two'"]),
        (("theory", "confined_field", "--n", "2", "--m", "nan"), ["'nan'", "positive"]),
        (("bench", "--widths", "4"), ["'4'", "4,8,1"]),
        (("info", "more"), ["'more'"]),
    ],
)
def test_bad_usage_is_one_line_that_says_what_is_allowed(capsys, arguments, words):
    code, out, err = call(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("simcore: ") and err.count("\n") == 1
    for word in words:
        assert word in err


def test_an_unknown_landscape_and_law_are_answered_with_the_choices(capsys):
    for arguments in (("landscapes", "torus_feild"), ("theory", "torus_feild", "--n", "2")):
        code, out, err = call(capsys, *arguments)
        assert (code, out) == (2, "")
        assert "did you mean 'torus_field'" in err and "spherical_spin" in err


def test_a_missing_configuration_is_bad_input(capsys, tmp_path):
    code, _, err = call(capsys, "run", str(tmp_path / "none.toml"), "--out", str(tmp_path / "run"))
    assert code == 2 and err.count("\n") == 1 and "none.toml" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "error, code", [(RunError("a shard\nis torn"), 1), (KeyboardInterrupt(), 130), (OSError(28, "No space left"), 1)]
)
def test_exit_codes_of_what_goes_wrong_inside_a_verb(capsys, monkeypatch, error, code):
    def fail():
        raise error

    monkeypatch.setattr("simcore.info.collect", fail)
    given, out, err = call(capsys, "info")
    assert (given, out) == (code, "")
    assert err.startswith("simcore: ") and err.count("\n") == 1


def test_an_unforeseen_error_keeps_its_traceback(monkeypatch):
    def fail():
        raise ZeroDivisionError

    monkeypatch.setattr("simcore.info.collect", fail)
    with pytest.raises(ZeroDivisionError):
        main(["info"])


@pytest.mark.parametrize(
    "text, sizes", [("3", [3]), ("1:4", [1, 2, 3, 4]), ("2,4,8", [2, 4, 8]), ("1:3,2,9", [1, 2, 3, 9])]
)
def test_ranges_are_inclusive_and_lists_keep_their_order(capsys, text, sizes):
    code, out, _ = call(capsys, "theory", "coin_flip", "--n", text, "--json")
    rows = json.loads(out)
    assert code == 0
    assert list(dict.fromkeys(row["n"] for row in rows)) == sizes
    assert len(rows) == sum(n + 1 for n in sizes)


def test_theory_in_json_has_the_promised_fields_and_null_where_there_are_no_saddles(capsys):
    code, out, err = call(capsys, "theory", "torus_field", "--n", "1:3", "--json")
    rows = json.loads(out)
    fields = ["n", "morse_index", "fraction", "mean_count", "mean_cost", "sd_cost", "log_saddles_over_minima"]
    assert code == 0 and err == ""
    assert all(list(row) == fields for row in rows)
    assert [row["log_saddles_over_minima"] for row in rows if row["n"] == 1] == [None, None]
    assert rows[2]["log_saddles_over_minima"] == pytest.approx(0.6931471805599453)  # two saddles a minimum in the plane


def test_theory_as_text_has_a_line_for_each_index(capsys):
    code, out, _ = call(capsys, "theory", "spherical_spin", "--n", "4", "--p", "3")
    lines = out.splitlines()
    assert code == 0 and len(lines) == 1 + 4
    assert lines[0].split()[:2] == ["n", "morse_index"]


def test_landscapes_lists_every_family_and_its_example_is_a_valid_configuration(capsys, tmp_path):
    import tomllib

    code, out, _ = call(capsys, "landscapes", "--json")
    described = json.loads(out)
    names = {entry["name"] for entry in described}
    assert code == 0 and {"torus_field", "gaussian_field", "spherical_spin"} <= names
    for entry in described:
        code, page, _ = call(capsys, "landscapes", entry["name"])
        assert code == 0 and page.startswith(entry["name"])
        example = page.partition("example configuration:")[2]
        assert call(capsys, "landscapes", entry["name"], "--toml")[:2] == (0, example.strip() + "\n")
        assert entry["name"] in [table["name"] for table in tomllib.loads(example)["landscape"]]


def test_info_reports_what_a_bug_report_needs(capsys):
    import numba

    import simcore

    code, out, err = call(capsys, "info", "--json")
    report = json.loads(out)
    assert code == 0 and err == ""
    assert report["versions"]["simcore"] == simcore.__version__
    assert report["versions"]["numba"] == numba.__version__
    assert report["threads"]["numba"] == numba.config.NUMBA_NUM_THREADS
    assert report["processor"]["tile"]
    assert report["gpu"]["available"] or report["gpu"]["remedy"]
    code, text, _ = call(capsys, "info")
    assert code == 0 and "numba" in text and report["cache"]["path"] in text


def test_a_reader_that_goes_away_gets_no_traceback():
    command = f"{sys.executable} -m simcore.cli theory coin_flip --n 1:60 | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=dict(os.environ), check=True)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_the_version_is_printed(capsys):
    import simcore

    assert call(capsys, "--version")[:2] == (0, f"simcore {simcore.__version__}\n")


def test_a_terminal_that_knows_only_ascii_gets_no_traceback():
    """The laws are described with characters that ASCII lacks, or one day may be; tables always are."""
    code = "import sys; from simcore import cli; shown = lambda given: print('1 \\xb1 2') or 0; "
    code += "cli._VERBS['info'] = (shown, *cli._VERBS['info'][1:]); "
    code += "sys.exit(cli.main(['info']))"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 \\xb1 2\n", "")


def test_the_demo_overwrites_nothing_that_is_not_its_own(capsys, tmp_path):
    (tmp_path / "table.csv").write_text("mine")
    code, _, err = call(capsys, "demo", "--out", str(tmp_path))
    assert code == 2 and "table.csv" in err and err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_ctrl_c_inside_a_library_ends_the_process_with_130(tmp_path):
    """Python marks an interrupt that passed through C code as unhandled, and ``python -m`` would end by the signal."""
    (tmp_path / "struck.py").write_text(
        "import ctypes, sys\nfrom simcore import cli\n"
        "def verb(given):\n"
        "    ctypes.pythonapi.PyRun_SimpleString(b'raise KeyboardInterrupt')\n"
        "    raise KeyboardInterrupt\n"
        "cli._VERBS['info'] = (verb, *cli._VERBS['info'][1:])\nsys.argv = ['simcore', 'info']\ncli.command()\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run([sys.executable, "-m", "struck"], capture_output=True, text=True, env=environment)
    assert done.returncode == 130 and done.stderr.endswith("simcore: stopped; everything finished is kept\n")


def test_python_m_simcore_is_the_same_command(tmp_path):
    for arguments, code, words in ((["--version"], 0, "simcore "), (["theroy"], 2, "did you mean 'theory'?")):
        done = subprocess.run(
            [sys.executable, "-m", "simcore", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == code and words in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
