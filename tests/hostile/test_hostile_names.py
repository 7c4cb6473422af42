"""File names from strangers: a plate that can be written as a name again, or a ValueError."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings

from benchmark.data.ccpd import parse_name
from hostile import names

SEEN: Counter[str] = Counter()


@settings(max_examples=400, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(names.names)
def test_a_name_is_a_plate_or_refused(name: str) -> None:
    SEEN[names.check(name)] += 1


def test_both_outcomes_were_tried() -> None:
    if SEEN:  # the test above was run
        assert SEEN["accepted"] > 20 and SEEN["refused"] > 100


@pytest.mark.parametrize(
    "part, changed",
    [
        ("154&383_386&473", "154&383_" + "9" * 5000 + "&473"),  # no picture of 10^5000 pixels is asked for
        ("154&383_386&473", "154&383_9999999999&473"),
        ("-37-15", "-37-" + "9" * 5000),
        ("0_0_22", "0_0_" + "9" * 5000),
        ("025-", "٠٢٥-"),  # digits of another script are not CCPD's
        (".jpg", ".jpg\n"),
        ("0_0_22_27_27_33_16", "0_0_22_27_27_33_-1"),
    ],
)
def test_names_that_are_refused(part: str, changed: str) -> None:
    assert part in names.GOOD and parse_name(names.GOOD)
    with pytest.raises(ValueError):
        parse_name(names.GOOD.replace(part, changed, 1))
