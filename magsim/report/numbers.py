"""Numbers for people."""

from __future__ import annotations

from typing import Any

import numpy as np


def number(value: Any) -> str:
    """A cell of a table: four significant digits, thousands apart, a dash for nothing.

    Strings pass; whole numbers keep all digits; lists become comma-separated.
    """
    if value is None:
        return "–"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{int(value):,}".replace(",", " ")
    if isinstance(value, float | np.floating):
        return _real(float(value))
    if isinstance(value, list | tuple):
        return ", ".join(number(item) for item in value)
    return str(value)


def _real(value: float) -> str:
    if not np.isfinite(value):
        return {"inf": "∞", "-inf": "−∞"}.get(str(value), "–")
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        digits = max(0, 3 - int(np.floor(np.log10(abs(value)))))
        text = f"{value:,.{digits}f}".replace(",", " ")
    else:
        mantissa, exponent = f"{value:.3e}".split("e")
        power = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        text = f"{mantissa}·10{power}"
    return text.replace("-", "−")
