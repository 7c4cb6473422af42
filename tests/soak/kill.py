"""Kills every method in every phase, repeats the command, and prints whether what is left is the same.

    python tests/soak/kill.py --methods table1 --kills 3 > kills.md

Each kill (SIGKILL) hits a run of its own at a random moment of one phase; phases take turns. Synthetic plates, small
budgets, one thread; a minute or so per kill for the large networks on a CPU. Exit code 1 if anything differs.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import kill_harness
from kill_harness import PHASES, Kill, Outcome, fingerprint

import methods
from benchmark.data.synthetic.generator import synthesize

SETTINGS = (
    "data.train_plates=32", "data.val_plates=4", "data.test_plates=4", "scoring.samples=2", "scoring.second=none",
    "train.validations=4", "train.threads=1", "train.checkpoint_iterations=4", "esrgan.gan_share=0.5",
)  # fmt: skip
PARTS = {
    "weights": (".safetensors",),
    "history": ("history.csv",),
    "scores": ("plates.csv", "result.json"),
    "the rest": ("",),  # pack, pictures, and that nothing is left over
}
_MISSES = 5


class Soak:
    """Runs of one method, undisturbed and killed, in ``folder``."""

    def __init__(self, method: str, folder: Path, plates: Path, iterations: int, ocr: str) -> None:
        self.folder, self.results = folder, folder / "killed"
        self.arguments = [
            "run", "--methods", method, "--data", str(plates), "--device", "cpu", "--ocr", ocr,
            "--iterations", str(iterations), "--batch-size", "2",
            *(word for setting in SETTINGS for word in ("--set", setting)),
        ]  # fmt: skip
        self.undisturbed = self.run(folder / "undisturbed")
        self.expected = fingerprint(folder / "undisturbed")

    def run(self, results: Path, kill: Kill | None = None) -> Outcome:
        outcome = kill_harness.run([*self.arguments, "--results", str(results)], self.folder / "log", kill)
        if kill is None and outcome.code != 0:
            sys.exit((self.folder / "log").read_text(errors="replace")[-2000:])
        return outcome

    def kill(self, phase: str, chance: random.Random) -> tuple[Outcome, str, dict[str, bool]]:
        """How the killed run ended, what the next one went on from, and which parts of what is left are as expected."""
        for _ in range(_MISSES):
            shutil.rmtree(self.results, ignore_errors=True)
            hit = self.run(self.results, kill_harness.draw(self.undisturbed.spans, phase, chance))
            if hit.code != 0:  # otherwise it had ended before the blow fell
                break
        finished = any(self.results.glob("*/*/*/finished.pt"))
        first = self.run(self.results).first
        made = first - 1 if first else hit.iteration  # none was left to do
        origin = "a finished training" if finished else f"after iteration {made}" if made else "the start"
        left = fingerprint(self.results)
        differ = {name for name in left.keys() | self.expected.keys() if left.get(name) != self.expected.get(name)}
        same = {}
        for part, endings in PARTS.items():
            of_part = {name for name in differ if name.endswith(endings)}
            same[part] = not of_part
            differ -= of_part
        return hit, origin if hit.code else "nothing: it had ended", same


def row(method: str, hit: Outcome, origin: str, same: dict[str, bool]) -> str:
    """One line of the table."""
    answers = ["yes" if equal else "**no**" for equal in same.values()]
    return f"| {' | '.join([method, hit.phase, str(hit.iteration or '–'), origin, *answers])} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--methods", default="table1", help="names and groups, with commas")
    parser.add_argument("--kills", type=int, default=3, help="per method")
    parser.add_argument("--iterations", type=int, default=12)
    parser.add_argument("--ocr", default="none", help="OCR engine: none, rapid, crnn")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    names = [name for word in options.methods.split(",") for name in (methods.names(word) or [word])]
    print(f"| method | killed in | iteration | went on from | {' | '.join(f'{part} identical' for part in PARTS)} |")
    print("|" + "---|" * (4 + len(PARTS)))
    turn, all_same = 0, True
    with tempfile.TemporaryDirectory() as place:
        plates = Path(place) / "plates"
        synthesize(plates, 40, seed=1, workers=1)
        for method in names:
            folder = Path(place) / method
            folder.mkdir()
            soak = Soak(method, folder, plates, options.iterations, options.ocr)
            present = [phase for phase in PHASES if phase in {name for name, _ in soak.undisturbed.spans}]
            for _ in range(options.kills):
                hit, origin, same = soak.kill(present[turn % len(present)], chance)
                turn += 1
                all_same &= all(same.values())
                print(row(method, hit, origin, same), flush=True)
            shutil.rmtree(folder)
    print(f"\n{turn} kills, {'all' if all_same else 'NOT all'} bit for bit as the undisturbed run.")
    return 0 if all_same else 1


if __name__ == "__main__":
    sys.exit(main())
