"""The parser that all commands use: it says what is wrong in one line."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
from typing import NoReturn


class CommandParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, with the closest option for one that does not exist."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and exit with 2."""
        unknown = re.match(r"unrecognized arguments: (--[^\s=]+)", message)
        close = difflib.get_close_matches(unknown[1], self._option_string_actions, n=1) if unknown else []
        hint = f"; did you mean {close[0]}?" if close else ""
        self.exit(2, f"error: {message}{hint} (--help shows the options)\n")


def program_name() -> str:
    """Return what people type to start the program."""
    name = os.path.basename(sys.argv[0])
    return "python -m pytorch_grad_cam" if name == "__main__.py" else name
