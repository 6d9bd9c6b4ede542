"""Options that several commands share, written once: as the fields of a Struct.

Rule: a command says `ask: Ask`, and the command line knows each field of `Ask` as an option.
"""

import inspect
from collections.abc import Callable
from inspect import Parameter
from typing import Any, get_type_hints

from msgspec import Struct


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """The command as typer is to see it: each Struct among its parameters is its fields.

    Args:
        command: its Structs are keyword-only parameters whose fields all have defaults.
    """
    own = inspect.signature(command, eval_str=True)
    groups: dict[str, type[Struct]] = {
        name: each.annotation
        for name, each in own.parameters.items()
        if isinstance(each.annotation, type) and issubclass(each.annotation, Struct)
    }

    def spreading(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field: given.pop(field) for field in group.__struct_fields__})
        command(**given)

    parameters = [
        option
        for name, each in own.parameters.items()
        for option in (_options(groups[name]) if name in groups else [each])
    ]
    shown: Any = spreading
    shown.__signature__ = own.replace(parameters=parameters)
    shown.__annotations__ = {each.name: each.annotation for each in parameters}
    shown.__name__, shown.__doc__ = command.__name__, command.__doc__
    return spreading


def _options(group: type[Struct]) -> list[Parameter]:
    types = get_type_hints(group, include_extras=True)
    return [
        Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=types[name])
        for name, default in zip(group.__struct_fields__, group.__struct_defaults__, strict=True)
    ]
