"""What the report's page shows of single plates: pictures of every method, PSNR, and what the OCR engines read."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from PIL import Image

from paper_figures.common import samples, text
from paper_figures.common.drawing import NothingToDraw
from paper_figures.common.pictures import align
from paper_figures.common.results import HR, Results
from paper_figures.common.samples import Sample, Score
from paper_figures.report.images import data_uri

LARGEST = 8_000_000
"""Characters of pictures in a page; further plates are left to the files beside it."""
LONGEST = 40
"""Longer readings are cut, at this many characters; CSV files have them whole."""
LR = "/lr"
"""Key of the LR picture: no method can be called that."""


@dataclass(frozen=True)
class Letter:
    """One place of a reading beside the truth: ``kind`` is right, wrong or lost (not read; then ``text`` is empty)."""

    text: str
    kind: str


@dataclass(frozen=True)
class Reading:
    """What one OCR engine read. ``errors`` counts the letters that are not right; None where the truth is not known."""

    engine: str
    letters: list[Letter]
    errors: int | None

    @property
    def read(self) -> str:
        return "".join(letter.text for letter in self.letters)

    @property
    def verdict(self) -> str:
        """In words, for those who do not see the marks."""
        if not self.read:
            return "nothing read"
        if self.errors is None:
            return ""
        return "all right" if not self.errors else f"{self.errors} wrong"


@dataclass(frozen=True)
class Picture:
    """One picture of a plate; ``source`` is a data URI, or empty with the reason in ``lacking``."""

    key: str
    title: str
    source: str = ""
    psnr: float = math.nan
    readings: list[Reading] = field(default_factory=list)
    lacking: str = ""
    size: str = ""
    best: bool = False
    """Whether no other method of the plate has a higher PSNR."""

    def alt(self, plate: PlatePictures) -> str:
        """The picture in words."""
        read = "".join(f", read as {reading.read or 'nothing'}" for reading in self.readings)
        return f"{self.title} of {plate.title}{f', PSNR {self.decibel}' if self.decibel else ''}{read}"

    @property
    def decibel(self) -> str:
        """PSNR as shown; empty if there is none."""
        return "" if math.isnan(self.psnr) else f"{text.number(self.psnr)} dB"


@dataclass(frozen=True)
class PlatePictures:
    """All pictures of one test plate, of which the HR picture is ``width`` × ``height`` pixels: LR, HR, methods."""

    index: int
    truth: str
    width: int
    height: int
    pictures: list[Picture]

    @property
    def title(self) -> str:
        return f"plate {self.index}" + (f": {self.truth}" if self.truth else "")


@dataclass(frozen=True)
class Album:
    """The plates of a page, and how many more lie in the files of the results."""

    plates: list[PlatePictures]
    more: int
    seed: int

    @property
    def choices(self) -> dict[str, str]:
        """Key → title of every picture that some plate has."""
        return {p.key: p.title for plate in self.plates for p in plate.pictures if p.source}

    def first_choice(self) -> tuple[str, str]:
        """Keys of the two pictures that are compared at first: what interpolation gives, and PECL."""
        keys = list(self.choices)
        left = "bicubic" if "bicubic" in keys else keys[0]
        right = "pecl" if "pecl" in keys else keys[-1]
        return left, right

    def typical(self) -> PlatePictures:
        """The plate of median size, of those with the most pictures: what methods made of it has no part in it."""
        most = max(sum(bool(picture.source) for picture in plate.pictures) for plate in self.plates)
        whole = [plate for plate in self.plates if sum(bool(p.source) for p in plate.pictures) == most]
        return sorted(whole, key=lambda plate: plate.width * plate.height)[len(whole) // 2]


def album(results: Results) -> Album:
    """The pictures of as many test plates as a page can hold."""
    plates: list[PlatePictures] = []
    size = 0
    indices = samples.indices(results)
    for index in indices:
        plate = _plate(results, index)
        size += sum(len(picture.source) for picture in plate.pictures)
        if plates and size > LARGEST:
            break
        plates.append(plate)
    return Album(plates, len(indices) - len(plates), results.seeds[0])


def _plate(results: Results, index: int) -> PlatePictures:
    pictures: list[Picture] = []
    reference: Sample | None = None
    for row in [row for row in results.rows if not row.is_bound]:
        seed = samples.first_seed(results, row)
        title = row.title + row.marks
        try:
            sample = samples.load(results, row.name, index, seed)
        except NothingToDraw as reason:
            pictures.append(Picture(row.name, title, lacking=str(reason)))
            continue
        reference = reference or sample
        score = samples.score(results, row.name, index, seed)
        psnr = score.psnr if score else math.nan
        pictures.append(Picture(row.name, title, data_uri(Image.fromarray(sample.sr)), psnr, _readings(results, score)))
    pictures = _mark_best(pictures)
    if reference is None:
        return PlatePictures(index, _truth(results, index), 0, 0, pictures)
    height, width = reference.hr.shape[:2]
    lr = Picture(
        LR, "LR", data_uri(Image.fromarray(reference.lr)), size=f"{width // samples.SCALE}×{height // samples.SCALE} px"
    )
    bound = results.row(HR)
    score = samples.score(results, HR, index, samples.first_seed(results, bound)) if bound else None
    hr = Picture(
        HR,
        "HR",
        data_uri(Image.fromarray(reference.hr)),
        readings=_readings(results, score),
        size=f"{width}×{height} px",
    )
    return PlatePictures(index, _truth(results, index), width, height, [lr, hr, *pictures])


def _truth(results: Results, index: int) -> str:
    if "text" not in results.plates:
        return ""
    texts = results.plates.loc[results.plates["index"] == index, "text"]
    return next((text.one_line(truth) for truth in texts if isinstance(truth, str)), "")


def _mark_best(pictures: list[Picture]) -> list[Picture]:
    """The same, with the highest PSNR marked where at least two differ as shown."""
    shown = [round(picture.psnr, 2) for picture in pictures if math.isfinite(picture.psnr)]
    if len(set(shown)) < 2:
        return pictures
    return [replace(picture, best=round(picture.psnr, 2) == max(shown)) for picture in pictures]


def _readings(results: Results, score: Score | None) -> list[Reading]:
    """Texts of the first and second OCR engine. The engines are named only if there are two."""
    if score is None:
        return []
    engines = results.reference.judge, results.reference.second_judge
    names = [engine.name if engine else "unnamed" for engine in engines]
    if score.read_second is None:
        names[0] = ""
    readings = []
    for name, read in zip(names, (score.read, score.read_second)):
        if read is not None:
            readings.append(_reading(text.one_line(name), text.one_line(read)[:LONGEST], score.truth))
    return readings


def _reading(engine: str, read: str, truth: str) -> Reading:
    if not truth:
        return Reading(engine, [Letter(c, "right") for c in read], None)
    letters = [Letter(c, "right" if right else "wrong" if c else "lost") for c, right in align(read, truth)]
    return Reading(engine, letters, sum(letter.kind != "right" for letter in letters))
