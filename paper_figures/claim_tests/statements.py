"""The thirty claims of the paper, in its order: our words, its place, our test."""

from __future__ import annotations

from paper_figures.claim_tests import ablation, near, orders, training
from paper_figures.claim_tests.claim import TABLE, Above, Claim, above, in_table
from paper_figures.claim_tests.orders import all_of, ordered
from paper_figures.common import paper
from paper_figures.common.grid import DIMENSIONS, keys

_ALL = tuple(TABLE)
_OTHERS = tuple(name for name in _ALL if name != "pecl")
_COLUMNS = ("psnr", "psnr_y", "confidence")
_PSNR = ("psnr", "psnr_y")
_CELLS = tuple(f"{distance}-{d}" for distance, d in keys())
_VIEWERS = "A judgement of pictures by people who do not know the method"
_MAPS = ("distortion_scores", "distortion_maps")
_TRAINING = ("contrast_euclidean", "contrast_manhattan")


def _at_512(metric: str) -> str:
    """What the text gives of both distances at d = 512."""
    manhattan, euclidean = (paper.ablation()[metric, name, DIMENSIONS[-1]].text for name in ("manhattan", "euclidean"))
    return f"{manhattan} over {euclidean} dB"


def _range(distance: str) -> str:
    """What the text gives of a distance's contrast."""
    printed = paper.contrast(distance)
    return f"{printed['lowest'].text} to {printed['highest'].text} ({distance.capitalize()})"


def _baseline(distance: str) -> str:
    """PSNR of MSE alone by the late contrast of that distance (Eq. 20), dB."""
    psnr, late = paper.ablation()["psnr", distance, DIMENSIONS[-1]].value, paper.contrast(distance)["late"].value
    return f"≈{psnr / (1 + late):.1f} dB by {distance.capitalize()}'s ≈{psnr:.1f}"


def _best_at(*names: str) -> str:
    """The iterations to the best that the text gives."""
    iterations = [printed.text for name in names if (printed := paper.value(name, "best_iteration"))]
    return ", ".join(dict.fromkeys(iterations))


def _order(
    number: int, sentence: str, source: str, pairs: tuple[Above, ...], *figures: str, table: bool = False,
    of_pecl: bool = True, printed: str = "",
) -> Claim:  # fmt: skip
    """A claim that is an order; ``table``: the paper's Table 1 has the numbers to check it against."""
    printed = in_table(pairs) if table else printed
    return Claim(number, sentence, source, figures, ordered(pairs), orders.RULE, printed, of_pecl=of_pecl)


