"""Numbers for people."""

from __future__ import annotations

from typing import Any

import numpy as np


def number(value: Any, digits: int = 4) -> str:
    """A cell of a table: significant digits, thousands apart, a dash for nothing.

    Strings pass; whole numbers keep all digits; lists become comma-separated.
    """
    if value is None:
        return "–"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{int(value):,}".replace(",", " ")
    if isinstance(value, float | np.floating):
        return _real(float(value), digits)
    if isinstance(value, list | tuple):
        return ", ".join(number(item, digits) for item in value)
    return str(value)


def _real(value: float, digits: int) -> str:
    if not np.isfinite(value):
        return {"inf": "∞", "-inf": "−∞"}.get(str(value), "–")
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        places = max(0, digits - 1 - int(np.floor(np.log10(abs(value)))))
        text = f"{value:,.{places}f}".replace(",", " ")
    else:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        power = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        text = f"{mantissa}·10{power}"
    return text.replace("-", "−")
