"""Names of quantities and systems in words, for pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from magsim.observables import OBSERVABLES

# what is read off figures, or counted: words and unit
QUANTITIES = {
    "dt": ("time step", "ħ/t"),
    "time": ("time reached", "ħ/t"),
    "steps_per_second": ("steps per second", ""),
    "spin_updates_per_second": ("spin updates per second", ""),
    "growth_exponent": ("exponent n of L ∝ tⁿ", ""),
    "growth_exponent_error": ("its standard error", ""),
    "growth_from": ("fitted from", "ħ/t"),
    "growth_to": ("fitted to", "ħ/t"),
    "growth_replicas": ("replicas of the fit", ""),
    "coercive_field": ("coercive field", "t"),
    "density_min": ("lowest density", "electrons per site"),
    "density_max": ("highest density", "electrons per site"),
    "peak_wavenumber": ("wavenumber of the highest peak of S(q)", "1/a"),
    "peak_weight": ("share of the sum rule in that peak", ""),
}
HAMILTONIANS = {
    "sd": "s-d model",
    "double_exchange": "double-exchange model",
    "double_exchange_projected": "projected double-exchange model",
    "driven": "driven s-d strip",
    "none": "classical spins",
}
MODELS = {
    "bp": "a Behler-Parrinello network",
    "linear": "ridge regression",
    "equivariant": "an equivariant network",
    "potential": "generalised potentials",
}
CLASSICAL = {"heisenberg": "exchange", "dm": "DM", "easy_axis": "easy axis", "zeeman": "field"}
SYMBOLS = {"J": "J", "mu": "μ", "filling": "filling", "T": "T", "voltage": "eV"}


def quantity(name: str) -> tuple[str, str]:
    """Words and unit of an observable or metric; an unknown one keeps its name, with blanks."""
    if name in OBSERVABLES:
        return OBSERVABLES[name].words, OBSERVABLES[name].unit
    return QUANTITIES.get(name, (name.replace("_", " "), ""))


def quantities(values: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    """``name -> value`` as ``words -> (value, unit)``, for :func:`magsim.report.page.metrics_table`."""
    return {quantity(name)[0]: (value, quantity(name)[1]) for name, value in values.items()}


def listed(names: Sequence[str]) -> str:
    """Quantities of the panels of a figure: ``(a) energy per site, (b) ...``; a single one without letter."""
    if len(names) == 1:
        return capital(quantity(names[0])[0])
    return ", ".join(f"({chr(ord('a') + k)}) {quantity(name)[0]}" for k, name in enumerate(names))


def size(shape: Any) -> str:
    """``12 × 12``."""
    return " × ".join(map(str, shape))


def system(cfg: Any) -> str:
    """Hamiltonian and lattice of a configuration, for titles."""
    return f"{HAMILTONIANS.get(cfg.hamiltonian.name, cfg.hamiltonian.name)} on the {cfg.lattice.name} lattice"


def capital(words: str) -> str:
    """With a capital first letter; the others stay, and so does s-d."""
    return words if words.startswith("s-d") else words[:1].upper() + words[1:]


def classical_terms(node: Mapping[str, Any]) -> str:
    """Classical terms with their numbers, e.g. ``exchange −1, easy axis 0.3``; empty without any."""
    words = []
    for key, name in CLASSICAL.items():
        value = node.get(key)
        if any(value) if isinstance(value, list | tuple) else value:
            numbers: list[Any] = list(value) if isinstance(value, list | tuple) else [value]
            text = ", ".join(number_text(x) for x in numbers)
            words.append(f"{name} ({text})" if len(numbers) > 1 else f"{name} {text}")
    return ", ".join(words)


def electrons(node: Mapping[str, Any]) -> str:
    """A Hamiltonian with its numbers, e.g. ``s-d model, J = 3, μ = −3.2, T = 0.1``, in units of t."""
    words = [HAMILTONIANS.get(node["name"], node["name"])]
    if len(node.get("t") or ()) > 1:
        words.append("t = (" + ", ".join(number_text(t) for t in node["t"]) + ")")
    for key, symbol in SYMBOLS.items():
        if node["name"] != "none" and node.get(key) is not None:
            words.append(f"{symbol} = {number_text(node[key])}")
    return ", ".join(words)


def number_text(value: float) -> str:
    """A number for a sentence: ``−3.2``, ``0.02``."""
    return f"{float(value):.4g}".replace("-", "−")


def count(n: int, what: str) -> str:
    """``1 run``, ``3 runs``."""
    return f"{n} {what}" + ("" if n == 1 else "s")
