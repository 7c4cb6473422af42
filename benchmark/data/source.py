"""One plate in a picture of a data folder, whoever says where it is: a CCPD name, or a line of a list of plates."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmark.data.ccpd import PlateName
from benchmark.data.splits import Split

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels."""
Corner = tuple[float, float]


@dataclass(frozen=True)
class ListedPlate:
    """What a list of plates says of one. Coordinates are pixels of the picture.

    ``text``: letters, digits and signs alone; "" where it is not known. ``bbox``: None where the picture is the plate.
    ``vertices`` start at the bottom right and go on clockwise, as in CCPD names; None: the corners of the box.
    ``lr``: path of the LR picture that was taken with this one, below the data folder.
    """

    text: str
    bbox: Box | None = None
    vertices: tuple[Corner, Corner, Corner, Corner] | None = None
    split: Split | None = None
    sequence: str = ""
    lr: str = ""
    lr_vertices: tuple[Corner, Corner, Corner, Corner] | None = None


@dataclass(frozen=True)
class Source:
    """One plate of a data folder: the path of its picture below the folder, and what is known of it.

    ``number``: 1 for the first plate of a picture, 2 for another in the same one. ``line``: where a list names it, as
    ``plates.csv:7``.
    """

    path: str
    annotation: PlateName | ListedPlate
    number: int = 1
    line: str = field(default="", compare=False)

    @property
    def label(self) -> str:
        """The plate's own name: the path of its picture, inside the folder, and its number if it is not the first."""
        path = self.path
        while path.startswith("../"):
            path = path.removeprefix("../")
        return path if self.number == 1 else f"{path}#{self.number}"

    def told(self, reason: str) -> tuple[str, str]:
        """Where to look, and a reason: the line of the list, or the picture whose name says all."""
        return (self.line, f"{self.label}: {reason}") if self.line else (self.label, reason)

    @property
    def listed(self) -> ListedPlate | None:
        """The annotation, if it is of a list and not of a name."""
        return self.annotation if isinstance(self.annotation, ListedPlate) else None