def _comparison() -> list[Claim]:
    best_but_pecl = tuple(name for name in _OTHERS if name != "tbsrn")
    second = (*above("pecl", ("tbsrn",), *_PSNR), *above("tbsrn", best_but_pecl, *_PSNR))
    reads_best = above("tbsrn", _ALL, "confidence")
    first_in_all = above("pecl", _OTHERS, *_COLUMNS)
    third = tuple(name for name in best_but_pecl if name != "swinir")
    swinir = (
        *above("swinir", third, *_COLUMNS),
        *(Above(name, "swinir", "psnr_y") for name in ("pecl", "tbsrn")),
    )
    espcn = (
        *above("espcn", ("srcnn", "msrn"), "psnr"), *above("espcn", ("bicubic", "srcnn", "msrn"), "confidence"),
        *(Above(name, "espcn", "psnr") for name in ("tbsrn", "swinir", "pecl")),
    )  # fmt: skip
    esrgan = (
        *(Above(name, "esrgan", "psnr") for name in _ALL if name not in ("bicubic", "esrgan")),
        *above("esrgan", ("bicubic", "srcnn", "msrn"), "confidence"),
        *(Above(name, "esrgan", "confidence") for name in ("espcn", "tbsrn", "swinir", "pecl")),
    )
    weak, strong = ("bicubic", "srcnn", "msrn"), ("espcn", "esrgan", "tbsrn", "swinir", "pecl")
    weakest = tuple(pair for name in strong for pair in above(name, weak, *_COLUMNS))
    return [
        _order(1, "PECL is first in PSNR.", "Table 1", above("pecl", _OTHERS, "psnr"),
               "table1", "comparisons", "forest", table=True),
        _order(2, "PECL is first in PSNR_Y.", "Table 1", above("pecl", _OTHERS, "psnr_y"), "table1", table=True),
        _order(3, "TBSRN is second in PSNR and in PSNR_Y.", "Table 1", second, "table1", table=True),
        Claim(4, "TBSRN has the highest OCR confidence, and PECL's is competitive with it.", "Table 1",
              ("table1", "calibration"), all_of(ordered(reads_best), near.competitive),
              f"{orders.RULE} Competitive: {near.NEAR_RULE}", in_table(reads_best)),
        _order(5, "PECL improves on all others in PSNR, PSNR_Y and OCR confidence.", "Abstract, conclusion",
               first_in_all, "table1", "comparisons", table=True),
        _order(6, "SwinIR is balanced over the three scores (third in each), and behind in PSNR_Y.", "Sec. 4.2.1",
               swinir, "table1", table=True),
        _order(7, "ESPCN reads competitively and is above SRCNN and MSRN in PSNR, below TBSRN, SwinIR and PECL.",
               "Sec. 4.2.1", espcn, "table1", table=True),
        _order(8, "ESRGAN's OCR confidence is moderate and its PSNR low, below that of every trained method.",
               "Sec. 4.2.1", esrgan, "table1", table=True, of_pecl=False),
        _order(9, "Bicubic, SRCNN and MSRN are the weakest in all three scores.", "Sec. 4.2.1", weakest, "table1",
               table=True),
    ]  # fmt: skip


def _training() -> list[Claim]:
    return [
        Claim(10, "Methods that take longer to converge reach a higher PSNR, except for SRCNN.", "Fig. 6",
              ("convergence",), training.convergence, training.CONVERGENCE_RULE,
              "The five points that the text gives have this order (none for SRCNN and PECL).", of_pecl=False),
        Claim(11, "MSRN and ESRGAN converge early and end low; ESPCN, TBSRN, SwinIR and PECL late and high.", "Fig. 6",
              ("convergence",), training.groups, training.GROUPS_RULE,
              f"The text's numbers ({_best_at(*training.EARLY_GROUP)}; {_best_at(*training.LATE_GROUP)}) and Table 1 "
              "have this order; for PECL it gives no number."),
        Claim(12, "Bicubic is too smooth, SRCNN a little sharper, MSRN, ESPCN, ESRGAN, TBSRN and SwinIR better in "
              "structure or texture, PECL best overall to the eye.", "Fig. 7", ("qualitative",),
              needs=f"{_VIEWERS}, over many plates; the figure shows three, chosen by size alone", of_pecl=False),
    ]  # fmt: skip


