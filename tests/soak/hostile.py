"""Thousands of hostile inputs, and a table of what came of them: ``python tests/soak/hostile.py``.

Names, pictures, packs, configurations, results, checkpoints, plug-ins and texts are made from good ones (see
``tests/hostile``); each must be taken, refused in one clear line, or made anew, and nothing else may suffer. The same
numbers make the same inputs. Takes minutes on one core; exits with 1 where anything failed.
``--share 0.1`` takes a tenth of them, ``--only packs`` one row of the table.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import io
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import torch  # noqa: E402
from hostile import checkpoints, configs, images, names, packs, plugins, reports, results  # noqa: E402
from hostile.limits import within  # noqa: E402
from hostile.words import WORDS  # noqa: E402
from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402

import methods  # noqa: E402
from paper_figures import claims, table1  # noqa: E402
from paper_figures.report import builder  # noqa: E402

BATCH = 250
SECONDS = 120
Outcomes = Counter[str]


class Soak:
    """Runs checks and keeps count."""

    def __init__(self, place: Path, share: float, only: list[str]) -> None:
        self.place, self.share, self.only = place, share, only
        self.rows: list[tuple[str, Outcomes, float]] = []
        self.errors: list[str] = []

    def many(self, kind: str, count: int, one: Callable[[random.Random, Path], str]) -> None:
        """``count`` checks, each with a generator and a folder of its own."""
        self.row(kind, self._each(kind, max(1, round(count * self.share)), one))

    def _each(self, kind: str, count: int, one: Callable[[random.Random, Path], str]) -> Iterator[Outcomes]:
        for i in range(count):
            folder = self.place / f"{kind}-{i}"
            folder.mkdir()
            outcome = self._guarded(f"{kind} {i}", lambda i=i, folder=folder: one(random.Random(f"{kind}{i}"), folder))  # type: ignore[misc]
            shutil.rmtree(folder)
            yield Counter({outcome: 1})

    def _guarded(self, name: str, check: Callable[[], str]) -> str:
        faulthandler.dump_traceback_later(2 * SECONDS, exit=True)  # what no signal can wake
        try:
            with within(SECONDS):
                return check()
        except Exception:
            self.errors.append(f"{name}\n{traceback.format_exc()}")
            return "failure"
        finally:
            faulthandler.cancel_dump_traceback_later()

    def row(self, kind: str, outcomes: Iterator[Outcomes]) -> None:
        """A row of the table."""
        if self.only and kind not in self.only:
            return
        start, total = time.process_time(), Counter[str]()
        with contextlib.redirect_stdout(io.StringIO()):
            for outcome in outcomes:
                total += outcome
        self.rows.append((kind, total, time.process_time() - start))
        print(f"{kind}: {dict(total)}", file=sys.stderr)

    def table(self) -> str:
        """Markdown."""
        columns = ("refused", "accepted", "made anew", "failure")
        lines = [
            "| kind | tried | refused cleanly | accepted | made anew | failures | CPU s |",
            "|:--" + "|--:" * 6 + "|",
        ]
        for kind, found, seconds in [*self.rows, ("all", sum((row[1] for row in self.rows), Counter()), 0.0)]:
            numbers = " | ".join(f"{found[column]:,}" for column in columns)
            lines.append(f"| {kind} | {found.total():,} | {numbers} | {f'{seconds:.0f}' if seconds else ''} |")
        return "\n".join(lines)


def file_names(soak: Soak) -> Iterator[Outcomes]:
    """By hypothesis, which looks for the odd ones itself."""
    seen: Outcomes = Counter()

    @settings(max_examples=round(3000 * soak.share), derandomize=True, database=None, deadline=None,
              suppress_health_check=list(HealthCheck), phases=[Phase.generate])  # fmt: skip
    @given(names.names)
    def look(name: str) -> None:
        seen[soak._guarded(f"name {name!r:.300}", lambda: names.check(name))] += 1

    look()
    yield seen


def pictures(soak: Soak) -> Iterator[Outcomes]:
    """In folders of many, as they come; with links, pipes and odd names among them."""
    for batch in range(max(1, round(5 * soak.share))):
        folder = soak.place / f"pictures-{batch}"
        contents = [*islice(images.mutants(random.Random(batch)), BATCH), *images.kinds(random.Random(batch)).values()]
        found: Outcomes = Counter()

        def check(folder: Path = folder, contents: list[bytes] = contents, found: Outcomes = found) -> str:
            images.write(folder / "data", contents)
            images.odd_files(folder / "data")
            found.update(images.check(folder / "data", folder / "packs"))
            assert images.reasons(folder / "data")
            return ""

        outcome = soak._guarded(f"pictures {batch}", check)
        shutil.rmtree(folder, ignore_errors=True)
        yield found if not outcome else Counter({outcome: len(contents)})


def to_upscale(source: random.Random, folder: Path) -> str:
    (folder / "x.png").write_bytes(next(images.mutants(source)))
    return images.check_upscaling(folder / "x.png")


def draw(source: random.Random) -> bool:
    """Whether this one gets a report drawn, too: that takes a second."""
    return source.random() < 0.1


def plugin(source: random.Random, folder: Path) -> str:
    registry, unavailable = dict(methods._registry), dict(methods._unavailable)
    try:
        if source.random() < 0.5:
            name, text = source.choice(list(plugins.BROKEN.items()))
            (folder / f"{name}.py").write_text(text, encoding="utf-8", errors="surrogatepass")
        else:
            name = "mutant"
            (folder / "mutant.py").write_bytes(plugins.mutants(source.getrandbits(32), 1)[0])
        return plugins.check(folder / f"{name}.py")
    finally:
        for kept, now in ((registry, methods._registry), (unavailable, methods._unavailable)):
            now.clear()
            now.update(kept)  # type: ignore[arg-type]


def texts(soak: Soak) -> Iterator[Outcomes]:
    """A report on each awkward word."""
    before = builder._modules
    builder._modules = lambda: {"claims": claims, "table1": table1}  # type: ignore[assignment]
    try:
        for i, word in enumerate(WORDS[:: max(1, round(1 / soak.share))]):

            def check(i: int = i, word: str = word) -> str:
                built = builder.build(reports.hostile_run(soak.place / f"text-{i}" / "run", word))
                assert not built.broken, built.broken
                reports.check(built.folder)
                return "accepted"

            yield Counter({soak._guarded(f"text {word!r:.80}", check): 1})
    finally:
        builder._modules = before


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--share", type=float, default=1.0, help="of the usual numbers of inputs")
    parser.add_argument("--only", metavar="KIND", nargs="+", default=[], help="rows of the table to make")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # libraries warn of what is meant here
    place = Path(tempfile.mkdtemp(prefix="hostile-"))
    try:
        soak = Soak(place, asked.share, asked.only)
        for name in ("packs", "checkpoints", "results"):
            (place / name).mkdir()
        with contextlib.redirect_stdout(io.StringIO()):
            pack_shop = packs.Workshop.make(place / "packs")
            trainings = checkpoints.Workshop.make(place / "checkpoints", pack_shop.plates)
            result_shop = results.Workshop.make(place / "results")
        soak.row("file names", file_names(soak))
        soak.row("files in a data folder", pictures(soak))
        soak.many("pictures to upscale", 300, to_upscale)
        soak.many("packs", 250, lambda source, folder: packs.check(pack_shop, folder, source))
        soak.many("configurations", 600, lambda source, _: configs.check(source))
        soak.many(
            "result files",
            300,
            lambda source, folder: results.check(result_shop, folder, source, source.random() < 0.1),
        )
        soak.many("checkpoints", 60, lambda source, folder: checkpoints.check(trainings, folder / "run", source))
        soak.many("plug-ins", 200, plugin)
        soak.row("texts in a report", texts(soak))
    finally:
        shutil.rmtree(place, ignore_errors=True)
    print("\n\n".join([*soak.errors, soak.table()]))
    return int(bool(soak.errors))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
