"""``python -m simcore``: the command line, where no script of that name is on the path."""

from __future__ import annotations

from simcore.cli import command

if __name__ == "__main__":
    command()
