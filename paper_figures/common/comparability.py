"""What may stand in one table: results made with the same data, protocol, budget and OCR engines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from benchmark.results.record import Record
from benchmark.results.record_parts import OcrEngineFacts
from benchmark.results.record_provenance import WarmStart

_BUDGET = ("batch_size", "learning_rate", "warmup", "recipe", "precision")


def differences(records: Sequence[Record]) -> list[tuple[str, ...]]:
    """For every result the conditions in which it departs from what most of them have."""
    conditions = [_conditions(record) for record in records]
    usual: dict[str, Any] = {}
    for key in dict.fromkeys(k for c in conditions for k in c):
        usual[key] = Counter(repr(c[key]) for c in conditions if key in c).most_common(1)[0][0]
    return [tuple(f"{key} {_short(c[key])}" for key in c if repr(c[key]) != usual[key]) for c in conditions]


def refusal(records: Sequence[Record], differs: Sequence[tuple[str, ...]]) -> str:
    """Why these results do not belong in one table; ``differs`` is what :func:`differences` gave."""
    odd = [f"{r.method} seed {r.seed} ({', '.join(d)})" for r, d in zip(records, differs, strict=True) if d]
    more = f" and {len(odd) - 4} more" if len(odd) > 4 else ""
    return (
        "results made under different conditions do not belong in one table: "
        f"{'; '.join(odd[:4])}{more} differ from the rest; run these again, put them in another run, or"
        " show them marked with --allow-mixed"
    )


def _conditions(record: Record) -> dict[str, Any]:
    """What must be equal for two results to be compared. A budget only matters where something is trained."""
    data, config = record.scored_data, record.config
    conditions = {
        "data": data.fingerprint,
        "protocol": data.protocol,
        "test plates": data.test,
        "inference": "patches" if config.scoring.inference == "patches" else "plate",
        "OCR engine": _engine(record.judge),
        "second OCR engine": _engine(record.second_judge),
    }
    if record.parameters:
        budget = {field: getattr(config.train, field) for field in _BUDGET}
        conditions |= {
            "training plates": record.data.train,
            "iterations": record.iterations,
            "start": _start(record.warm_start),
            **budget,
        }
    return conditions


def _engine(engine: OcrEngineFacts | None) -> tuple[str, ...]:
    return (engine.name, engine.version, engine.sha256) if engine else ()


def _start(warm: WarmStart | None) -> Any:
    """What training started from: weights with a budget of their own are no equal start."""
    return "random" if warm is None else ("warm", f"{warm.iterations}×{warm.batch_size}", warm.reference)


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(_short(v) for v in value if v) or "none"
    return str(value)[:12]
