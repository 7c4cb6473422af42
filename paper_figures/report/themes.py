"""The order of a report: what people come for, the paper's claims, then the rest by theme."""

from __future__ import annotations

FIRST = ("table1", "convergence", "claims")
"""Names of the tables and figures that a report opens with."""

SCORES, PICTURES, ABOUT = "Scores compared", "Pictures", "About this report"
THEMES = {
    SCORES: ("table1_full", "comparisons", "forest", "paper_comparison", "left_open", "missing_methods"),
    "Other plates": ("cross_data", "read_table"),
    PICTURES: ("qualitative", "shipped_weights", "qualitative_ablation", "distortion_maps", "distortion_scores"),
    "Ablation of PECL": (
        "ablation", "ablation_psnr", "ablation_reading", "contrast_euclidean", "contrast_manhattan"
    ),
    "Readings of PECL": ("readings", "weight_sweep", "loss_weights"),
    "Reading plates": ("calibration", "calibration_table", "abstention", "plate_height"),
    "Conditions and cost": ("inference", "leaks", "cost", "training_plates", "patches"),
}  # fmt: skip
"""Title → names. What is named nowhere comes last, in alphabetical order."""
OTHERS = "Further tables and figures"

ORDER = (*FIRST, *(name for names in THEMES.values() for name in names))


def theme(name: str) -> str:
    """Title of the theme that a table or figure belongs to; "" for those in front."""
    if name in FIRST:
        return ""
    return next((title for title, names in THEMES.items() if name in names), OTHERS)
