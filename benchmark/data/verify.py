"""Facts about a CCPD folder: what is in it, and what of it cannot be used."""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmark.data.ccpd import MINIMUM_SIDE
from benchmark.data.pack import Source, load_crop, scan
from benchmark.errors import first_line

_LISTED = 20


def verify(folder: Path) -> dict[str, Any]:
    """Read all names and decode all pictures below ``folder``.

    Returns counts of pictures, distinct plates, plates seen more than once, pictures per sub-set,
    plates under 64 px, and the files that cannot be read or whose names do not parse. Raises
    UserError if ``folder`` is no CCPD folder.
    """
    sources, odd = scan(folder)
    texts = Counter(source.name.text for source in sources)
    repeated = {text: count for text, count in texts.items() if count > 1}

    def problem(source: Source) -> tuple[str, str] | None:
        try:
            load_crop(folder, source)
        except (OSError, ValueError, SyntaxError) as error:
            return source.path, first_line(error)
        return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        unreadable = [found for found in pool.map(problem, sources) if found]
    return {
        "images": len(sources) + len(odd),
        "plates": len(texts),
        "repeated_plates": len(repeated),
        "images_of_repeated_plates": sum(repeated.values()),
        "subsets": dict(Counter(source.path.split("/")[0] if "/" in source.path else "." for source in sources)),
        "styles": dict(Counter(source.name.style for source in sources)),
        "under_64_px": sum(_is_small(source) for source in sources),
        "unreadable": [{"file": file, "reason": reason} for file, reason in unreadable],
        "unparsable": [{"file": file, "reason": reason} for file, reason in odd],
    }


def describe(facts: dict[str, Any]) -> str:
    """The facts as lines of text."""
    lines = [
        f"images               {facts['images']:,}",
        f"plates               {facts['plates']:,}",
        f"repeated plates      {facts['repeated_plates']:,} (in {facts['images_of_repeated_plates']:,} images)",
        f"under {MINIMUM_SIDE} px          {facts['under_64_px']:,}",
    ]
    lines += [f"sub-set              {name}: {count:,}" for name, count in facts["subsets"].items()]
    lines += [f"names of style       {name}: {count:,}" for name, count in facts["styles"].items()]
    for key in ("unreadable", "unparsable"):
        lines.append(f"{key:<21}{len(facts[key]):,}")
        lines += [f"  {row['file']}: {row['reason']}" for row in facts[key][:_LISTED]]
        if len(facts[key]) > _LISTED:
            lines.append(f"  … and {len(facts[key]) - _LISTED:,} more (--json lists all)")
    return "\n".join(lines)


def _is_small(source: Source) -> bool:
    left, top, right, bottom = source.name.bbox
    return right - left < MINIMUM_SIDE or bottom - top < MINIMUM_SIDE
