"""The formulas in a .pt2 file, sizes such as ``FloorDiv(Symbol('s0'), Integer(2))``, which torch evaluates as Python.

Only formulas that keep to a small grammar pass: arithmetic and comparisons of symbols and bounded numbers, and the
functions of sizes that programs of ``torch.export`` contain. Attributes, texts and calls of anything else do not.
"""

from __future__ import annotations

import ast
import math
import re
from functools import lru_cache

_LONGEST = 20_000  # characters; the longest of a dynamic Swin transformer has 1,500
_DEEPEST = 200  # nested parts
_HIGHEST = 1 << 63  # of a whole number: sizes have 64 bits
_POWER = 8  # the highest exponent, also of two, and of a shift: powers of powers fill any memory
# No other letter, and no line end: what Python's parser sees here is then what sympy's sees.
_SIGNS = re.compile(r"[A-Za-z0-9_ .,+\-*/%()<>=!&|~'\[\]]*")
_SYMBOL = re.compile(r"-?[a-z_]+\d+")  # s0, u3, zuf12
_CONSTANTS = {"oo", "int_oo", "nan", "true", "false", "zoo"}
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.BitAnd, ast.BitOr)
_SIGNED = (ast.UAdd, ast.USub, ast.Not, ast.Invert)
_COMPARISONS = "Eq Ne Gt Lt Ge Le Equality Unequality GreaterThan LessThan StrictGreaterThan StrictLessThan"
_ARITHMETIC = "Add Mul Max Min Abs And Or Not Xor ITE Piecewise ExprCondPair Where floor ceiling sqrt Rational"
_OF_SIZES = (
    "FloorDiv ModularIndexing PythonMod Mod CleanDiv CeilDiv CeilToInt FloorToInt FloatTrueDiv IntTrueDiv TruncToFloat "
    "TruncToInt RoundToInt RoundDecimal ToFloat Identity IsNonOverlappingAndDenseIndicator"
)
_FUNCTIONS = frozenset(f"{_COMPARISONS} {_ARITHMETIC} {_OF_SIZES}".split())
_POWERS = {"Pow", "PowByNatural", "FloatPow", "LShift", "RShift"}
_ASSUMPTIONS = {"integer", "positive", "nonnegative", "real", "finite", "zero", "nonzero", "negative", "bounded"}
_OF_TENSORS = {"size", "stride", "storage_offset", "dim", "numel"}
_OF_TORCH = {"sym_max", "sym_min", "sym_float", "sym_int", "sym_not", "sym_ite", "sym_sqrt", "sym_sum"}
_OF_MATH = {"floor", "ceil", "trunc", "sqrt", "isnan", "inf"}


@lru_cache(maxsize=10_000)  # a program repeats its formulas
def is_formula(text: str) -> bool:
    """Say whether a text is a formula of sizes, which torch can evaluate without running anything else."""
    return _is_allowed(text, _Formula())


@lru_cache(maxsize=1_000)
def is_guard(text: str) -> bool:
    """Say whether a text is a condition on the sizes of inputs, such as ``L['x'].size()[2] >= 2``."""
    return _is_allowed(text, _Guard())


def _is_allowed(text: str, grammar: _Formula) -> bool:
    if len(text) > _LONGEST or not _SIGNS.fullmatch(text):
        return False
    try:
        return grammar.allows(ast.parse(text.strip(), mode="eval").body, 0)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # what Python's own parser objects to
        return False


