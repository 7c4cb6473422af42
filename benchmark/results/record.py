"""The record of a result: what ``result.json`` holds, as a model that is also its published schema.

``schema/result-4.json`` is generated from here (``python -m benchmark.results.record``); a test holds the two together.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError, model_validator
from pydantic.json_schema import GenerateJsonSchema

from benchmark.results.record_config import DataFacts, StoredConfig, TestData
from benchmark.results.record_fields import Count, FileName, Part, Text
from benchmark.results.record_parts import (
    CLOCKS_SCHEMA,
    SCORES_SCHEMA,
    Abstention,
    Clocks,
    Cost,
    Facts,
    Failure,
    OcrEngineFacts,
    Scores,
    StoredFile,
)
from benchmark.results.record_provenance import Provenance, Source, Versions, WarmStart

SCHEMA = 4
"""Version of ``result.json`` as it is written now; all from 1 on can be read."""
UPPER_BOUND = "hr"
"""Name under which the HR plates themselves are scored: what a perfect method would reach."""
PUBLISHED = Path(__file__).parent / "schema" / f"result-{SCHEMA}.json"
"""The schema for other programs."""
_LONGEST_SHOWN = 60


@dataclass(frozen=True)
class _Rule:
    """Fields that a record must have (dotted: below others), if it is of a status, schema and kind."""

    fields: tuple[str, ...]
    status: str | None = None
    since: int = 1
    trained: bool = False
    own: bool = False
    """Only where the run's own test plates were scored."""

    def missing(self, record: Record) -> list[str]:
        if self.status not in (None, record.status) or record.schema_ < self.since:
            return []
        if (self.trained and record.method == UPPER_BOUND) or (self.own and record.test_data is not None):
            return []
        return [field for field in self.fields if not _has(record, field)]

    def json_schema(self) -> dict[str, Any]:
        """The same for the published schema."""
        conditions: dict[str, Any] = {"schema": {"minimum": self.since}} if self.since > 1 else {}
        conditions |= {"status": {"const": self.status}} if self.status else {}
        conditions |= {"method": {"not": {"const": UPPER_BOUND}}} if self.trained else {}
        conditions |= {"test_data": {"type": "null"}} if self.own else {}
        return {"if": {"properties": conditions}, "then": _required(self.fields)}


_NULLABLE = ("judge", "second_judge", "paper_parameters")
"""Fields whose null says something; null in the place of another is as if it were not there."""


def _has(record: Part | dict[str, Any], path: str) -> bool:
    name, _, rest = path.partition(".")
    if isinstance(record, dict):
        return name in record
    value = getattr(record, name)
    given = name in record.model_fields_set and (value is not None or name in _NULLABLE)
    return given and (not rest or _has(value, rest))


def _required(paths: tuple[str, ...]) -> dict[str, Any]:
    """``required`` in JSON Schema, of fields and of those below them."""
    split = [path.partition(".") for path in paths]
    below = {name: _required((rest,)) if rest else {"not": {"type": "null"}} for name, _, rest in split}
    properties = {name: schema for name, schema in below.items() if name not in _NULLABLE}
    return {"required": list(below), "properties": properties}


_RULES = (
    _Rule(("error",), status="failed"),
    _Rule(("scores",), status="complete"),
    _Rule(("title", "groups", "notes", "config", "data", "judge", "second_judge", "provenance", "files"), since=3),
    _Rule(("scores.best.psnr", "clocks", "scoring_identity", "source"), status="complete", since=3),
    _Rule(("versions",), status="complete", since=4),
    _Rule(
        ("family", "citation", "options", "parameters", "paper_parameters", "iterations", "best_iteration", "identity",
         "ingredients", "cost"), status="complete", since=3, trained=True,
    ),
    _Rule(("scores.last",), status="complete", since=3, trained=True, own=True),
)  # fmt: skip


def _publish(schema: dict[str, Any]) -> None:
    two_hashes = {
        "if": {"properties": {"schema": {"minimum": 2}}},
        "then": {"properties": {"source": {"type": "object"}}},
    }
    schema["allOf"] = [*(rule.json_schema() for rule in _RULES), two_hashes]