def _ablation() -> list[Claim]:
    def mse(metrics: tuple[str, ...]) -> tuple[Above, ...]:
        return tuple(pair for cell in _CELLS for pair in above(cell, ("pecl-mse",), *metrics))

    def distances(metric: str) -> tuple[Above, ...]:
        return tuple(Above(f"manhattan-{d}", f"euclidean-{d}", metric) for d in DIMENSIONS)

    best = DIMENSIONS[-1]
    return [
        _order(13, "MSE alone is below PECL in PSNR (here: in PSNR_Y, too), whichever distance is used.", "Fig. 8",
               mse(_PSNR), "ablation", "ablation_psnr"),
        _order(14, "Adaptive weighting of the two losses raises PSNR further.", "Sec. 4.2.2",
               (Above("pecl-learned", "pecl", "psnr"),), "readings", "loss_weights", of_pecl=False,
               printed="The text gives no number of fixed weights."),
        _order(15, "Manhattan is above Euclidean in PSNR at every d.", "Fig. 8", distances("psnr"),
               "ablation", "ablation_psnr", printed=f"At d = 512 the text has {_at_512('psnr')}."),
        _order(16, "Manhattan is above Euclidean in PSNR_Y at every d.", "Fig. 8", distances("psnr_y"),
               "ablation", "ablation_psnr", printed=f"The text's maxima are {_at_512('psnr_y')}."),
        Claim(17, "At d = 512 Manhattan gains about 1 dB over Euclidean, in PSNR and in PSNR_Y.", "Fig. 8",
              ("ablation", "ablation_psnr"), ablation.about_one_decibel, ablation.ABOUT_RULE,
              f"The text has {_at_512('psnr')}, and maxima of PSNR_Y of {_at_512('psnr_y')}."),
        Claim(18, "Manhattan's gain over MSE shows particularly at small d (64, 128).", "Fig. 8",
              ("ablation", "ablation_psnr"), ablation.gains_at_small, ablation.SMALL_RULE,
              "Read as a larger gain, it is against claim 19: over one baseline a PSNR that rises with d gains most "
              "at 512."),
        Claim(19, "PSNR and PSNR_Y rise with d and are best at 512.", "Fig. 8", ("ablation", "ablation_psnr"),
              all_of(ablation.rises("psnr"), ablation.rises("psnr_y")), ablation.TREND_RULE,
              "The text gives numbers at d = 512 alone."),
        _order(20, "OCR confidence of PECL is above that of MSE alone throughout.", "Fig. 9", mse(("confidence",)),
               "ablation", "ablation_reading", printed="The text gives no number."),
        Claim(21, "OCR confidence rises steadily with d and is best at 512.", "Fig. 9",
              ("ablation", "ablation_reading"), ablation.rises("confidence"), ablation.TREND_RULE,
              "The text gives no number."),
        Claim(22, "The contrast fluctuates early, and Euclidean starts further behind than Manhattan.",
              "Figs. 10, 11", _TRAINING, training.early, training.EARLY_RULE,
              f"The text's lowest contrasts are {paper.contrast('euclidean')['lowest'].text} (Euclidean) and "
              f"{paper.contrast('manhattan')['lowest'].text} (Manhattan)."),
        Claim(23, "Late in training the contrast stays above zero and converges around 0.1, for both distances.",
              "Figs. 10, 11", _TRAINING, training.late, training.LATE_RULE,
              f"At d = 512 it would put MSE at {_baseline('manhattan')} and at {_baseline('euclidean')}: one baseline "
              "cannot be both."),
        Claim(24, "Manhattan's contrast lies around zero; Euclidean's is spread wider and lower.", "Figs. 10, 11",
              _TRAINING, training.spread, training.SPREAD_RULE,
              f"The text has {_range('manhattan')} and {_range('euclidean')}."),
        Claim(25, "Larger d gives smoother contrast curves, particularly for Manhattan.", "Figs. 10, 11", _TRAINING,
              training.smoother, training.SMOOTH_RULE, "The text gives no number."),
        _order(26, "PECL with Manhattan is better than with Euclidean, and that better than MSE (in the text: three "
               "plates; here: all test plates, d = 512, PSNR and PSNR_Y). Sharper edges are not tested.", "Fig. 12",
               (*above(f"manhattan-{best}", (f"euclidean-{best}", "pecl-mse"), *_PSNR),
                *above(f"euclidean-{best}", ("pecl-mse",), *_PSNR)),
               "qualitative_ablation", "ablation", printed="The text gives numbers of Manhattan alone."),
    ]  # fmt: skip


def _maps() -> list[Claim]:
    smoothed = (Above("hr", "pecl", "blur"), Above("hr", "pecl-mse", "blur"))
    return [
        _order(27, "PECL has less blur than MSE alone.", "Fig. 13", above("pecl", ("pecl-mse",), "blur"), *_MAPS),
        Claim(28, "PECL's noise is comparable to that of MSE alone.", "Fig. 13", _MAPS, near.comparable_noise,
              near.NOISE_RULE),
        _order(29, "PECL has fewer compression artefacts than MSE alone.", "Fig. 13",
               above("pecl", ("pecl-mse",), "compression"), *_MAPS),
        _order(30, "Against HR the outputs are smoothed, whatever the loss.", "Fig. 13", smoothed, *_MAPS),
    ]  # fmt: skip


CLAIMS = (*_comparison(), *_training(), *_ablation(), *_maps())
