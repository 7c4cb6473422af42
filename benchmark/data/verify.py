"""Facts about a data folder: what is in it, what of it cannot be used, and what its splits know of each other."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, get_args

import numpy as np

from benchmark.data.annotation import is_contradiction
from benchmark.data.ccpd import MINIMUM_SIDE, PlateName
from benchmark.data.choosing import against_given, is_small, pairs_or_none, split_sources
from benchmark.data.duplicates import BITS, METHOD, Pairs, coarse_hashes, near_duplicates, thumbnail
from benchmark.data.folders import left_out
from benchmark.data.name_lists import find_lists, read_lists
from benchmark.data.pictures import cut_pair, in_chunks, load_crop, scan
from benchmark.data.plates import BadPack, open_pack
from benchmark.data.source import Source
from benchmark.data.splits import Counts, Protocol, Split, number_leaks
from benchmark.data.texts import alphabets
from benchmark.util.errors import UserError
from benchmark.util.terminal import cell

_LISTED = 20
_SPLITS: tuple[Split, ...] = ("train", "val", "test")
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)


def verify(
    folder: Path,
    counts: Counts,
    seed: int = 0,
    protocols: Sequence[Protocol] = PROTOCOLS,
    follow_links: bool = False,
) -> dict[str, Any]:
    """Read all names and decode all pictures below ``folder``; see :func:`verify_names` for the facts of names.

    Adds the files that cannot be read or whose names do not parse or fit, the folders left out, near-duplicate pictures
    across different names (in the folder, and within and across the splits of each protocol) and byte-identical files.
    Raises UserError if there is no plate in ``folder``.
    """
    sources, odd = scan(folder, follow_links)
    sources = pairs_or_none(sources, odd)
    odd += against_given(sources, split_sources(sources, protocols[0], counts, seed)) if _has_given(sources) else []
    folders = [(path, remark) for path, reason in odd if (remark := left_out(reason))]
    coarse, unreadable = _look(folder, sources)
    readable = np.flatnonzero([source.label not in unreadable for source in sources])
    pairs = near_duplicates(coarse, lambda i: load_crop(folder, sources[i])[0], readable)
    facts = _facts(sources, counts, seed, protocols, pairs)
    return facts | {
        "images": len(sources) + len(odd) - len(folders),
        "near_duplicates": {
            "method": METHOD,
            "pairs": pairs.total,
            "other_number": sum(sources[a].annotation.text != sources[b].annotation.text for a, b in _both(pairs)),
            "listed": [
                {"first": sources[a].label, "second": sources[b].label, "bits_apart": int(distance)}
                for (a, b), distance in zip(_both(pairs), pairs.distance)
            ],
        },
        "identical_files": _identical(folder, sources, unreadable),
        "misfits": sum(map(is_contradiction, [*unreadable.values(), *(reason for _, reason in odd)])),
        "unreadable": _listed([s.told(unreadable[s.label]) for s in sources if s.label in unreadable]),
        "unparsable": _listed(odd),
        "folders_left_out": _listed(folders),
    }


def _has_given(sources: list[Source]) -> bool:
    return any(source.listed and source.listed.split for source in sources)


def _listed(reasons: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"file": file, "reason": reason} for file, reason in reasons]


def verify_names(
    place: Path,
    counts: Counts,
    seed: int = 0,
    protocols: Sequence[Protocol] = PROTOCOLS,
    follow_links: bool = False,
) -> dict[str, Any]:
    """What names alone say. ``place``: a CCPD folder, whose pictures are not opened, or lists of names
    (:mod:`benchmark.data.name_lists`).

    Returns counts of pictures, distinct plate numbers, numbers seen more than once, pictures per sub-set and
    plates under 64 px, names that do not parse, and for each protocol the split that ``counts`` and ``seed``
    make, with what is in two of its parts. Raises UserError where there is no name to read.
    """
    lists = find_lists(place)
    sources, odd = read_lists(lists) if lists else scan(place, follow_links)
    folders = [(path, remark) for path, reason in odd if (remark := left_out(reason))]
    return _facts(sources, counts, seed, protocols, None) | {
        "images": len(sources) + len(odd) - len(folders),
        "unparsable": _listed(odd),
        "folders_left_out": _listed(folders),
    }


def verify_pack(folder: Path) -> list[str]:
    """What is wrong with a pack (reads all of it): a reason, or the plates whose pixels have changed."""
    try:
        plates = open_pack(folder)
    except BadPack as error:
        return [str(error)]
    return [f"{name}: its pixels are not those that were packed" for name in plates.damaged()]


def _look(folder: Path, sources: list[Source]) -> tuple[np.ndarray, dict[str, str]]:
    """Coarse hashes of all pictures (all 0 where there is none), and those that cannot be read with the reason."""

    def work(chunk: Sequence[Source]) -> list[np.ndarray | str]:
        thumbnails: list[np.ndarray | str] = []
        for source in chunk:
            try:
                thumbnails.append(thumbnail(cut_pair(folder, source)[0]))
            except ValueError as error:
                thumbnails.append(str(error))
        return thumbnails

    seen = [item for chunk in in_chunks(work, sources, None) for item in chunk]
    unreadable = {source.label: item for source, item in zip(sources, seen) if isinstance(item, str)}
    coarse = np.zeros((len(sources), BITS), dtype=bool)
    good = [i for i, item in enumerate(seen) if not isinstance(item, str)]
    for start in range(0, len(good), 4096):
        part = good[start : start + 4096]
        coarse[part] = coarse_hashes(np.stack([seen[i] for i in part]))
    return coarse, unreadable


def _identical(folder: Path, sources: list[Source], unreadable: dict[str, str]) -> list[list[str]]:
    """Groups of files with the same bytes; only files of the same size are read."""
    sizes: dict[int, list[str]] = defaultdict(list)
    for source in sources:
        if source.label not in unreadable and source.number == 1:
            sizes[os.stat(f"{folder}/{source.path}").st_size].append(source.path)
    groups: dict[bytes, list[str]] = defaultdict(list)
    for paths in sizes.values():
        for path in paths if len(paths) > 1 else ():
            groups[hashlib.sha256((folder / path).read_bytes()).digest()].append(path)
    return sorted(group for group in groups.values() if len(group) > 1)


def _facts(
    sources: list[Source], counts: Counts, seed: int, protocols: Sequence[Protocol], pairs: Pairs | None
) -> dict[str, Any]:
    names, texts = [source.label for source in sources], [source.annotation.text for source in sources]
    files = Counter(name.rsplit("/", 1)[-1] for name in names)
    repeated = [count for text, count in Counter(texts).items() if text and count > 1]
    splits: dict[str, Any] = {}
    for protocol in protocols:
        try:
            chosen = split_sources(sources, protocol, counts, seed)
        except UserError as error:
            splits[protocol] = {"error": str(error)}
            continue
        splits[protocol] = number_leaks(texts, chosen) | _same_name(names, chosen)
        if pairs is not None:
            splits[protocol] |= _pair_leaks(pairs, chosen, protocol)
    return {
        "plates": len(set(texts) - {""}),
        "repeated_plates": len(repeated),
        "images_of_repeated_plates": sum(repeated),
        "images_of_repeated_names": sum(count for count in files.values() if count > 1),
        "subsets": dict(Counter(name.split("/")[0] if "/" in name else "." for name in names)),
        "styles": dict(Counter(s.annotation.style for s in sources if isinstance(s.annotation, PlateName))),
        **({"alphabets": alphabets(texts)} if any(source.listed for source in sources) else {}),
        "under_64_px": sum(map(is_small, sources)),
        "splits": splits,
    }


def _same_name(names: list[str], chosen: dict[int, Split]) -> dict[str, int]:
    """Test pictures that are in the training split too, under the same file name in another folder."""
    files = {i: names[i].rsplit("/", 1)[-1] for i in chosen}
    train = {files[i] for i, split in chosen.items() if split == "train"}
    return {"test_names_seen": sum(split == "test" and files[i] in train for i, split in chosen.items())}


def _pair_leaks(pairs: Pairs, chosen: dict[int, Split], protocol: Protocol) -> dict[str, Any]:
    """Near-duplicate pairs within and across splits, and the pictures ``disjoint`` drops for them."""
    within = dict.fromkeys(_SPLITS, 0)
    across = {f"{a}-{b}": 0 for a, b in combinations(_SPLITS, 2)}
    dropped: set[int] = set()
    for a, b in _both(pairs):
        if a not in chosen or b not in chosen:
            continue
        first, second = sorted((a, b), key=lambda i: _SPLITS.index(chosen[i]))
        if chosen[first] == chosen[second]:
            within[chosen[first]] += 1
        else:
            across[f"{chosen[first]}-{chosen[second]}"] += 1
            dropped.add(first)
    return {
        "near_duplicates_within": within,
        "near_duplicates_across": across,
        "dropped": len(dropped) if protocol == "disjoint" else 0,
    }


def _both(pairs: Pairs) -> list[tuple[int, int]]:
    return list(zip(pairs.first.tolist(), pairs.second.tolist()))


def describe(facts: dict[str, Any]) -> str:
    """The facts as lines of text."""
    lines = [
        f"images               {facts['images']:,}",
        f"plates               {facts['plates']:,}",
        f"repeated plates      {facts['repeated_plates']:,} (in {facts['images_of_repeated_plates']:,} images)",
        f"repeated file names  {facts['images_of_repeated_names']:,} images",
        f"under {MINIMUM_SIDE} px          {facts['under_64_px']:,}",
    ]
    lines += [f"sub-set              {cell(name)}: {count:,}" for name, count in facts["subsets"].items()]
    lines += [f"names of style       {name}: {count:,}" for name, count in facts["styles"].items()]
    scripts = facts.get("alphabets", {})
    mixed = " (MIXED)" if len(scripts) > 1 else ""
    lines += [f"alphabet             {cell(name)}: {count:,} plates{mixed}" for name, count in scripts.items()]
    lines += [f"no alphabet in       {name}: {count:,} plates are not read by it" for name, count in
              facts.get("not_read", {}).items()]  # fmt: skip
    if reason := facts.get("not_read_unknown"):
        lines.append(f"no alphabet in       not known: {cell(reason)}")
    apart = {row["file"] for row in facts.get("folders_left_out", [])}
    for title, key in (("left out", "folders_left_out"), ("unreadable", "unreadable"), ("unparsable", "unparsable")):
        if key in facts:
            rows = [
                f"{row['file']}: {row['reason']}"
                for row in facts[key]
                if key != "unparsable" or row["file"] not in apart
            ]
            lines += _listing(title, len(rows), rows)
    if facts.get("misfits"):
        lines.append(
            f"{'annotation misfits':<21}{facts['misfits']:,} (of those above: the picture contradicts its name)"
        )
    if "identical_files" in facts:
        groups = facts["identical_files"]
        lines += _listing("identical files", sum(map(len, groups)), [" = ".join(group) for group in groups])
        near = facts["near_duplicates"]
        rows = [f"{row['bits_apart']:>2} bits apart: {row['first']} ~ {row['second']}" for row in near["listed"]]
        lines += _listing("near-duplicate pairs", near["pairs"], rows)
        lines.append(f"  of other plate number: {near['other_number']:,} (by {near['method']})")
    return "\n".join([*lines, "", *_split_table(facts["splits"])])


def _listing(title: str, count: int, rows: list[str]) -> list[str]:
    more = [f"  … and {len(rows) - _LISTED:,} more (--json lists all)"] if len(rows) > _LISTED else []
    return [f"{title:<21}{count:,}", *(f"  {cell(row)}" for row in rows[:_LISTED]), *more]


def _split_table(splits: dict[str, Any]) -> list[str]:
    """One column a protocol."""
    errors = [f"{protocol}: {facts['error']}" for protocol, facts in splits.items() if "error" in facts]
    made = {protocol: facts for protocol, facts in splits.items() if "error" not in facts}
    if not made:
        return errors
    table: list[tuple[str, list[str]]] = [("split", list(made))]
    columns = list(made.values())

    def row(title: str, values: list[Any]) -> None:
        table.append((title, [f"{value:,}" if isinstance(value, int) else value for value in values]))

    for split in _SPLITS:
        row(f"{split}: pictures", [c["pictures"][split] for c in columns])
        row(f"{split}: plate numbers", [c["plates"][split] for c in columns])
    for pair in columns[0]["shared_plates"]:
        row(f"plate numbers in {pair.replace('-', ' and ')}", [c["shared_plates"][pair] for c in columns])
    shares = [(c["test_plates_seen"], c["pictures"]["test"]) for c in columns]
    row("test pictures whose plate number is in train", [f"{n:,} ({n / max(1, of):.1%})" for n, of in shares])
    row("test pictures whose file name is in train", [c["test_names_seen"] for c in columns])
    if "dropped" in columns[0]:
        for split in _SPLITS:
            row(f"near-duplicate pairs within {split}", [c["near_duplicates_within"][split] for c in columns])
        for pair in columns[0]["near_duplicates_across"]:
            title = f"near-duplicate pairs across {pair.replace('-', ' and ')}"
            row(title, [c["near_duplicates_across"][pair] for c in columns])
        row("pictures dropped for them", [c["dropped"] for c in columns])
    width = max(len(title) for title, _ in table)
    return [f"{title:<{width}}" + "".join(f"{value:>16}" for value in values) for title, values in table] + errors
