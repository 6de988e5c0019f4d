"""Parse the text format of protocol buffers, in which .nntxt files are written, in every dialect that is around.

``shape { dim: -1 }`` and ``shape: { dim:-1 }``, ``True`` and ``true``, ``"y'"`` and ``"y\\'"``, ``<`` for ``{``, lists
in brackets, comments. Fields that are absent have proto3's value: zero, false, empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pytorch_grad_cam.models.nnp.limits import FREE_FIELDS, MAX_DEPTH, MAX_FIELDS, MAX_MESSAGES, MAX_TEXT_VALUE

# Never going back (++, *+): to go back, re keeps a hundred bytes for every sign of a text.
_TOKEN = re.compile(
    r"""(?P<space>(?:[\s,;]+|\#[^\n]*)++)
      | (?P<name>[A-Za-z_][\w.]*)
      | (?P<number>[-+]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?[fF]?))
      | (?P<minus>-\s*(?:inf(?:inity)?|nan)\b)
      | (?P<string>"(?:[^"\\\n]++|\\.)*+"|'(?:[^'\\\n]++|\\.)*+')
      | (?P<sign>[:{}<>\[\]])""",
    re.VERBOSE | re.IGNORECASE,
)
_ESCAPE = re.compile(r"\\([0-7]{1,3}|[xX][0-9a-fA-F]{1,2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_SHORT = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_WORDS = {"true": True, "t": True, "false": False, "f": False}
_FLOATS = {"inf", "infinity", "nan"}
_CLOSING = {"{": "}", "<": ">"}
_LARGEST = (1 << 31) - 1  # the sizes and indices of nnabla's functions have 32 bits


@dataclass
class Message:
    """A message of protocol buffers: the values of its fields, in order.

    The readers below give a field's last value, as protocol buffers do, or proto3's default; a value of another type
    is a ValueError that names the field.
    """

    fields: dict[str, list[Any]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return a text; empty if it is absent."""
        return str(self._last(name, str, "", "a text"))

    def texts(self, name: str) -> list[str]:
        """Return all texts of a repeated field."""
        return [_checked(value, name, str, "a text") for value in self.fields.get(name, [])]

    def flag(self, name: str) -> bool:
        """Return a truth value; False if it is absent."""
        value = self._last(name, (bool, int), False, "true or false")
        return bool(value)

    def integer(self, name: str) -> int:
        """Return a whole number of 32 bits; 0 if it is absent."""
        return _small(self._last(name, int, 0, "a whole number"), name)

    def integers(self, name: str) -> list[int]:
        """Return all whole numbers of a repeated field."""
        return [_small(_checked(value, name, int, "a whole number"), name) for value in self.fields.get(name, [])]

    def number(self, name: str) -> float:
        """Return a number; 0 if it is absent."""
        return _real(self._last(name, (int, float), 0.0, "a number"), name)

    def numbers(self, name: str) -> list[float]:
        """Return all numbers of a repeated field."""
        values = self.fields.get(name, [])
        return [_real(_checked(value, name, (int, float), "a number"), name) for value in values]

    def message(self, name: str) -> Message:
        """Return a message; an empty one if it is absent."""
        message: Message = self._last(name, Message, Message(), "a message")
        return message

    def messages(self, name: str) -> list[Message]:
        """Return all messages of a repeated field."""
        return [_checked(value, name, Message, "a message") for value in self.fields.get(name, [])]

    def shape(self, name: str) -> list[int]:
        """Return the ``dim`` of a field of the type Shape; empty if it is absent."""
        return self.message(name).integers("dim")

    def _last(self, name: str, kind: Any, default: Any, what: str) -> Any:
        values = self.fields.get(name)
        return _checked(values[-1], name, kind, what) if values else default


def parse_text(text: str, size: int | None = None) -> Message:
    """Parse protocol buffers' text format.

    Args:
        text: what is parsed.
        size: bytes of the file that it comes from, which may be packed; it bounds the number of values.

    Raises:
        ValueError: if it is none, is cut off, or is nested or filled beyond reason; the message names the line.
    """
    return _Parser(text, min(MAX_FIELDS, FREE_FIELDS + (len(text) if size is None else size))).parse()


