"""Types of the values that a scenario file holds, and the base of its tables."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from hinting.errors import UnitError
from hinting.units import parse_duration, parse_size, size_pages

__all__ = ["Duration", "Pages", "Size", "Table", "default_of", "explain", "refuse"]


def _checked(read: Callable[[Any, str], int]) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        try:
            read(value, "")
        except UnitError as error:
            raise UnitError(str(error).removeprefix(": ")) from None
        return value

    return check


#: A size as people write it, "5GiB" or "15GB", kept as it was written.
Size = Annotated[Any, AfterValidator(_checked(parse_size))]
#: A size that is a whole number of pages.
Pages = Annotated[Any, AfterValidator(_checked(size_pages))]
#: A time span as people write it, "2s" or "100ms", kept as it was written.
Duration = Annotated[Any, AfterValidator(_checked(parse_duration))]


def default_of(call: Callable[..., Any], argument: str) -> Any:
    """The default of an argument: tables have those of the objects that they become."""
    return inspect.signature(call).parameters[argument].default


def refuse(errors: Mapping[tuple[str | int, ...], Any], given: Any = None) -> None:
    """Raise pydantic's error for keys below the table that is validated, by path, each with the reason."""
    if errors:
        raise ValidationError.from_exception_data(
            "scenario",
            [
                InitErrorDetails(type=PydanticCustomError("refused", "{text}", {"text": str(text)}), loc=path, input=given)
                for path, text in errors.items()
            ],
        )


class Table(BaseModel):
    """A table of a scenario file: values cannot change, unknown keys are refused with the legal ones."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            raise PydanticCustomError("table", "expected a table with the keys {keys}", {"keys": ", ".join(cls.legal_keys())})
        refuse(
            {
                (key,): f"unknown key, expected one of {', '.join(cls.legal_keys())}"
                for key in values
                if key not in cls.model_fields and cls.model_config["extra"] == "forbid"
            }
        )
        return values

    @classmethod
    def legal_keys(cls) -> tuple[str, ...]:
        """The legal keys."""
        return tuple(cls.model_fields)


def explain(error: ValidationError, label: str, changed: Iterable[str] = ()) -> str:
    """All that is wrong, in one line: where, what is legal, what was given."""
    changed = tuple(changed)
    parts = []
    for each in error.errors(include_url=False):
        key = ".".join(str(part) for part in each["loc"])
        if each["type"] == "missing":
            text = "is missing"
        elif each["type"] == "refused":
            text = each["msg"]
        else:
            given = each["input"]
            text = each["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
            text = text.replace("a valid integer", "a whole number").partition(", unable")[0].partition(", got a number")[0]
            if each["type"] != "value_error" and not isinstance(given, (Mapping, list, tuple)):
                text += f", got {given!r}"
        if each["type"] == "too_short" and each["input"]:  # its items were refused
            continue
        source = "--set " if any(key == path or key.startswith(path + ".") for path in changed) else f"{label}: "
        parts.append(f"{source}{key}: {text}" if key else f"{source}{text}")
    return "; ".join(dict.fromkeys(parts))
