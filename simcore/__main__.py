"""The command ``simcore``, also as ``python -m simcore``."""

from __future__ import annotations

from typing import NoReturn

from simcore.interrupt import stop_at_once


def command() -> NoReturn:
    """Run the command of this process and end it with its exit code (``simcore.cli.main``)."""
    stop_at_once()  # before anything else is loaded
    from simcore import cli

    cli.command()


if __name__ == "__main__":
    command()
