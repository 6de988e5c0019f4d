"""Check the texts of a .pt2 file before torch reads them: torch makes Python code of many of them, and runs it.

Formulas are evaluated, names of nodes and layers are written into the source of a ``forward``, and an operator may be
any function that can be reached from ``torch``. So every text of the file must be of a kind that is known, and keep to
the form of that kind; a text in a place that is not known must be a plain name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pytorch_grad_cam.models.exported_formulas import is_formula, is_guard

Judge = Callable[[str], bool]

_DEEPEST = 100  # nested objects
_SHOWN = 60  # characters of a text in a message
_NUMBERS = "add sub mul truediv floordiv mod pow neg pos abs and_ or_ not_ xor eq ne lt le gt ge lshift rshift invert"
_OPERATORS = {
    *(f"_operator.{name}" for name in ("getitem", "index", *_NUMBERS.split())),
    *(f"math.{name}" for name in ("trunc", "ceil", "floor", "sqrt", "log2")),
}
_SYMBOLIC = re.compile(
    r"torch\._?sym_\w+"
    r"|torch\._functorch\.predispatch\.(_(add|remove)_batch_dim|_vmap_(in|de)crement_nesting|lazy_load_decompositions)"
)
# Those of PyTorch and torchvision that compute. Others, of namespaces that any library registers, may do anything:
# torchvision's own `image.write_file` overwrites files.
_TENSORS = re.compile(r"torch\.ops\.(aten|prims|torchvision|quantized|quantized_decomposed)\.(\w+)(\.\w+)?")
_OF_FILES = {"from_file"}
_CONTROL = re.compile(
    r"torch\.ops\.higher_order\.(cond|map|map_impl|while_loop|scan|associative_scan|flex_attention"
    r"|wrap_with_set_grad_enabled|wrap_with_autocast|wrap)"
)
_ENUM = "__enum__"  # makes torch import a module


def refuse_code(program: Any, what: str) -> None:
    """Refuse the description of a program that holds more than the description of a program.

    Args:
        program: the content of one of the file's JSON members.
        what: the file's name, for the message.

    Raises:
        ValueError: names the first text that is not of the form that its place asks for.
    """
    for place, text, is_fine in _texts(program, "", _plain_name, 0):
        if not is_fine(text):
            shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
            raise ValueError(
                f"{what} has {shown!r} for {place or 'a name'!r}, which is none of torch.export's names, formulas and "
                "operators, and torch would run it as code; if you trust its author, allow it with --trust-pickle "
                "(trust_pickle=True)"
            )


def _texts(value: Any, key: str, judge: Judge, depth: int) -> Iterator[tuple[str, str, Judge]]:
    """Yield every text with the key that it stands under, and who judges it."""
    if depth > _DEEPEST:
        yield key, f"objects nested deeper than {_DEEPEST}", _never
    elif isinstance(value, str):
        yield key, value, judge
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, key, judge, depth + 1)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield key, name, _KEYS.get(key, _plain_name)
            inner = judge if key in _HANDED_ON else _VALUES.get(name, _plain_name)
            yield from _texts(item, name, inner, depth + 1)


def _never(text: str) -> bool:
    return False


def _any(text: str) -> bool:
    return True


def _identifier(text: str) -> bool:
    return not text or (text.isascii() and text.isidentifier())


def _plain_name(text: str) -> bool:
    """Whether a text is of letters, digits and what joins them in names and versions."""
    return re.fullmatch(r"[\w.:+<=>-]*", text) is not None


def _path(text: str) -> bool:
    """Whether a text may be the path of a layer or a weight: it is put in quotes where it is no identifier."""
    return text.isprintable() and not set(text) & set("\"'\\(){}`")


def _module_stack(text: str) -> bool:
    """Whether a text may be a list of layers, in which a layer may be ``L['self'].conv``."""
    return _path(re.sub(r"\['[\w. -]*'\]", "", text.replace("()", "")))


def _operator(text: str) -> bool:
    tensors = _TENSORS.fullmatch(text)
    if tensors:
        return tensors[2] not in _OF_FILES
    return text in _OPERATORS or bool(_SYMBOLIC.fullmatch(text) or _CONTROL.fullmatch(text))


def _tree(text: str) -> bool:
    """Whether a text is a tree of containers, as torch.utils._pytree writes it, of the kinds that need no import."""
    try:
        _, tree = json.loads(text)
        return _is_tree(tree, 0)
    except (ValueError, TypeError, RecursionError):  # not of that form at all
        return False


def _is_tree(tree: Any, depth: int) -> bool:
    if depth > _DEEPEST or not isinstance(tree, Mapping):
        return False
    kind, context = tree.get("type"), tree.get("context")
    content: Any = json.loads(context) if isinstance(context, str) and kind not in _NAMED else context
    safe = all(name != _ENUM and _path(name) and name != "default_factory_module" for name in _names_in(content, 0))
    if depth == 1 and kind == "builtins.dict":  # keyword arguments, which become those of a function
        safe = safe and all(map(_identifier, _names_in(content, 0)))
    children = tree.get("children_spec")
    return safe and isinstance(children, list) and all(_is_tree(child, depth + 1) for child in children)


def _names_in(value: Any, depth: int) -> Iterator[str]:
    """Yield every text in the keys of a container; what is nested too deep yields a text that is no name."""
    if depth > _DEEPEST:
        yield _ENUM
    elif isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _names_in(item, depth + 1)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield name
            yield from _names_in(item, depth + 1)


_NAMED = {"collections.namedtuple", "collections.defaultdict"}  # whose context is no JSON in a text
_NODES = ("tensor_values", "sym_int_values", "sym_bool_values", "sym_float_values", "custom_obj_values")
# Who judges the texts under a key, and the keys of the objects under a key.
_VALUES: dict[str, Judge] = {
    "expr_str": is_formula,
    "guards_code": is_guard,
    "in_spec": _tree,
    "out_spec": _tree,
    "target": _operator,
    "as_operator": _operator,
    "as_string": _any,  # arguments of operators, which are written out as Python writes texts
    "as_strings": _any,
    "nn_module_stack": _module_stack,
    "name": _identifier,
    "as_name": _identifier,
    "forward_arg_names": _identifier,
    "fqn": _path,
    "value": _path,
    **dict.fromkeys(("stack_trace", "custom", "from_node", "torch_fn", "source_fn_stack"), _any),  # for people
    **dict.fromkeys(
        ("parameter_name", "buffer_name", "tensor_constant_name", "custom_obj_name", "user_input_name", "field_names"),
        _path,
    ),
}
_KEYS: dict[str, Judge] = {
    **dict.fromkeys((*_NODES, "range_constraints"), _identifier),
    **dict.fromkeys(("config", "as_string_to_argument", "treespec_namedtuple_fields"), _path),
}
_HANDED_ON = {"value"}  # the argument of a program: its texts stand unquoted in conditions
