"""What only a library in C can get wrong: memory, its plan, its absence."""

import gc
import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import defstruct

from tests.flat_fixture import Plain, Slowly, Twin, slowly


def test_nothing_is_kept_of_what_was_read_and_written(twin: Twin) -> None:
    good = Plain("text", b"raw", 5, 2**40, yes=True, real=1.5)
    value, odd = twin.write(good), Plain("text", b"raw", 2**40, 2**40, yes=True, real=1.5)

    def use(times: int) -> int:
        for _ in range(times):
            twin.read(value)
            twin.read(value[:-1])
            twin.read(value + b"x")
            twin.write(good)
            with pytest.raises(Slowly):
                twin.write(odd)
        gc.collect()
        return sys.getallocatedblocks()

    before = use(100)
    assert use(1_000) - before < 500


def test_the_compiled_one_refuses_a_plan_that_is_none(compiled: Any) -> None:
    plans: list[Callable[[], object]] = [
        lambda: compiled.reader(("a",), b"sl", 0, Plain),
        lambda: compiled.reader(("a",), b"x", 0, Plain),
        lambda: compiled.reader((1,), b"s", 0, Plain),
        lambda: compiled.reader(("a",), b"s", -1, Plain),
    ]
    for wrong in plans:
        with pytest.raises(ValueError, match=r"a name|begin before"):
            wrong()
    with pytest.raises(TypeError):
        compiled.writer(["a"], b"s", b"", slowly)
    with pytest.raises(TypeError):
        compiled.reader()
    for call in (
        compiled.reader(("a",), b"s", 0, Plain),
        compiled.writer(("a",), b"s", b"", print),
    ):
        with pytest.raises(TypeError, match="one argument"):
            call()
        with pytest.raises(TypeError, match="one argument"):
            call(value=b"")


def test_a_plan_that_its_type_holds_is_no_leak(compiled: Any) -> None:
    made = defstruct("Cyclic", [("a", Any)])
    made.read = compiled.reader(("a",), b"s", 0, made)  # type: ignore[attr-defined]
    gone = weakref.ref(made)

    del made
    gc.collect()

    assert gone() is None


def test_a_variable_leaves_the_compiled_one_out() -> None:
    asked = "from pmstream.runtime import compiled; print(compiled.IS_COMPILED)"
    environment = {**os.environ, "PMSTREAM_PURE_PYTHON": "1"}

    done = subprocess.run(
        [sys.executable, "-c", asked], env=environment, capture_output=True, text=True, check=True
    )

    assert done.stdout == "False\n"
