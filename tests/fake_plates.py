"""Results in memory whose plates differ by known amounts: what intervals, tests and claims are tried on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fake_results import pecl_options

from benchmark.results.record import parse
from benchmark.scoring.metrics import METRICS
from paper_figures.common.results import Results, Row, summarise

PLATES = 60
BUDGET = 1000
BASE = np.random.default_rng(1).normal(20.0, 2.0, PLATES)
RIVALS = ("srcnn", "msrn", "espcn", "esrgan", "tbsrn", "swinir")


class Lab:
    """Builds results method by method: each is the same 60 plates, shifted, with a little noise of its own."""

    def __init__(self, seeds: int = 1, preset: str = "quick", batch_size: int = 50_000) -> None:
        """The batch is so large that the paper's claims can be decided after 1,000 iterations."""
        self.seeds, self.preset, self.batch_size = seeds, preset, batch_size
        self.methods: dict[str, dict[str, Any]] = {}

    def add(self, name: str, level: float = 0.0, **about: Any) -> Lab:
        """``level``: dB above the base; ``best``: iterations to the best; ``late``: validation PSNR of the last quarter
        above the base, if it is not ``level``; ``read``, ``blur``, ``compression``, ``options``, …: see below."""
        self.methods[name] = {"level": level, **about}
        return self

    def table1(self, pecl: float = 0.5, **changes: Any) -> Lab:
        """PECL and its rivals at 0 dB; each is best at another iteration, in which PSNR has no part."""
        self.add("bicubic", -1.0, trained=False, read=0.0)
        for i, name in enumerate(RIVALS):
            self.add(name, 0.01 * (-1) ** i, best=300 + 50 * i)
        return self.add("pecl", pecl, best=450, **{"options": pecl_options(), **changes})

    def ablation(self, by_distance: float = 0.0, by_doubling: float = 0.0, mse: float = 0.0, **cell: Any) -> Lab:
        self.add("pecl-mse", mse, options=pecl_options(term="none"))
        for distance, gain in (("euclidean", 0.0), ("manhattan", by_distance)):
            for i, d in enumerate((64, 128, 256, 512)):
                name = "pecl" if (distance, d) == ("manhattan", 128) else f"pecl-{distance}-{d}"
                options = pecl_options(distance=distance, dimension=d)
                self.add(name, 0.3 + gain + by_doubling * i, **{"options": options, **cell})
        return self

    def results(self) -> Results:
        made = [self._make(number, name, about) for number, (name, about) in enumerate(self.methods.items())]
        by_hand = f"--iterations {BUDGET} --batch-size {self.batch_size}"
        record = parse({
            "schema": 1, "status": "complete", "method": "pecl", "seed": 0, "scores": {"best": {}},
            "parameters": 1, "iterations": BUDGET,
            "data": {"name": "fake", "fingerprint": "", "protocol": "disjoint", "test": PLATES},
            "judge": {"name": "rapid"}, "provenance": {"command": f"python -m benchmark run --methods all {by_hand}"},
            "config": {"preset": self.preset, "train": {"iterations": BUDGET, "batch_size": self.batch_size}},
        })  # fmt: skip
        return Results(
            Path("demo"), [row for row, *_ in made], pd.concat([plates for _, plates, _ in made], ignore_index=True),
            pd.concat([history for *_, history in made], ignore_index=True), [record],
        )  # fmt: skip

    def _make(self, number: int, name: str, about: dict[str, Any]) -> tuple[Row, pd.DataFrame, pd.DataFrame]:
        trained = about.get("trained", True)
        seeds = range(about.get("seeds", self.seeds if trained else 1))
        random = np.random.default_rng([7, number])
        plates = pd.concat([self._plates(random, seed, about) for seed in seeds]).assign(method=name)
        history = pd.concat([self._history(seed, about) for seed in seeds]).assign(method=name)
        plates = plates.reindex(columns=[*plates, *(m for m in METRICS if m not in plates)])
        row = Row(
            name=name, title=about.get("title", name.upper()), groups=("table1",), family=name.split("-")[0],
            parameters=10 if trained else 0, paper_parameters=None, seeds=tuple(seeds),
            iterations=BUDGET if trained else 0, best_iterations=tuple(about.get("best", 500) for _ in seeds),
            scores={m: summarise(plates[m]) for m in METRICS if plates[m].notna().any()}, notes=(),
            options=about.get("options", {}), stale=about.get("stale", False), differs=about.get("differs", ()),
        )  # fmt: skip
        return row, plates, history

    def _plates(self, random: np.random.Generator, seed: int, about: dict[str, Any]) -> pd.DataFrame:
        def noise(size: float = 0.05) -> np.ndarray:
            return random.normal(0.0, size, PLATES)

        level = about["level"] + (about.get("by_seed") or [0.0] * 9)[seed]
        columns: dict[str, Any] = {"psnr": BASE + level + noise(), "psnr_y": BASE + about.get("luma", level) + noise()}
        columns |= {metric: 0.5 + about.get(metric, 0.0) + noise(0.01) for metric in ("blur", "compression")}
        for suffix in ("", "_second") if about.get("judged", True) else ():
            read = np.arange(PLATES) < PLATES * about.get("read" + suffix, about.get("read", 0.6))
            confidence = about.get("confidence" + suffix, about.get("confidence", 0.7))
            columns |= {f"plate_correct{suffix}": read.astype(float), f"confidence{suffix}": confidence + noise(0.02)}
        columns["noise"] = 0.5 + about.get("noise", 0.0) + noise(0.01)
        keys = {"seed": seed, "index": range(PLATES), "name": "x.jpg", "text": [f"皖A{i:05}" for i in range(PLATES)]}
        return pd.DataFrame({**keys, **columns})

    def _history(self, seed: int, about: dict[str, Any]) -> pd.DataFrame:
        points = np.arange(1, 1 + about.get("validations", 20)) * BUDGET // about.get("validations", 20)
        level = 20.0 + np.where(points >= 0.75 * BUDGET, about.get("late", about["level"]), about["level"])
        early = np.where(points < BUDGET / 2, -3.0, 0.0) + about.get("moved", 0.0) * (points == BUDGET // 2)
        return pd.DataFrame({"seed": seed, "iteration": points, "val_psnr": level + early})
