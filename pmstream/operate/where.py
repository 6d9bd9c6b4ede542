"""A condition on instances in an operator's words: `status == "deposit" and amount > 100`.

Rule: rule_engine parses and evaluates it, nothing of it is ever Python; this is its only door. What
cannot be judged is an error and no "no": an order to many must not miss, or hit, by mistake.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from pmstream.errors import ConfigurationError

if TYPE_CHECKING:
    from rule_engine import Context

MAX_CHARACTERS = 2_000
"""Of an expression."""

NAMES = ("$uuid", "$condition", "$attempts", "$backlog", "$age_seconds")
"""What is known of an instance beside its state. No field of a state can begin with $."""


class Subject(Struct, frozen=True):
    """What a condition is about.

    Attributes:
        uuid, condition, attempts, backlog: see `instances.Seen`.
        age_seconds: since when it is so.
        state: field to value; None when there is no instance yet.
    """

    uuid: str
    condition: str
    attempts: int
    backlog: int
    age_seconds: float
    state: Mapping[str, Any] | None


class Where:
    """A parsed condition.

    Args:
        text: the expression.
        subjects: all that may be asked about: their values tell the fields and their types.
        fields: that a state has, for when there are no subjects.

    Raises:
        ConfigurationError: it is no condition, names an unknown field, or compares unlike types.
    """

    def __init__(self, text: str, subjects: Iterable[Subject], fields: Iterable[str] = ()) -> None:
        import rule_engine

        if len(text) > MAX_CHARACTERS:
            raise ConfigurationError(f"--where has {len(text)} characters; {MAX_CHARACTERS} may be")
        self._text = text
        self._types = _types(subjects, fields)
        context = rule_engine.Context(
            resolver=_resolve,
            type_resolver=rule_engine.type_resolver_from_dict(self._types),
            mapping_attribute_lookup=False,
        )
        self._builtins = context.builtins = _builtins()
        try:
            self._rule = rule_engine.Rule(text, context=context)
            result = self._rule.statement.expression
        except (rule_engine.EngineError, RecursionError) as error:
            raise self._fault(_sentence(error)) from None
        unlike = next(_unlike(result), "")
        if unlike:
            raise self._fault(f"it compares {unlike}, which are never equal")
        kinds = (rule_engine.DataType.BOOLEAN, rule_engine.DataType.UNDEFINED)
        if result.result_type not in kinds:
            raise self._fault(f"it is a {_called(result.result_type)}, not yes or no")
        self._asks_state = _asks_state(context, self._types)

    def matches(self, subject: Subject) -> bool:
        """Whether the condition holds.

        One that asks for a field of the state never holds for what has none yet.

        Raises:
            ConfigurationError: it cannot be told, for example because a field is null.
        """
        import rule_engine

        if subject.state is None and self._asks_state:
            return False
        self._builtins.subject = subject
        try:
            found = self._rule.evaluate(subject.state or {})
        except (rule_engine.EngineError, TypeError, ValueError, RecursionError) as error:
            raise self._fault(
                f"of process {subject.uuid} it cannot be told: {_sentence(error)}; a field may be "
                "null there (`amount != null and amount > 100`), or of another type"
            ) from None
        if not isinstance(found, bool):
            kind = type(found).__name__  # never the value: states stay out of errors
            raise self._fault(f"of process {subject.uuid} it is a {kind}, not yes or no")
        return found

    def _fault(self, why: str) -> ConfigurationError:
        fields = ", ".join(sorted(self._types)) or "no fields known"
        return ConfigurationError(
            f"--where {self._text!r}: {why}. The state has {fields}; of each instance there are "
            f"{', '.join(NAMES)} (in single quotes, or the shell takes the $ away)"
        )


def _types(subjects: Iterable[Subject], fields: Iterable[str]) -> dict[str, Any]:
    """Field to its type, as far as all values are of one plain type."""
    from rule_engine import DataType

    plain = {
        str: DataType.STRING,
        bool: DataType.BOOLEAN,
        int: DataType.FLOAT,
        float: DataType.FLOAT,
        bytes: DataType.BYTES,
    }
    found: dict[str, Any] = dict.fromkeys(fields)
    for subject in subjects:
        for name, value in (subject.state or {}).items():
            known = found.setdefault(name, None)
            if value is not None:
                kind = plain.get(type(value), DataType.UNDEFINED)
                found[name] = kind if known in (None, kind) else DataType.UNDEFINED
    return {name: kind or DataType.UNDEFINED for name, kind in found.items()}


def _resolve(thing: Any, name: str) -> Any:
    """A field that an older state does not have is null."""
    return thing.get(name)


def _builtins() -> Any:
    """The names with a $, and none of rule_engine's own (no chance, no clock, no long ranges)."""
    from rule_engine import DataType
    from rule_engine.builtins import Builtins, BuiltinValueGenerator

    class Names(Builtins):  # type: ignore[misc]  # untyped
        subject: Subject

        def __init__(self) -> None:
            fields = [name.removeprefix("$") for name in NAMES]
            values = {
                each: BuiltinValueGenerator(lambda names, each=each: getattr(names.subject, each))
                for each in fields
            }
            types = {
                each: DataType.STRING if each in ("uuid", "condition") else DataType.FLOAT
                for each in fields
            }
            super().__init__(values, value_types=types)

        def resolve_type(self, name: str) -> Any:
            if f"${name}" not in NAMES:
                from rule_engine import SymbolResolutionError

                raise SymbolResolutionError(f"${name}")
            return super().resolve_type(name)

    return Names()


def _asks_state(context: "Context", fields: Mapping[str, Any]) -> bool:
    return any(name in fields for name in context.symbols)


def _unlike(node: Any) -> Iterator[str]:
    """Comparisons of two types that are never equal, which rule_engine lets pass."""
    from rule_engine import DataType
    from rule_engine.ast import ComparisonExpression

    if isinstance(node, ComparisonExpression):
        kinds = [node.left.result_type, node.right.result_type]
        names = [_called(each) for each in kinds]
        loose = (DataType.UNDEFINED, DataType.NULL)
        if names[0] != names[1] and not any(each in loose for each in kinds):
            yield f"a {names[0]} with a {names[1]}"
    for child in _children(node):
        yield from _unlike(child)


def _children(node: Any) -> Iterator[Any]:
    slots = [name for kind in type(node).__mro__ for name in getattr(kind, "__slots__", ())]
    for name in {*slots, *getattr(node, "__dict__", ())}:
        value = getattr(node, name, None)
        for each in value if isinstance(value, list | tuple) else (value,):
            if type(each).__module__.startswith("rule_engine.ast"):
                yield each


def _sentence(error: BaseException) -> str:
    import rule_engine

    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, rule_engine.SymbolResolutionError):
        return f"there is no {error.symbol_name!r}"
    said = str(getattr(error, "message", "") or error)
    return said.replace("data type mismatch", "it compares or counts with unlike types")


def _called(kind: Any) -> str:
    name: str = kind.name
    return {"FLOAT": "number", "BOOLEAN": "yes or no"}.get(name, name.lower())
