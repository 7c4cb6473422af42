"""The kinds of fields of a record, and the object that all its parts are."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(max_length=20_000)]
Count = Annotated[int, Field(ge=0, le=2**53)]
Version = Annotated[int, Field(ge=1, le=2**53)]
NonNegative = Annotated[float, Field(ge=0)]
FileName = Annotated[str, Field(pattern=r"^((samples|samples_last|exhibits)/)?[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Part(BaseModel):
    """An object of ``result.json``: values of exactly the types that are said, nothing infinite, never changed."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="allow", allow_inf_nan=False, use_attribute_docstrings=True,
        protected_namespaces=(),
    )  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """The content as JSON has it: what was given, and nothing more."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)
