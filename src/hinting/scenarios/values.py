"""Types of the values that a scenario file holds, and the base of its tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from hinting.errors import UnitError
from hinting.units import parse_duration, parse_size, size_pages

__all__ = ["Duration", "Pages", "Size", "Table", "refuse"]


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
