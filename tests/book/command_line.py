"""The command line, from what its own `--help` is made of."""

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, get_args, get_origin

import typer.main

from pmstream.cli.root import root
from tests.book.docstrings import paragraphs
from tests.book.markdown import cell, plain, table

_EXAMPLE = "Example: "


def commands(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command that is shown, with its words: `instances list`."""
    command = command or typer.main.get_command(root)
    for name, each in command.commands.items():
        if each.hidden:
            continue
        if hasattr(each, "commands"):
            yield from commands(each, (*path, name))
        else:
            yield " ".join((*path, name)), each


def command_line() -> Iterator[str]:
    """A section for each command: usage, what it does, arguments and options."""
    for words, command in commands():
        yield f"## pmstream {words}"
        yield ""
        usage = " ".join(["pmstream", words, *_usage(command.params)])
        yield from ("```text", usage, "```", "")
        examples = []
        for paragraph in paragraphs(command.help or ""):
            if paragraph.startswith(_EXAMPLE):
                examples.append(paragraph.removeprefix(_EXAMPLE))
            else:
                yield from (plain(paragraph), "")
        yield from ("```console", *(f"$ {each}" for each in examples), "```", "")
        yield from table(["", "meaning", "default"], map(_row, _shown(command.params)))
        yield ""


def _shown(params: Iterable[Any]) -> list[Any]:
    return [each for each in params if not each.hidden and each.name != "help"]


def _usage(params: Iterable[Any]) -> Iterator[str]:
    for each in _shown(params):
        if each.param_type_name == "argument":
            name = f"{_argument(each)}{'...' if each.nargs == -1 else ''}"
            yield name if each.required else f"[{name}]"
        elif each.required:
            yield f"{each.opts[0]} {_value(each)}"
    yield "[OPTIONS]"


def _argument(param: Any) -> str:
    return str(param.metavar or param.name.upper()).strip("[].")


def _row(param: Any) -> list[str]:
    if param.param_type_name == "argument":
        return [f"`{_argument(param)}`", cell(param.help or ""), ""]
    names = ", ".join([*sorted(param.opts, key=len, reverse=True), *param.secondary_opts])
    shown = names if param.is_flag else f"{names} {_value(param)}"
    choices = ", ".join(f"`{each}`" for each in _choices(param))
    meaning = cell(param.help or "")
    return [f"`{shown}`", f"{meaning} One of {choices}." if choices else meaning, _default(param)]


def _kind(param: Any) -> Any:
    kind = param.type_descriptor.annotation
    return get_args(kind)[0] if get_origin(kind) is list else kind


def _choices(param: Any) -> list[str]:
    kind = _kind(param)
    listed = isinstance(kind, type) and issubclass(kind, Enum)
    return [str(each.value) for each in kind] if listed else []


def _value(param: Any) -> str:
    """What is written behind an option."""
    if param.metavar:
        return str(param.metavar)
    return "WORD" if _choices(param) else {int: "N", float: "X"}.get(_kind(param), "TEXT")


def _default(param: Any) -> str:
    if param.required:
        return "required"
    if isinstance(param.show_default, str):
        return cell(param.show_default)
    if param.default in (None, "", False) or not param.show_default:
        return ""
    value = param.default.value if isinstance(param.default, Enum) else param.default
    return f"`{value}`"
