"""The paper's tables and figures, drawn again from stored results.

One file per table or figure. Each has ``NAME``, ``TITLE`` and ``draw(results)``, a pure function from
:class:`paper_figures.common.results.Results` to a :class:`paper_figures.common.drawing.Drawing`; nothing here trains,
scores or holds a measured number typed by hand. :mod:`paper_figures.report.builder` finds these files and
writes what they draw to ``<run>/report/``.
"""
