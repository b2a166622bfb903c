"""The command line: parses, calls, prints.

Nothing heavy is imported before the verb that needs it runs, so that ``simcore VERB --help`` answers at once.
Results go to files and to standard output, messages and progress to standard error. Exit codes: 0 done; 1 a check
failed or a run is incomplete; 2 bad usage or bad input; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn

from simcore import __version__
from simcore.errors import InputError, SimcoreError, unknown_name
from simcore.interrupt import INTERRUPTED, stop_at_once
from simcore.validate import MOST_THREADS

DONE, FAILED, BAD_INPUT = 0, 1, 2
MOST_SIZES = 10_000  # in one range of --n; beyond it a typing error is likelier than a wish
BAD_PATH = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; ``arguments`` default to those of the process."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (as long as the process)
    if sys.stdout is None:
        return _complain("standard output is closed; let it go to a file, or to /dev/null", BAD_INPUT)
    for stream in (sys.stdout, sys.stderr):  # a terminal without ± shows \xb1 instead, and no traceback
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _dispatch(sys.argv[1:] if arguments is None else list(arguments))
        sys.stdout.flush()
        return code
    except SimcoreError as error:
        return _complain(error, error.exit_code)
    except BrokenPipeError:
        # The reader went away. Point stdout elsewhere, or the interpreter complains once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return _complain("stopped; everything finished is kept", INTERRUPTED)
    except BAD_PATH as error:
        return _complain(f"{error.filename}: {error.strerror}; check the path", BAD_INPUT)
    except OSError as error:
        return _complain(f"{error.filename or 'input or output'}: {error.strerror or error}", FAILED)


def command() -> NoReturn:
    """Run the command of this process and end it with the exit code of ``main``.

    After Ctrl-C the process ends here: where the interrupt passed through a library's C code, Python remembers it as
    unhandled and would end by the signal instead of with 130.
    """
    stop_at_once()
    warnings.showwarning = lambda message, *_, **__: print(f"simcore: warning: {message}", file=sys.stderr)
    code = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done: nothing is left to stop
    if code == INTERRUPTED:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _complain(message: object, code: int) -> int:
    print(f"simcore: {' '.join(str(message).split())}", file=sys.stderr)
    return code


# ---- verbs -------------------------------------------------------------------------------------------------------
def _demo(given: argparse.Namespace) -> int:
    from simcore_analysis.report import demo

    with _terminate_as_interrupt():
        demo(given.out)
    return DONE


def _landscapes(given: argparse.Namespace) -> int:
    from simcore.landscapes import registry

    names = registry.names()
    if given.name is not None and given.name not in names:
        raise unknown_name("landscape", given.name, names)
    described = [registry.describe(name) for name in ([given.name] if given.name else names)]
    if given.toml and not given.name:
        raise InputError(f"--toml prints one family's configuration; name one of {', '.join(names)}")
    if given.json:
        _print_json(described[0] if given.name else described)
    elif given.toml:
        print(described[0]["example"].strip())
    elif given.name:
        print("\n".join(_landscape_page(described[0])))
    else:
        for entry in described:
            print(f"{entry['name']}: {entry['class']}({_signature(entry)})\n    {entry['law']}")
        print("\nsimcore landscapes NAME prints one law in full, with an example configuration.")
    return DONE


def _run(given: argparse.Namespace) -> int:
    from simcore.sweep import run_sweep

    with _terminate_as_interrupt():
        result = run_sweep(
            given.config,
            given.out,
            backend=given.backend,
            workers=given.workers,
            dask=given.dask,
            shard=given.shard,
            allow_version=given.allow_version,
            dry_run=given.dry_run,
            json=given.json,
        )
    return int(result)


def _verify(given: argparse.Namespace) -> int:
    from simcore.sweep import verify_run

    report = verify_run(given.run, repair=given.repair)
    if given.json:
        _print_json(report.to_dict())
    else:
        print(report.text())
    return DONE if report.ok else FAILED


def _table(given: argparse.Namespace) -> int:
    from simcore_analysis.tables import run_table

    columns = given.columns.split(",") if given.columns else None
    print(run_table(given.runs, given.format, columns).rstrip("\n"))
    return DONE


def _figure(given: argparse.Namespace) -> int:
    from simcore_analysis.figures import run_figure

    print(run_figure(given.runs, given.kind, given.out), file=sys.stderr)
    return DONE


def _report(given: argparse.Namespace) -> int:
    from simcore_analysis.page import report

    print(report(given.runs, given.out), file=sys.stderr)
    return DONE


def _reproduce(given: argparse.Namespace) -> int:
    from simcore_analysis import studies

    if given.list:
        print("\n".join(studies.listing()))
        return DONE
    if not given.studies and not given.all:
        raise InputError(f"reproduce was given no study; name some of {', '.join(studies.names())}, or give --all")
    if given.studies and given.all:
        raise InputError(f"reproduce was given --all and also {', '.join(given.studies)}; give one of the two")
    with _terminate_as_interrupt():
        done = studies.reproduce(given.studies, full=given.full, out=given.out, all=given.all)
    return DONE if done else FAILED


def _theory(given: argparse.Namespace) -> int:
    from simcore.theory.tables import JSON_KEYS, theory_laws, theory_rows

    laws = theory_laws()
    if given.landscape not in laws:
        raise unknown_name("law", given.landscape, laws)
    rows = theory_rows(given.landscape, given.n, p=given.p, m=given.m)
    if given.json:
        _print_json([{key: row[key] for key in JSON_KEYS} for row in rows])
    else:
        print(_text_table(rows))
    return DONE


def _bench(given: argparse.Namespace) -> int:
    from simcore import benchmarks
    from simcore.benchmarks import report

    saved = report.load(given.compare) if given.compare else None
    if given.save:
        report.check_destination(given.save)  # now, not after minutes of measuring
    settings = benchmarks.Settings(
        landscape=given.landscape,
        features=given.features,
        p=given.p,
        widths=given.widths,
        activation=given.activation,
        loss=given.loss,
        threads=given.threads,
        backend=given.backend,
        repeats=given.repeats,
        peers=given.peers,
    )
    measured = benchmarks.measure_all(given.cases or list(benchmarks.CASES), given.n or [None], settings)
    if given.save:
        report.save(given.save, measured)
    if given.json:
        _print_json(measured[0] if len(measured) == 1 else measured)
    else:
        print(report.markdown(measured))
    if saved is not None:
        print(report.compare(measured, saved), file=sys.stderr if given.json else sys.stdout)
    return DONE


def _info(given: argparse.Namespace) -> int:
    from simcore import info

    report = info.collect()
    if given.json:
        _print_json(report)
    else:
        print("\n".join(info.lines(report)))
        print("\nin a bug report, put below these lines:")
        print("\n".join(f"  {number}. {question}" for number, question in enumerate(info.QUESTIONS, 1)))
    return DONE


def _help(given: argparse.Namespace) -> int:
    import inspect

    import simcore

    parser, verbs = _parsers()
    topics = [name for name in simcore.__all__ if name != "__version__"]
    if given.topic is None:
        print(parser.format_help() + "\nsimcore help TOPIC explains a verb, or a name of the Python package:")
        print(", ".join(topics))
    elif given.topic in verbs:
        print(verbs[given.topic].format_help().rstrip())
        if given.topic in topics:
            print(f"\nFrom Python, simcore.{given.topic}:\n\n{inspect.getdoc(getattr(simcore, given.topic))}")
    elif given.topic in topics:
        topic = getattr(simcore, given.topic)
        signature = f"{inspect.signature(topic)}" if callable(topic) and not inspect.isclass(topic) else ""
        print(f"simcore.{given.topic}{signature}\n\n{inspect.getdoc(topic)}")
    else:
        raise unknown_name("topic", given.topic, [*verbs, *topics])
    return DONE


def _completion(given: argparse.Namespace) -> int:
    from simcore.completion import script
    from simcore.landscapes import registry

    _, verbs = _parsers()
    families = list(registry.names())
    words = {"landscapes": families, "theory": families, "help": list(verbs), "completion": ["bash", "zsh"]}
    print(script(given.shell, verbs, words).rstrip())
    return DONE


# ---- the grammar -------------------------------------------------------------------------------------------------
class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line each, with the code of bad usage."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help")


def _parsers(named: Iterable[str] | None = None) -> tuple[_Parser, dict[str, _Parser]]:
    """Return the parser of the command and those of its verbs; with ``named`` only the verbs among these words have
    their arguments, so that a help page costs what it shows."""
    parser = _Parser(prog="simcore", description="Count the critical points of random functions, honestly and fast.")
    parser.add_argument("--version", action="version", version=f"simcore {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=_Parser)
    made: dict[str, _Parser] = {}
    for name, (function, help, json, add) in _VERBS.items():
        made[name] = v = verbs.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
        v.set_defaults(function=function)
        if named is not None and name not in named:
            continue
        if json:
            v.add_argument("--json", action="store_true", help=f"print {json} as one JSON document")
        if name in ("landscapes", "run", "verify", "bench"):
            v.add_argument(
                "--plugin",
                action="append",
                default=[],
                metavar="MODULE",
                help="a module, or .py file, of your own that registers families; may be repeated",
            )
        add(v)
    return parser, made


def _add_demo(v: _Parser) -> None:
    v.add_argument(
        "--out", default="demo-out", metavar="DIR", help="where data, table and figures go (default: %(default)s)"
    )


def _add_landscapes(v: _Parser) -> None:
    v.add_argument(
        "name", nargs="?", metavar="NAME", help="one family: its law, parameters and an example configuration"
    )
    v.add_argument("--toml", action="store_true", help="print the example configuration alone, to start from")


def _add_verify(v: _Parser) -> None:
    v.add_argument("run", metavar="RUN", help="a run's directory")
    v.add_argument("--repair", action="store_true", help="write a lost or damaged run.json anew from the shards")


def _add_table(v: _Parser) -> None:
    v.add_argument("runs", nargs="+", metavar="RUN", help="a run's directory")
    v.add_argument("--format", default="markdown", choices=("markdown", "latex", "csv"), help="default: %(default)s")
    v.add_argument("--columns", metavar="A,B,...", help="these columns alone, by their CSV headings (default: all)")


def _add_figure(v: _Parser) -> None:
    v.add_argument("runs", nargs="+", metavar="RUN", help="a run's directory")
    v.add_argument(
        "--kind",
        default="ratio",
        metavar="KIND",
        help="ratio, index_cost, spectrum, outcomes, tolerance, coverage or disconnectivity (default: %(default)s)",
    )
    v.add_argument("--out", metavar="FILE", help="a file that ends in .pdf, .png or .svg (default: KIND.pdf)")


def _add_report(v: _Parser) -> None:
    v.add_argument("runs", nargs="+", metavar="RUN", help="a run's directory, or one of simcore reproduce")
    v.add_argument("--out", metavar="FILE", help="a file that ends in .html (default: report.html)")


def _add_reproduce(v: _Parser) -> None:
    v.add_argument("studies", nargs="*", metavar="STUDY", help="a study's name, see --list")
    v.add_argument("--all", action="store_true", help="every study, and one summary table")
    v.add_argument("--list", action="store_true", help="print the studies and their claims")
    v.add_argument("--full", action="store_true", help="larger sizes than fit in two minutes a study")
    v.add_argument("--out", default="results/reproduce", metavar="DIR", help="default: %(default)s")


def _add_theory(v: _Parser) -> None:
    v.add_argument(
        "landscape",
        metavar="LANDSCAPE",
        help="torus_field, gaussian_field, spherical_spin, confined_field, coin_flip or goe",
    )
    v.add_argument(
        "--n", required=True, type=_sizes, metavar="N", help="a size, a list 2,4,8 or an inclusive range 1:20"
    )
    v.add_argument("--p", type=_positive, help="degree of the spherical spin model")
    v.add_argument("--m", type=_positive_real, help="strength of the confinement; topology trivialises at 1")


def _add_help(v: _Parser) -> None:
    v.add_argument("topic", nargs="?", metavar="TOPIC", help="such as run, SphericalSpin or enumerate_critical_points")


def _add_completion(v: _Parser) -> None:
    v.add_argument("shell", metavar="SHELL", help="bash or zsh")


def _add_info(v: _Parser) -> None:
    """Add nothing: ``simcore info`` takes none of its own."""


def _add_run(v: _Parser) -> None:
    """Add the arguments of ``simcore run``."""
    v.add_argument("config", metavar="CONFIG.toml", help="the configuration of the sweep")
    v.add_argument("--out", required=True, metavar="RUN", help="the run's directory")
    v.add_argument("--backend", default="cpu", metavar="NAME", help="cpu, cuda or reference (default: %(default)s)")
    engine = v.add_mutually_exclusive_group()
    engine.add_argument(
        "--workers", type=_positive, metavar="N", help="local worker processes (default: one a processor; cuda: 2)"
    )
    engine.add_argument("--dask", metavar="ADDRESS", help="a Dask scheduler, such as tcp://host:8786, or local")
    v.add_argument(
        "--shard", type=_part, metavar="i/k", help="compute part i of k (i = 1..k); k jobs may share one RUN"
    )
    v.add_argument("--allow-version", action="store_true", help="continue a run that another version of simcore began")
    v.add_argument("--dry-run", action="store_true", help="print shards, rows, bytes, memory and time; compute nothing")


def _add_bench(v: _Parser) -> None:
    """Add the arguments of ``simcore bench``."""
    v.add_argument(
        "cases",
        nargs="*",
        metavar="CASE",
        help="newton, network, enumerate, prove, walk, normals, sincos, ldlt, theory, sweep (default: all)",
    )
    v.add_argument(
        "--landscape",
        metavar="NAME",
        help="a family (default: gaussian_field; spherical_spin for enumerate, prove and walk)",
    )
    v.add_argument("--n", type=_sizes, metavar="N", help="sizes, as in simcore theory (default: 10, or the case's own)")
    v.add_argument("--features", type=_positive, default=1024, metavar="M", help="random waves (default: %(default)s)")
    v.add_argument("--p", type=_positive, default=3, help="degree of the spherical spin model (default: %(default)s)")
    v.add_argument("--widths", type=_widths, metavar="W", help="layer widths of a network, such as 4,8,1")
    v.add_argument("--activation", default="tanh", metavar="NAME", help="of bench network (default: %(default)s)")
    v.add_argument("--loss", default="mse", metavar="NAME", help="mse or cross_entropy (default: %(default)s)")
    v.add_argument("--threads", type=_threads, default=1, metavar="N", help="default: %(default)s")
    v.add_argument("--backend", default="cpu", metavar="NAME", help="cpu, cuda or reference (default: %(default)s)")
    v.add_argument(
        "--repeats",
        type=_positive,
        default=5,
        metavar="R",
        help="timed runs, of which the median counts (default: %(default)s)",
    )
    v.add_argument("--peers", action="store_true", help="also time NumPy, SciPy, JAX, PyTorch on the same starts")
    v.add_argument("--save", metavar="FILE", help="write the measurements to a JSON file")
    v.add_argument("--compare", metavar="FILE", help="print the change against a saved file")


_VERBS: dict[str, tuple[Any, str, str | None, Any]] = {
    "demo": (
        _demo,
        "count critical points in several dimensions and compare with the exact law, in a minute",
        None,
        _add_demo,
    ),
    "landscapes": (_landscapes, "list the families of functions, or describe one", "the description", _add_landscapes),
    "run": (_run, "run a sweep, or resume one and compute only what is missing", "a summary", _add_run),
    "verify": (_verify, "read every shard of a run back and audit it", "the report", _add_verify),
    "table": (_table, "print the paper table of one or several runs", None, _add_table),
    "figure": (_figure, "draw a figure of one or several runs", None, _add_figure),
    "report": (_report, "write one self-contained page of a run, or of a directory of reproduce", None, _add_report),
    "reproduce": (_reproduce, "measure published claims again", None, _add_reproduce),
    "theory": (_theory, "print an exact law, without sampling", "one object per (n, index)", _add_theory),
    "bench": (
        _bench,
        "measure the kernels against the machine and against other libraries",
        "the measurements",
        _add_bench,
    ),
    "help": (_help, "explain a verb, or a name of the Python package", None, _add_help),
    "completion": (_completion, "print a script that completes the command line in a shell", None, _add_completion),
    "info": (_info, "print versions, processor, threads, GPU and compile cache", "the report", _add_info),
}
"""A verb: what runs it, what it is for, what ``--json`` prints (None without), what adds its other arguments."""


def _dispatch(arguments: list[str]) -> int:
    parser, verbs = _parsers(arguments)
    if not arguments:
        raise InputError(f"no verb was given; give one of {', '.join(verbs)}; see simcore --help")
    if not arguments[0].startswith("-") and arguments[0] not in verbs:
        raise unknown_name("verb", arguments[0], verbs)
    given, rest = parser.parse_known_args(arguments)
    if rest:
        options = [option for action in verbs[given.verb]._actions for option in action.option_strings]
        if rest[0].startswith("-"):
            raise unknown_name(f"option of simcore {given.verb}", rest[0], options)
        raise InputError(f"simcore {given.verb} takes no further argument {rest[0]!r}; see simcore {given.verb} --help")
    if vars(given).get("plugin"):
        from simcore import plugins

        plugins.load(given.plugin)
    return int(given.function(given))


@contextlib.contextmanager
def _terminate_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end a verb as Ctrl-C does: what is finished is kept, exit code 130. Not outside the main thread."""
    try:
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# ---- values ------------------------------------------------------------------------------------------------------
def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _threads(text: str) -> int:
    if _positive(text) > MOST_THREADS:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is more than {MOST_THREADS} threads")
    return int(text)