class Record(Part):
    """One method trained with one seed and scored on the test plates of a run, or a failure to do so.

    Files of schema 1 to 3 fit, too. Schema 2 split schema 1's source into two hashes and added scoring_identity,
    second_judge, ingredients and cost; schema 3 added files, schema 4 versions. Fields that are not described may be
    there.
    """

    model_config = ConfigDict(title=f"result.json of the plate super-resolution benchmark, schema {SCHEMA}",
                              json_schema_extra=_publish)  # fmt: skip

    schema_: Annotated[int, Field(alias="schema", ge=1, le=SCHEMA)]
    """Version of this form."""
    status: Literal["complete", "failed"]
    """failed: nothing was scored, and error says why."""
    method: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$")]
    """Name of the method, also its folder's; hr: the original plates themselves, the upper bound."""
    seed: Annotated[int, Field(ge=0, le=999_999_999)]
    """Seed of the training; the folder is seed<k>."""
    title: Text = ""
    """The method's name as tables print it."""
    groups: list[Text] = Field(default_factory=list)
    """Named sets the method belongs to; bound for hr."""
    family: Text = ""
    """Section of the configuration whose options the method takes."""
    citation: Text = ""
    """Where the method was published."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Options of the method, all of them, as it was created."""
    parameters: Count | None = None
    """Trainable parameters of the upscaling network; hr has none."""
    paper_parameters: Count | None = None
    """Parameters that the paper's Table 1 prints; null where it has none."""
    iterations: Count = 0
    """Optimizer iterations made; 0 where nothing is learnt."""
    best_iteration: Count = 0
    """Iteration of the weights that are scored: the best on validation plates."""
    selected_as: Text = ""
    """What these weights are where the last ones are the method as published, which plates_last.csv has the scores of;
    empty or not there where the best are the method."""
    identity: Text = ""
    """Hash of everything the weights depend on: method, options, seed, data, configuration, external weights, versions;
    empty where it failed before that was known."""
    scoring_identity: Text = ""
    """Hash of everything that scores depend on beside the weights: plates, OCR engines, version."""
    ingredients: dict[str, Text] = Field(default_factory=dict)
    """External weights: SHA-256 of files from elsewhere that training depends on, by purpose."""
    warm_start: WarmStart | None = None
    """What training started from, if not from random weights."""
    versions: Versions | None = None
    """Declared versions of what computed the result."""
    source: Source | Text | None = None
    """Hashes of the source the result was computed with; schema 1 has one over everything."""
    facts: Facts = Facts()
    """What training found out about compiled networks."""
    notes: list[Text] = Field(default_factory=list)
    """Footnotes: choices that depart from the publication."""
    config: StoredConfig = StoredConfig()
    """The whole configuration of the run."""
    data: DataFacts = DataFacts(name="", fingerprint="", test=0)
    """The plates."""
    test_data: TestData | None = None
    """The plates that were scored, where they are not the test plates of data."""
    judge: OcrEngineFacts | None = None
    """The OCR engine; null: nobody read."""
    second_judge: OcrEngineFacts | None = None
    """The second OCR engine; null: there was none."""
    scores: Scores = Scores(best={})
    """Scores on the test plates."""
    abstention: dict[Literal["judge", "second_judge"], Abstention] = Field(default_factory=dict)
    """Thresholds of the XLPSR score by OCR engine, where its characters' confidences are known; of the weights that
    scores.best is of."""
    abstention_last: dict[Literal["judge", "second_judge"], Abstention] = Field(default_factory=dict)
    """The same of the last weights, where selected_as is there; earlier versions did not store it."""
    cost: Cost = Cost()
    """What upscaling costs."""
    clocks: Clocks = Field(default_factory=dict)
    """Wall times of the parts of the job, in seconds. What was interrupted and went on is included."""
    files: dict[FileName, StoredFile] = Field(default_factory=dict)
    """The other files of the result, by path below its folder. Weights and pictures may be left out of a copy."""
    provenance: Provenance = Provenance()
    """Of the training (and of the scoring, unless scoring_provenance is there)."""
    scoring_provenance: Provenance | None = None
    """Of a scoring that came after the training."""
    error: Failure | None = None
    """Why the method failed."""

    @model_validator(mode="after")
    def _whole(self) -> Record:
        for rule in _RULES:
            if missing := rule.missing(self):
                raise ValueError(f"lacks {', '.join(map(repr, missing))}")
        if self.schema_ >= 2 and "source" in self.model_fields_set and not isinstance(self.source, Source):
            raise ValueError("source is not an object")
        return self

    @property
    def complete(self) -> bool:
        """False for a stored failure."""
        return self.status == "complete"

    @property
    def reason(self) -> str:
        """Why it failed, in a line; "" where it did not."""
        return self.error.message if self.error else ""

    @property
    def trained_source(self) -> dict[str, str]:
        """Hash of the source that trained it, as ``training``; none for hr, and in schema 1, which has one for all."""
        return {"training": self.source.training} if isinstance(self.source, Source) and self.source.training else {}

    def mean(self, metric: str) -> float | None:
        """Mean of a score of the weights that tables show; None if it was not taken or is infinite."""
        summary = self.scores.best.get(metric)
        return summary.mean if summary else None

    @property
    def scored_data(self) -> DataFacts:
        """The plates that were scored."""
        return self.test_data or self.data

    @property
    def is_bound(self) -> bool:
        """Whether the HR plates themselves were scored."""
        return self.method == UPPER_BOUND


