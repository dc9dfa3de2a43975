"""The request and answer models of the API, built from the contract's field definitions."""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    TypeAdapter,
    ValidationError,
    create_model,
)

from contract import employee
from contract.classifier import Decision

__all__ = [
    "BATCH",
    "MAX_RECORDS",
    "Answer",
    "Employee",
    "Problem",
    "RecordError",
    "ReleaseAnswer",
    "record_errors",
    "request_schema",
]

MAX_RECORDS = 1_000
"""Records a request may hold: a batch of them keeps the event loop busy for tens of ms."""


class RecordError(BaseModel):
    """One thing wrong with a request; the value that was found is never repeated."""

    record: int | None = Field(description="Index of the record in the request, from 0")
    field: str | None = Field(description="Field of the record; null: the record or the request")
    expected: str = Field(description="What belongs there")


class Problem(BaseModel):
    """Problem details after RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[RecordError] | None = None


class _Outlier(BaseModel):
    is_outlier: bool = Field(description="Whether the record is unlike the training population")
    score: float = Field(description="How surprising its fields are together, in squared nats")
    features: list[str] = Field(description="The fields that make it an outlier, at most three")
    broken_rules: list[str] = Field(description="Business rules that the record breaks")


class _Reason(BaseModel):
    feature: str
    contribution: float = Field(
        description="What the field adds to the log-odds of leaving, less its mean over the "
        "training population: positive raises the probability"
    )


class _Prediction(BaseModel):
    attrition_probability: float = Field(ge=0, le=1)
    interval: list[Annotated[float, Field(ge=0, le=1)]] = Field(
        min_length=2, max_length=2, description="How sure the probability is: lower and upper end"
    )
    decision: Decision = Field(
        description="`refer`: not enough evidence, a person has to look: the interval holds the "
        "release's threshold, or the record is an outlier"
    )
    outlier: _Outlier
    reasons: list[_Reason] = Field(description="The three largest, largest first")


class Answer(BaseModel):
    """One prediction for each record, in the order of the request."""

    release: str
    predictions: list[_Prediction]


class ReleaseAnswer(BaseModel):
    """Which release this process serves."""

    version: str
    manifest_sha256: str


def _definition(field: employee.Field) -> tuple[Any, Any]:
    described = Field(description=employee.expected(field))
    match field:
        case employee.Integer():
            limits = Field(ge=field.minimum, le=field.maximum)
            return (Annotated[int, Strict(), limits, described], ...)
        case employee.Category():
            literal: Any = Literal
            return (Annotated[literal[field.categories], described], ...)


def _employee() -> type[BaseModel]:
    fields: dict[str, Any] = {field.name: _definition(field) for field in employee.FIELDS}
    ignored = Field(default=None, description="Accepted and dropped", deprecated=True)
    fields |= dict.fromkeys(employee.IGNORED, (Any, ignored))
    return create_model(
        "Employee",
        __config__=ConfigDict(extra="forbid"),
        __doc__="An employee under the IBM column names.",
        **fields,
    )


Employee = _employee()
# A name bound to a type made at run time is no type to a checker.
_batch: Any = Annotated[list[Employee], Field(min_length=1, max_length=MAX_RECORDS)]  # pyright: ignore[reportInvalidTypeForm]
BATCH: TypeAdapter[list[BaseModel]] = TypeAdapter(_batch)

_ERROR_FIELDS = tuple(RecordError.model_fields)
_EXPECTED = {field.name: employee.expected(field) for field in employee.FIELDS}
_EXPECTED_BATCH = f"a JSON array of 1 to {MAX_RECORDS} employee records"
_EXPECTED_RECORD = f"a JSON object with the {len(employee.FIELDS)} fields of an employee record"
_EXPECTED_NOTHING = f"no other fields than the {len(employee.FIELDS)} of an employee record"


def record_errors(error: ValidationError) -> list[dict[str, int | str | None]]:
    """Say what belongs where something is wrong, as `RecordError`s: each place once, in order."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    places = dict.fromkeys(_place(each["type"], each["loc"]) for each in found)
    return [dict(zip(_ERROR_FIELDS, place, strict=True)) for place in places]


def request_schema() -> dict[str, Any]:
    """Return the JSON schema of a request, without references, for the API's document."""
    schema = BATCH.json_schema(ref_template="#/$defs/{model}")
    schema["items"] = schema.pop("$defs")[Employee.__name__]
    return schema


def _place(kind: str, location: tuple[int | str, ...]) -> tuple[int | None, str | None, str]:
    match location:
        case (int() as record, str() as name) if name in _EXPECTED:
            return record, name, _EXPECTED[name]
        case (int() as record, employee.TARGET) if kind == "extra_forbidden":
            return record, employee.TARGET, "not to be sent: it is what the answer predicts"
        case (int() as record, str()):
            # The name is the client's own text, so it is not repeated either.
            return record, None, _EXPECTED_NOTHING
        case (int() as record, *_):
            return record, None, _EXPECTED_RECORD
        case _:
            return None, None, _EXPECTED_BATCH
