"""The request and answer models of the API, built from the contract's field definitions.

They are the API's document, and the judge of every request that the short way of `app.records` does
not take. What a record may leave out depends on the release: a field that no model of it looks at.
"""

from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    create_model,
)

# Pydantic takes no other on Python 3.11.
from typing_extensions import TypedDict

from contract import employee
from contract.classifier import Decision
from contract.drift import EffectKind, Status

__all__ = [
    "MAX_RECORDS",
    "Answer",
    "DriftAnswer",
    "Problem",
    "RecordError",
    "ReleaseAnswer",
    "batch_errors",
    "record_errors",
    "record_model",
    "request_schema",
]

MAX_RECORDS = 1_000
"""Records a request may hold."""

_Share = Annotated[float, Field(ge=0, le=1)]


class RecordError(TypedDict):
    """One thing wrong with a request; the value that was found is never repeated."""

    record: Annotated[int | None, Field(description="Index of the record in the request, from 0")]
    field: Annotated[
        str | None, Field(description="Field of the record; null: the record or the request")
    ]
    expected: Annotated[str, Field(description="What belongs there")]


class Problem(BaseModel):
    """Problem details after RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str = Field(description="As in the header X-Request-ID and in the service's log")
    errors: list[RecordError] | None = Field(default=None, description="Every place, for 422")


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
    attrition_probability: _Share
    interval: list[_Share] = Field(
        min_length=2, max_length=2, description="How sure the probability is: lower and upper end"
    )
    decision: Decision = Field(
        description="`refer`: not enough evidence, a person has to look: the interval holds the "
        "release's threshold, or the record is an outlier"
    )
    outlier: _Outlier
    reasons: list[_Reason] = Field(description="The three largest, largest first")


class _Drift(BaseModel):
    status: Status = Field(description="Whether the last records that this process answered drift")
    records: int = Field(description="Records in the window that was judged")
    features: list[str] = Field(description="The fields that drifted")


class Answer(BaseModel):
    """One prediction for each record, in the order of the request."""

    release: str
    predictions: list[_Prediction | None] = Field(
        description="null for a record that is reported in `errors`, only with on_error=report"
    )
    drift: _Drift
    errors: list[RecordError] | None = Field(
        default=None, description="Every place that is wrong, only with on_error=report"
    )


class _FeatureDrift(BaseModel):
    feature: str
    test: Literal["ks", "chi_squared"] = Field(description="Whole numbers, or categories")
    p_value: _Share
    q_value: _Share = Field(description="Adjusted for the number of fields")
    effect_kind: EffectKind
    effect: float = Field(ge=0)
    psi: float = Field(description="Population stability index")
    drifted: bool


class DriftAnswer(BaseModel):
    """The window of records that this process answered last, compared with the training table."""

    status: Status
    records: int
    features: list[_FeatureDrift] = Field(description="None without enough data")


class ReleaseAnswer(BaseModel):
    """Which release this process serves, how good it is, and where to read more."""

    version: str
    manifest_sha256: str
    metrics: dict[str, float]
    model_card: str = Field(description="Path of the release's model card")


def record_model(optional: Collection[str]) -> type[BaseModel]:
    """Build the model of a record, in which the fields named in `optional` may be left out."""
    fields: dict[str, Any] = {field.name: _definition(field, optional) for field in employee.FIELDS}
    ignored = Field(default=None, description="Accepted and dropped", deprecated=True)
    fields |= dict.fromkeys(employee.IGNORED, (Any, ignored))
    return create_model(
        "Employee",
        __config__=ConfigDict(extra="forbid"),
        __doc__="An employee under the IBM column names.",
        **fields,
    )


def _definition(field: employee.Field, optional: Collection[str]) -> tuple[Any, Any]:
    match field:
        case employee.Integer():
            limits = Field(ge=field.minimum, le=field.maximum)
            kind: Any = Annotated[int, Strict(), limits]
        case employee.Category():
            literal: Any = Literal
            kind = literal[field.categories]
    described = employee.expected(field)
    if field.name not in optional:
        return (Annotated[kind, Field(description=described)], ...)
    described = f"{described}; may be left out: no model of this release looks at it"
    # None stands for absence alone: null is not what the field may hold.
    return (Annotated[kind, Field(description=described)], None)


_EXPECTED = {field.name: employee.expected(field) for field in employee.FIELDS}
_EXPECTED_BATCH = f"a JSON array of 1 to {MAX_RECORDS} employee records"
_EXPECTED_RECORD = f"a JSON object with the {len(employee.FIELDS)} fields of an employee record"
_EXPECTED_NOTHING = f"no other fields than the {len(employee.FIELDS)} of an employee record"


def record_errors(error: ValidationError, record: int) -> list[RecordError]:
    """Say what belongs where something is wrong in the record of that index: each place once."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    places = dict.fromkeys(_place(each["type"], each["loc"]) for each in found)
    return [{"record": record, "field": field, "expected": text} for field, text in places]


def batch_errors() -> list[RecordError]:
    """Say what belongs in a body that is no batch."""
    return [{"record": None, "field": None, "expected": _EXPECTED_BATCH}]


def request_schema(record: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of a request, without references, for the API's document."""
    items = record.model_json_schema()
    for definition in items["properties"].values():
        # A default stands for absence here, and null is refused.
        definition.pop("default", None)
    return {"type": "array", "minItems": 1, "maxItems": MAX_RECORDS, "items": items}


def _place(kind: str, location: tuple[int | str, ...]) -> tuple[str | None, str]:
    match location:
        case (str() as name,) if name in _EXPECTED:
            return name, _EXPECTED[name]
        case (employee.TARGET,) if kind == "extra_forbidden":
            return employee.TARGET, "not to be sent: it is what the answer predicts"
        case (str(),):
            # The name is the client's own text, so it is not repeated either.
            return None, _EXPECTED_NOTHING
        case _:
            return None, _EXPECTED_RECORD
