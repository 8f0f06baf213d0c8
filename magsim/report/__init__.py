"""Figures and the report page. Import from :mod:`magsim.report.figures` and :mod:`magsim.report.page`."""

from __future__ import annotations
