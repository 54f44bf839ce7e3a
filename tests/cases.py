"""`each`: many small cases in one test, for those which cost less than a test of its own would.

Rule: it is for cases which leave nothing behind, for they share their fixtures; a case that fails does not keep the
others from being tried, and is told by its name.
"""

from __future__ import annotations

import functools
import inspect
import reprlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

Test = Callable[..., None]


def each(
    names: str | Sequence[str], cases: Iterable[Any], ids: Iterable[Any] | Callable[[Any], Any] | None = None
) -> Callable[[Test], Test]:
    """`pytest.mark.parametrize`, but for one test that goes through all the cases."""
    names = [name.strip() for name in names.split(",")] if isinstance(names, str) else names
    known = [_case(len(names), case) for case in cases]
    labels = [None] * len(known) if ids is None or callable(ids) else list(ids)
    assert len(labels) == len(known) > 0

    def decorate(test: Test) -> Test:
        signature = inspect.signature(test)
        assert set(names) <= set(signature.parameters)

        @functools.wraps(test)
        def through_all(**fixtures: Any) -> None:
            failed: list[tuple[str, BaseException]] = []
            for number, ((values, own), label) in enumerate(zip(known, labels, strict=True)):
                try:
                    test(**fixtures, **dict(zip(names, values, strict=True)))
                except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001  raised below, with the others
                    told = own or label or _told(values, ids if callable(ids) else None)
                    failed.append((f"[{number}: {told}] {type(error).__name__}: {error}", error))
            if failed:
                raise AssertionError("\n".join(line for line, _ in failed)) from failed[0][1]

        parameters = [parameter for name, parameter in signature.parameters.items() if name not in names]
        through_all.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return through_all

    return decorate


def _case(number: int, case: Any) -> tuple[Sequence[Any], str | None]:
    """The values of a case, and its name if `pytest.param` gave it one."""
    if isinstance(case, type(pytest.param())):
        assert not case.marks, "a mark is for a test of its own"
        return case.values, case.id
    return ((case,) if number == 1 else case), None


def _told(values: Sequence[Any], name: Callable[[Any], Any] | None) -> str:
    """What tells a case from others; the values of some cannot be shown."""
    try:
        return "-".join(str((name and name(value)) or reprlib.repr(value)) for value in values)
    except Exception:  # noqa: BLE001  just such a value is what some tests are about
        return "-".join(type(value).__name__ for value in values)
