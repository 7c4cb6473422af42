"""What may stand in one table: results made with the same data, protocol, budget and OCR engines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

_BUDGET = ("train.batch_size", "train.learning_rate", "train.warmup", "train.recipe", "train.precision")


def setting(info: dict[str, Any], path: str) -> Any:
    """``config`` field of a ``result.json`` by dotted name; None where the result does not have it."""
    value: Any = info.get("config")
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def differences(infos: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """For every ``result.json`` the conditions in which it departs from what most of them have."""
    conditions = [_conditions(info) for info in infos]
    usual: dict[str, Any] = {}
    for key in dict.fromkeys(k for c in conditions for k in c):
        usual[key] = Counter(repr(c[key]) for c in conditions if key in c).most_common(1)[0][0]
    return [tuple(f"{key} {_short(c[key])}" for key in c if repr(c[key]) != usual[key]) for c in conditions]


def refusal(infos: Sequence[dict[str, Any]], differs: Sequence[tuple[str, ...]]) -> str:
    """Why these results do not belong in one table; ``differs`` is what :func:`differences` found."""
    odd = [f"{i['method']} seed {i['seed']} ({', '.join(d)})" for i, d in zip(infos, differs, strict=True) if d]
    more = f" and {len(odd) - 4} more" if len(odd) > 4 else ""
    return (
        "results made under different conditions do not belong in one table: "
        f"{'; '.join(odd[:4])}{more} differ from the rest; run these again, put them in another run, or"
        " show them marked with --allow-mixed"
    )


def _conditions(info: dict[str, Any]) -> dict[str, Any]:
    """What must be equal for two results to be compared. A budget only matters where something is trained."""
    data, engine, second = (
        info.get("test_data") or info["data"],
        info.get("judge") or {},
        info.get("second_judge") or {},
    )
    conditions = {
        "data": data.get("fingerprint"),
        "protocol": data.get("protocol"),
        "test plates": data.get("test"),
        "inference": "patches" if setting(info, "scoring.inference") == "patches" else "plate",
        "OCR engine": (engine.get("name"), engine.get("version"), engine.get("sha256")),
        "second OCR engine": (second.get("name"), second.get("version"), second.get("sha256")),
    }
    if info.get("parameters"):
        conditions |= {
            "training plates": data.get("train"),
            "iterations": info.get("iterations"),
            "start": _start(info),
            **{field.split(".")[1]: setting(info, field) for field in _BUDGET},
        }
    return conditions


def _start(info: dict[str, Any]) -> Any:
    """What training started from: weights with a budget of their own are no equal start."""
    warm = info.get("warm_start")
    if not isinstance(warm, dict):
        return "random"
    return "warm", f"{warm.get('iterations')}×{warm.get('batch_size')}", warm.get("reference")


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(_short(v) for v in value if v) or "none"
    return str(value)[:12]
