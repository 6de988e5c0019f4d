"""The command ``methods`` has nothing to choose. Importing this costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytorch_grad_cam.cli.commands import COMMANDS
from pytorch_grad_cam.cli.parser import CommandParser


@dataclass(frozen=True)
class MethodsOptions:
    """No choice at all."""

    debug: bool = False


def parse(program: str, arguments: Sequence[str]) -> MethodsOptions:
    """Refuse all arguments but --help."""
    CommandParser(prog=program, description=COMMANDS["methods"].description).parse_args(arguments)
    return MethodsOptions()