class _Parser:
    """Parses one text from its first token to its last."""

    def __init__(self, text: str, most: int) -> None:
        self._text, self._most = text, most
        self._position = 0
        self._tokens = self._tokenise()
        self._kind, self._token = "", ""
        self._count, self._messages = 0, 0

    def parse(self) -> Message:
        top = Message()
        open_messages, closing = [top], [""]
        self._next()
        while True:
            if self._token == closing[-1] and self._kind in ("sign", ""):
                if not self._kind:
                    return top
                open_messages.pop()
                closing.pop()
                self._next()
                continue
            if self._kind != "name":
                raise self._unexpected("a field name")
            values = open_messages[-1].fields.setdefault(self._token, [])
            self._count_values(1)  # also where a list is empty
            self._next()
            colon = self._take(":")
            if self._token in _CLOSING and self._kind == "sign":
                if len(open_messages) > MAX_DEPTH:
                    raise ValueError(f"messages are nested deeper than {MAX_DEPTH} in line {self._line()}")
                self._count_message()
                open_messages.append(Message())
                closing.append(_CLOSING[self._token])
                values.append(open_messages[-1])
                self._next()
            elif not colon:
                raise self._unexpected("a colon or a message")
            elif self._take("["):
                while not self._take("]"):
                    self._count_values(1)
                    values.append(self._scalar())
            else:
                values.append(self._scalar())

    def _scalar(self) -> Any:
        kind, token = self._kind, self._token
        if kind == "string":
            parts = []
            while self._kind == "string":  # neighbours are one text
                if len(self._token) > MAX_TEXT_VALUE:
                    raise ValueError(f"line {self._line()} of the network text has a text of {len(self._token)} signs")
                parts.append(self._token)
                self._count_values(1 + self._token.count("\\"))
                self._next()
            return _unquoted(parts, self._line)
        if kind == "number":
            value: Any = _number(token)
        elif kind == "minus":
            value = float("-" + token[1:].strip())
        elif kind == "name":
            value = float(token) if token.lower() in _FLOATS else _WORDS.get(token.lower(), token)
        else:
            raise self._unexpected("a value")
        self._next()
        return value

    def _count_values(self, more: int) -> None:
        self._count += more
        if self._count > self._most:
            raise ValueError(f"the network text has more than {self._most} values; keep weights in a file of their own")

    def _count_message(self) -> None:
        self._messages += 1
        if self._messages > MAX_MESSAGES:
            raise ValueError(f"the network text has more than {MAX_MESSAGES} messages")

    def _take(self, sign: str) -> bool:
        if self._kind == "sign" and self._token == sign:
            self._next()
            return True
        return False

    def _next(self) -> None:
        self._kind, self._token = next(self._tokens, ("", ""))

    def _tokenise(self) -> Iterator[tuple[str, str]]:
        while self._position < len(self._text):
            match = _TOKEN.match(self._text, self._position)
            if match is None:
                near = self._text[self._position : self._position + 20]
                raise ValueError(f"line {self._line()} of the network text cannot be read at {near!r}")
            self._position = match.end()
            if match.lastgroup and match.lastgroup != "space":
                yield match.lastgroup, match[0]

    def _unexpected(self, expected: str) -> ValueError:
        token = repr(self._token[:20]) if self._kind else "its end"
        return ValueError(f"line {self._line()} of the network text has {token} where {expected} must stand")

    def _line(self) -> int:
        return self._text.count("\n", 0, self._position) + 1


def _number(token: str) -> int | float:
    if token.lstrip("+-").lower().startswith("0x"):
        if len(token) > 3_000:
            raise ValueError(f"the network text has a number of {len(token)} digits")
        return int(token, 16)
    bare = token.rstrip("fF")
    # A limit on digits: int() takes quadratic time, and refuses above a few thousand with words of its own.
    return int(bare) if len(bare) < 40 and bare.lstrip("+-").isdecimal() else float(bare)


def _unquoted(parts: list[str], line: Any) -> str:
    """Join quoted texts; escapes give bytes, and all bytes together must be UTF-8."""
    try:
        return b"".join(_bytes(part[1:-1]) for part in parts).decode("utf-8")
    except (UnicodeError, ValueError, OverflowError) as error:
        raise ValueError(f"line {line()} of the network text has a text that is not UTF-8") from error


def _bytes(text: str) -> bytes:
    if "\\" not in text:
        return text.encode("utf-8")
    parts, end = [], 0
    for match in _ESCAPE.finditer(text):
        code = match[1]
        parts.append(text[end : match.start()].encode("utf-8"))
        if code[0] in "01234567":
            parts.append(bytes([int(code, 8) & 0xFF]))
        elif code[0] in "xX" and len(code) > 1:
            parts.append(bytes([int(code[1:], 16)]))
        elif code[0] in "uU" and len(code) > 1:
            parts.append(chr(int(code[1:], 16)).encode("utf-8"))
        else:
            parts.append(_SHORT.get(code, code).encode("utf-8"))
        end = match.end()
    return b"".join([*parts, text[end:].encode("utf-8")])


def _checked(value: Any, name: str, kind: Any, what: str) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        shown = "a message" if isinstance(value, Message) else repr(value)[:40]
        raise ValueError(f"the field {name!r} must be {what}, not {shown}")
    return value


def _small(value: int, name: str) -> int:
    if abs(value) > _LARGEST:
        raise ValueError(f"the field {name!r} is {str(value)[:40]}, which needs more than 32 bits")
    return value


def _real(value: int | float, name: str) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError(f"the field {name!r} is too large a number") from error