def parse(info: Any) -> Record:
    """The record that ``info`` (as JSON gives it) is. Raises ValueError, naming the field at fault in one line."""
    if not isinstance(info, dict):
        raise ValueError("it does not fit its schema: its content: is not an object")
    if type(info.get("schema")) is int and info["schema"] > SCHEMA:
        raise ValueError(f"a newer version of this benchmark wrote it (schema {info['schema']}): update this one")
    try:
        return Record.model_validate(info)
    except ValidationError as error:
        raise ValueError(f"it does not fit its schema: {_first(error)}") from None


def _first(error: ValidationError) -> str:
    """What is wrong, in the field nearest to the top, without repeating all that is in it."""
    errors = error.errors(include_url=False, include_context=True)
    missing = [str(e["loc"][-1]) for e in errors if e["type"] == "missing" and len(e["loc"]) == 1]
    if missing:
        return f"its content: lacks {', '.join(map(repr, missing))}"
    first = min(errors, key=lambda e: len(e["loc"]))
    parts = [str(part) for part in first["loc"]]
    if parts[-1:] == ["[key]"]:  # what is wrong with a name is said of what it names
        parts = parts[:-2]
    place = ".".join(part for part in parts if part not in _BRANCHES)
    kind, context, shown = first["type"], first.get("ctx", {}), _shown(first["input"])
    if kind == "missing":
        words = f"lacks {str(first['loc'][-1])!r}"
        place = ".".join(map(str, first["loc"][:-1]))
    elif kind == "value_error":
        words = str(context["error"])
    elif kind in ("greater_than_equal", "less_than_equal"):
        words = f"{shown} is " + (f"less than {context['ge']}" if "ge" in context else f"more than {context['le']}")
    elif kind == "string_pattern_mismatch":
        words = f"{shown} fails pattern {context['pattern'][:_LONGEST_SHOWN]}"
    elif kind in _KINDS:
        words = f"is not {_KINDS[kind]}"
    else:
        words = f"{shown}: {first['msg'].lower()[:_LONGEST_SHOWN]}"
    return f"{place or 'its content'}: {words}"


_BRANCHES = ("Source", "constrained-str")
"""What pydantic calls the alternatives of a field that has several."""
_KINDS = {
    "string_type": "a string", "int_type": "an integer", "float_type": "a number", "bool_type": "a boolean",
    "list_type": "an array", "dict_type": "an object", "model_type": "an object",
}  # fmt: skip


def _shown(value: Any) -> str:
    return json.dumps(value, default=str)[:_LONGEST_SHOWN]


class _Generator(GenerateJsonSchema):
    """JSON Schema without titles made of the names of fields, and without what is read here where one is lacking."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> dict[str, Any]:
        return self.generate_inner(schema["schema"])


def published_text() -> str:
    """The published schema as it stands in :data:`PUBLISHED`."""
    schema = Record.model_json_schema(by_alias=True, schema_generator=_Generator)
    for field in schema["$defs"]["Scores"]["properties"].values():
        field |= SCORES_SCHEMA
    schema["properties"]["clocks"] |= CLOCKS_SCHEMA
    schema["properties"]["files"] |= {"additionalProperties": False}  # other names than the pattern's
    return json.dumps({"$schema": GenerateJsonSchema.schema_dialect, **schema}, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PUBLISHED.write_text(published_text(), encoding="utf-8")