def _positive_real(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number, such as 0.5")
    return value


def _sizes(text: str) -> list[int]:
    """Return the sizes that a text such as ``3``, ``2,4,8`` or ``1:20`` (inclusive) names, each once."""
    sizes: dict[int, None] = {}
    for part in text.split(","):
        if part.count(":") > 1:
            raise argparse.ArgumentTypeError(f"{part!r} has two colons; give first:last, such as 1:20, or a list 1,3,5")
        low, colon, high = part.partition(":")
        first = _positive(low)
        last = _positive(high) if colon else first
        if last < first:
            raise argparse.ArgumentTypeError(f"the range {part!r} ends before it begins; write {last}:{first}")
        if last - first >= MOST_SIZES:
            raise argparse.ArgumentTypeError(f"the range {part!r} has more than {MOST_SIZES} sizes; give a shorter one")
        sizes.update(dict.fromkeys(range(first, last + 1)))
    return list(sizes)


def _widths(text: str) -> tuple[int, ...]:
    widths = tuple(_positive(part) for part in text.split(","))
    if len(widths) < 2:
        raise argparse.ArgumentTypeError(f"{text!r} has one layer; give at least inputs and outputs, such as 4,8,1")
    return widths


def _part(text: str) -> tuple[int, int]:
    left, slash, right = text.partition("/")
    if not slash or not left.isdecimal() or not right.isdecimal() or not 1 <= int(left) <= int(right):
        raise argparse.ArgumentTypeError(f"{text!r} is not i/k with 1 <= i <= k, such as 2/8")
    return int(left), int(right)


# ---- printing ----------------------------------------------------------------------------------------------------
def _print_json(document: Any) -> None:
    import json

    print(json.dumps(_without_nan(document), indent=2, allow_nan=False))


def _without_nan(value: Any) -> Any:
    """Return the same document with null for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: _without_nan(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(entry) for entry in value]
    if isinstance(value, float):
        return float(value) if value - value == 0 else None
    return value


def _text_table(rows: list[dict[str, Any]]) -> str:
    """Return rows as aligned text under their keys; numbers to seven digits."""
    heads = list(rows[0]) if rows else []
    cells = [heads, *([_cell(row[head]) for head in heads] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(heads))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def _signature(entry: dict[str, Any]) -> str:
    """Return the parameters of a described landscape as in a call, with the defaults of those that have one."""
    return ", ".join(
        f"{given['name']}={given['default']!r}" if "default" in given else given["name"]
        for given in entry["parameters"]
    )


def _landscape_page(entry: dict[str, Any]) -> list[str]:
    heading = f"{entry['name']}: {entry['class']}({_signature(entry)})"
    laws = f"start laws: {', '.join(entry['start_laws'])}; the first is the default"
    return [heading, "", entry["about"].strip(), "", laws, "", "example configuration:", "", entry["example"].strip()]


if __name__ == "__main__":
    command()
