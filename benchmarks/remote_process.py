"""Talk to another Python process: one object each way, through its standard streams.

What goes over is what `torch.save` writes and `torch.load(weights_only=True)` reads: tensors, numbers,
strings, lists and dicts. Nothing else is unpickled.
"""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import torch

_LENGTH = struct.Struct(">Q")


def _send(stream: BinaryIO, message: Any) -> None:
    buffer = io.BytesIO()
    torch.save(message, buffer)
    stream.write(_LENGTH.pack(buffer.tell()) + buffer.getvalue())
    stream.flush()


def _receive(stream: BinaryIO) -> Any:
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError("the other process closed the connection")
    return torch.load(io.BytesIO(stream.read(_LENGTH.unpack(head)[0])), weights_only=True)


def serve(answer: Callable[[Any], Any]) -> None:
    """Answer one message after another until the other side closes the connection.

    The standard output belongs to the connection: what the code here prints goes to the standard error instead.
    """
    inward, outward = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    while True:
        try:
            message = _receive(inward)
        except EOFError:
            return
        _send(outward, answer(message))


class RemoteProcess:
    """A process that runs `serve`, for the length of a with-block.

    Args:
        command: What to start.
        environment: All its environment variables.
    """

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.command = command
        self.environment = environment

    def __enter__(self) -> RemoteProcess:
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self.command,
            env=self.environment,
            cwd=Path(__file__).resolve().parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        return self

    def ask(self, message: Any) -> Any:
        """Send one message and wait for its answer.

        Raises:
            RuntimeError: The process ended instead; the message is the end of what it wrote.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            _send(self._process.stdin, message)
            return _receive(self._process.stdout)
        except (EOFError, BrokenPipeError) as error:
            self._process.wait()
            self._log.seek(0)
            tail = self._log.read()[-2000:].decode(errors="replace")
            code = self._process.returncode
            raise RuntimeError(f"the process {' '.join(self.command[-4:])} ended with {code}: {tail}") from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