class _Formula:
    """Judges the parts of a parsed formula."""

    def allows(self, node: ast.expr, depth: int) -> bool:
        """Say whether a part, and everything in it, keeps to the grammar."""
        if depth > _DEEPEST:
            return False
        parts = self._parts(node)
        return parts is not None and all(self.allows(part, depth + 1) for part in parts)

    def _parts(self, node: ast.expr) -> list[ast.expr] | None:
        """Return what a part consists of; None if it is not allowed, whatever it consists of."""
        match node:
            case ast.Constant(value=value):
                return [] if _is_bounded(value) else None
            case ast.Name(id=name):
                return [] if _SYMBOL.fullmatch(name) or name in _CONSTANTS else None
            case ast.UnaryOp(op=operator, operand=operand):
                return [operand] if isinstance(operator, _SIGNED) else None
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return [left, right] if _is_small(right) else None
            case ast.BinOp(left=left, op=operator, right=right):
                return [left, right] if isinstance(operator, _OPERATORS) else None
            case ast.BoolOp(values=values):
                return values
            case ast.Compare(left=left, comparators=others):
                return [left, *others] if not any(isinstance(sign, (ast.In, ast.NotIn)) for sign in node.ops) else None
            case ast.Tuple(elts=elements):
                return elements
            case ast.Call():
                return self._parts_of_call(node)
        return None

    def _parts_of_call(self, call: ast.Call) -> list[ast.expr] | None:
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        if name == "Symbol":
            return [] if _is_symbol(call) else None
        if name in ("Integer", "Float"):
            return [] if _is_number(call) else None
        if name in _POWERS and len(call.args) == 2 and not call.keywords:
            return call.args if _is_small(call.args[1]) else None
        return call.args if name in _FUNCTIONS and not call.keywords else None


class _Guard(_Formula):
    """Judges conditions on inputs: formulas whose symbols are sizes of inputs."""

    def _parts(self, node: ast.expr) -> list[ast.expr] | None:
        match node:
            case ast.Subscript(value=value, slice=ast.Constant(value=int() | str())):
                return [value]
            case ast.Attribute(value=ast.Subscript() as value, attr="shape" | "ndim"):
                return [value]
            case ast.Name(id="L") | ast.Constant(value=str()):
                return []
            case ast.Attribute(value=ast.Name(id="math"), attr=name):
                return [] if name in _OF_MATH else None
        return super()._parts(node)

    def _parts_of_call(self, call: ast.Call) -> list[ast.expr] | None:
        if call.keywords:
            return None
        match call.func:
            case ast.Name(id="abs" | "round" | "int" | "float" | "bool" | "max" | "min"):
                return call.args
            case ast.Attribute(value=ast.Name(id="torch"), attr=name):
                return call.args if name in _OF_TORCH else None
            case ast.Attribute(value=ast.Name(id="math"), attr=name):
                return call.args if name in _OF_MATH else None
            case ast.Attribute(value=ast.Subscript() as value, attr=name):
                return [value, *call.args] if name in _OF_TENSORS else None
        return super()._parts_of_call(call)


def _is_symbol(call: ast.Call) -> bool:
    """Judge ``Symbol('s0', integer=True)``."""
    name = call.args[0].value if len(call.args) == 1 and isinstance(call.args[0], ast.Constant) else None
    flags = all(keyword.arg in _ASSUMPTIONS and isinstance(_value_of(keyword.value), bool) for keyword in call.keywords)
    return flags and isinstance(name, str) and _SYMBOL.fullmatch(name) is not None


def _is_number(call: ast.Call) -> bool:
    """Judge ``Integer(-1)`` and ``Float('0.5', precision=53)``."""
    if len(call.args) != 1 or any(keyword.arg not in ("precision", "dps") for keyword in call.keywords):
        return False
    values = [_value_of(value) for value in (call.args[0], *(keyword.value for keyword in call.keywords))]
    first = values[0]
    if isinstance(first, str):
        first = float(first) if re.fullmatch(r"-?\d{1,40}(\.\d{0,60})?(e[+-]?\d{1,3})?", first) else None
    precise = all(isinstance(value, int) and 0 < value <= 200 for value in values[1:])
    return precise and _is_bounded(first)


def _is_small(node: ast.expr) -> bool:
    """Say whether an exponent is written out and small: powers of powers fill any memory."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id == "Rational":
            return len(node.args) == 2 and all(map(_is_small, node.args))
        if node.func.id in ("Integer", "Float") and _is_number(node):
            return _is_small(ast.Constant(float(str(_value_of(node.args[0])))))
    value = _value_of(node)
    return isinstance(value, (int, float)) and abs(value) <= _POWER


def _value_of(node: ast.expr) -> object:
    """Return the value of a number or text that is written out; None for anything else."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        value = node.operand.value
        return -value if isinstance(value, (int, float)) else None
    return node.value if isinstance(node, ast.Constant) else None


def _is_bounded(value: object) -> bool:
    if isinstance(value, bool):
        return True
    if isinstance(value, int):
        return abs(value) <= _HIGHEST
    return isinstance(value, float) and math.isfinite(value)
