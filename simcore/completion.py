"""Completion of the command line in a shell: a static script, made from the parser."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from simcore.errors import unknown_name

SHELLS = ("bash", "zsh")

BASH = """# simcore in {shell}: eval "$(simcore completion {shell})"
_simcore() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} options="" names=""
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "{verbs}" -- "$word"))
        return
    fi
    case ${{COMP_WORDS[1]}} in
{cases}
    esac
    case $word in
        -*) COMPREPLY=($(compgen -W "$options" -- "$word")) ;;
        *) COMPREPLY=($(compgen -W "$names" -- "$word") $(compgen -f -- "$word")) ;;
    esac
}}
complete -o filenames -F _simcore simcore
"""


def script(shell: str, verbs: Mapping[str, argparse.ArgumentParser], words: Mapping[str, list[str]]) -> str:
    """Return the script that completes verbs, their options, and the ``words`` that a verb takes.

    Parameters
    ----------
    shell : "bash" or "zsh"
    verbs : the parsers of all verbs.
    words : names that may follow a verb: of landscapes, of topics.

    Raises
    ------
    InputError
        For another shell.
    """
    if shell not in SHELLS:
        raise unknown_name("shell", shell, SHELLS)
    cases = []
    for verb, parser in verbs.items():
        options = [option for action in parser._actions for option in action.option_strings if option != "-h"]
        names = f'; names="{" ".join(words[verb])}"' if verb in words else ""
        cases.append(f'        {verb}) options="{" ".join(options)}"{names} ;;')
    head = "" if shell == "bash" else "autoload -U +X bashcompinit && bashcompinit\n"
    return head + BASH.format(shell=shell, verbs=" ".join(verbs), cases="\n".join(cases))
