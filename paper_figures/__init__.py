"""The paper's tables and figures, drawn again from stored results.

One file per table or figure. Each has ``NAME``, ``TITLE`` and ``draw(results)``, a pure function from
:class:`paper_figures.common.results.Results` to a :class:`paper_figures.common.drawing.Drawing`; nothing here trains,
scores or holds a measured number typed by hand. :mod:`paper_figures.report.builder` finds these files and
writes what they draw to ``<run>/report/``.
"""

import importlib
import os
import sys
from importlib.util import find_spec
from pathlib import Path


def _import_matplotlib() -> None:
    """Import matplotlib without the user's settings: a backend or a file of theirs that it cannot take is an error.

    It reads MPLBACKEND, and the first matplotlibrc it finds, beginning in the working folder: here in its own.
    Settings made later have no effect: :func:`paper_figures.common.style.style` starts from matplotlib's own.
    """
    spec = find_spec("matplotlib")
    if "matplotlib" in sys.modules or spec is None or spec.origin is None:
        return
    backend, folder = os.environ.pop("MPLBACKEND", None), os.getcwd()
    try:
        os.chdir(Path(spec.origin).with_name("mpl-data"))
        importlib.import_module("matplotlib")
    finally:
        os.chdir(folder)
        if backend is not None:
            os.environ["MPLBACKEND"] = backend


_import_matplotlib()
