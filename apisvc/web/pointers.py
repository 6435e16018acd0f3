"""From a msgspec error (``Expected `int`, got `str` - at `$.spec.env[0]```) to a JSON pointer and a sentence."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
from msgspec import inspect

from apisvc import errors
from apisvc.schemas import base

_WHERE = re.compile(r"(?P<text>.*?)(?: - at (?P<key>`key` in )?`\$(?P<path>.*)`)?", re.DOTALL)
_FIELD = re.compile(r"Object (?:contains unknown|missing required) field `(?P<name>.*)`", re.DOTALL)
_CHOICE = re.compile(r"Invalid enum value (?P<value>.*)", re.DOTALL)
_PATTERN = re.compile(r"Expected `str` matching regex (?P<pattern>'.*')", re.DOTALL)
_WORDS = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
}
#: More entries than this are not searched for the one that is wrong.
_SEARCHED = 256


def escape(name: str) -> str:
    """One step of a JSON pointer (RFC 6901)."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def explain(
    error: msgspec.ValidationError, value: Any, kind: type, convert: Callable[[Any], object]
) -> errors.FieldError:
    """What is wrong and where. ``value`` is what was converted to ``kind``, ``convert`` does it again."""
    match = _WHERE.fullmatch(str(error))
    assert match is not None  # the expression fits every text
    steps = list(_steps(match["path"] or "", value, str(error), convert))
    field = _FIELD.fullmatch(match["text"])
    if field is not None:
        steps.append(field["name"])
    elif match["key"]:
        steps.extend(_culprit(value, steps, str(error), convert))
    pointer = "".join(escape(step) for step in steps)
    choice = _CHOICE.fullmatch(match["text"])
    if choice is not None and (valid := _choices(inspect.type_info(kind), steps)):
        return errors.FieldError(pointer, f"Expected one of {', '.join(valid)}; got {choice['value']}.")
    return errors.FieldError(pointer, sentence(match["text"]))


def sentence(text: str) -> str:
    """msgspec's message in plain words."""
    field = _FIELD.fullmatch(text)
    if field is not None:
        known = "is not known" if "unknown" in text.split("`")[0] else "is required"
        return f"Field '{field['name']}' {known}."
    pattern = _PATTERN.fullmatch(text)
    if pattern is not None:
        for known, meaning in base.EXPLAINED.items():
            if repr(known) == pattern["pattern"]:
                return f"Expected {meaning}."
        return f"Expected a string matching the regular expression {pattern['pattern']}."
    return re.sub(r"`([^`]*)`", lambda m: _alternatives(m[1]), text).rstrip(".") + "."


def _choices(info: inspect.Type, steps: Sequence[str]) -> list[str]:
    """The values of the enumeration at ``steps`` within a type; none: there is no such thing."""
    if isinstance(info, inspect.Metadata):
        return _choices(info.type, steps)
    if isinstance(info, inspect.UnionType):
        return [one for option in info.types for one in _choices(option, steps)]
    if isinstance(info, inspect.StructType):
        inner = {field.encode_name: field.type for field in info.fields}.get(steps[0]) if steps else None
        return _choices(inner, steps[1:]) if inner is not None else []
    if isinstance(info, inspect.DictType):
        return _choices(info.value_type, steps[1:]) if steps else []
    if isinstance(info, inspect.CollectionType):
        return _choices(info.item_type, steps[1:]) if steps else []
    return [str(one.value) for one in info.cls] if isinstance(info, inspect.EnumType) and not steps else []


def _alternatives(types: str) -> str:
    return " or ".join(_WORDS.get(name, f"'{name}'") for name in types.split(" | "))


def _steps(path: str, value: Any, message: str, convert: Callable[[Any], object]) -> Iterator[str]:
    """The names and indexes in msgspec's path, told apart by what ``value`` really holds."""
    taken: list[str] = []
    here, root = value, value
    while path:
        step: str
        if path.startswith("[...]"):
            found = _culprit(root, taken, message, convert)
            if not found:
                return
            step, path = found[0], path[5:]
        elif path.startswith("["):
            step, path = path[1 : (end := path.index("]"))], path[end + 1 :]
        else:
            # A name may hold dots and brackets: the longest that fits is it.
            names = [n for n in here if path[1:].startswith(n)] if isinstance(here, dict) else []
            if not names:
                return
            step = max(names, key=len)
            path = path[1 + len(step) :]
        here = here[int(step)] if isinstance(here, list) else here.get(step)
        taken.append(step)
        yield step


def _culprit(root: Any, steps: list[str], message: str, convert: Callable[[Any], object]) -> list[str]:
    """The key of the object at ``steps`` that alone gives the same error: msgspec does not name it."""
    here = root
    for step in steps:
        here = here[int(step)] if isinstance(here, list) else here[step]
    for key in list(here)[:_SEARCHED]:
        try:
            convert(_with(root, steps, {key: here[key]}))
        except msgspec.ValidationError as error:
            if str(error) == message:
                return [key]
    return []


def _with(root: Any, steps: list[str], leaf: Any) -> Any:
    """A copy of ``root`` with ``leaf`` in the place of what is at ``steps``."""
    if not steps:
        return leaf
    step, rest = steps[0], steps[1:]
    if isinstance(root, list):
        index = int(step)
        return [*root[:index], _with(root[index], rest, leaf), *root[index + 1 :]]
    return {**root, step: _with(root[step], rest, leaf)}
