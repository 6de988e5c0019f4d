"""The command ``completion``: a script by which a shell completes commands, options and their values.

The script is made from the parsers of all commands, so nothing is listed twice; it starts no Python when it completes.
"""

from __future__ import annotations

import argparse
import os
from argparse import Namespace
from collections.abc import Iterator, Sequence

from pytorch_grad_cam.cli.arguments import CommandParser, parser_of, program_name
from pytorch_grad_cam.cli.commands import COMMANDS, Command
from pytorch_grad_cam.cli.completion_scripts import FILES, FOLDERS, MANY, NOTHING, SCRIPTS, Offer
from pytorch_grad_cam.cli.method_names import ALL
from pytorch_grad_cam.common.drawing_names import COLORMAPS, SIGNED_COLORMAPS
from pytorch_grad_cam.methods import METHODS

# What an option takes whose parser checks it by a function, by the name that the option's value is kept under.
_WORDS = {
    "method": (*METHODS, ALL),
    "colormap": (*COLORMAPS, *SIGNED_COLORMAPS),
    "device": ("cpu", "cuda", "mps"),
}
_FILES = ("FILE", "PICTURE", "CSV", "SOURCE", "LABELS")  # and networks, which may be files
_FOLDERS = ("FOLDER", "RUN")
_EXAMPLES = ("bash", "zsh", "fish > ~/.config/fish/completions/cam.fish")
_EPILOG = """bash and zsh read it in each shell, or in the start file of all (~/.bashrc, ~/.zshrc behind compinit):
  source <(%(prog)s bash)"""


def parse(program: str, arguments: Sequence[str]) -> Namespace:
    """Read the shell's name; on a mistake, print one line and exit with 2, as argparse does."""
    parser = CommandParser(_EXAMPLES, prog=program, description=COMMANDS["completion"].description, epilog=_EPILOG)
    parser.add_argument("shell", choices=list(SCRIPTS), help="whose script to print")
    parser.add_argument("--debug", action="store_true", help="show the full traceback of an error")
    return parser.parse_args(arguments)


def run(options: Namespace) -> int:
    """Print the script."""
    commands = {command.name: command.summary for command in COMMANDS.values()}
    offers = [offer for command in COMMANDS.values() for offer in _offers(command)]
    print(SCRIPTS[options.shell](_typed_name(), commands, offers), end="")
    return 0


def _typed_name() -> str:
    """Return the word that is completed: the program's name, or that of the installed one."""
    name = os.path.basename(program_name())
    return name if name.isidentifier() else "cam"


def _offers(command: Command) -> Iterator[Offer]:
    """Yield what can be typed behind a command, and behind it and each of its second words."""
    for words in ((), *((word,) for word in command.second_words)):
        parser = parser_of(lambda words=words: command.parse(_typed_name(), words))  # type: ignore[misc]
        verb = " ".join((command.name, *words))
        if command.second_words and not words:
            yield Offer(verb, (), 1, command.second_words)
        formatter = parser._get_formatter()
        for action in parser._actions:
            if action.help is not argparse.SUPPRESS:
                text = formatter._expand_help(action) if action.help else ""
                yield Offer(verb, tuple(action.option_strings), *_value(action), text)


def _value(action: argparse.Action) -> tuple[int, tuple[str, ...] | str]:
    """Return how many values an option takes, and which."""
    if action.nargs is None:
        count = 1
    elif isinstance(action.nargs, int):
        count = action.nargs
    else:
        count = 1 if action.nargs == argparse.OPTIONAL else MANY
    if action.choices is not None:
        return count, tuple(map(str, action.choices))
    if action.dest in _WORDS:
        return count, _WORDS[action.dest]
    name = action.metavar if isinstance(action.metavar, str) else ""
    if name in _FOLDERS:
        return count, FOLDERS
    return count, FILES if name in _FILES or action.dest == "model" else NOTHING
