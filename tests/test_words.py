"""What pages call things: words, units, signs that print well."""

from __future__ import annotations

import pytest

from magsim.config import compose
from magsim.config.paths import groups
from magsim.tasks.build import plain
from magsim.tasks.words import (
    HAMILTONIANS,
    MODELS,
    capital,
    classical_terms,
    count,
    electrons,
    listed,
    quantities,
    quantity,
    system,
)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ([], "s-d model, J = 3, μ = −3.2, T = 0.1"),
        (["hamiltonian=double_exchange"], "double-exchange model, J = 6, filling = 0.485, T = 0.02"),
        (["hamiltonian.t=[1,0,-0.85]"], "s-d model, t = (1, 0, −0.85), J = 3, μ = −3.2, T = 0.1"),
    ],
)
def test_a_hamiltonian_is_told_with_its_numbers(overrides: list[str], words: str) -> None:
    assert electrons(plain(compose(overrides).hamiltonian)) == words


def test_every_hamiltonian_and_model_that_can_be_chosen_has_words() -> None:
    assert set(HAMILTONIANS) == set(groups()["hamiltonian"])
    assert set(MODELS) == set(groups()["model"])


def test_classical_terms_that_vanish_are_not_told() -> None:
    node = {"heisenberg": [-1.0], "dm": 0.0, "easy_axis": 0.3, "zeeman": [0.0, 0.0, 0.02]}
    assert classical_terms(node) == "exchange −1, easy axis 0.3, field (0, 0, 0.02)"
    assert classical_terms({"name": "none"}) == ""


def test_quantities_have_words_and_units_and_unknown_ones_keep_their_name() -> None:
    assert quantity("energy") == ("energy per site", "t")
    assert quantity("coercive_field") == ("coercive field", "t")
    assert quantity("wall_velocity_0") == ("wall velocity 0", "")
    assert quantities({"dt": 0.5}) == {"time step": (0.5, "ħ/t")}


def test_panels_are_lettered_and_a_single_one_is_not() -> None:
    assert listed(["energy", "nn_correlation"]) == "(a) energy per site, (b) spin correlation of neighbours"
    assert listed(["energy"]) == "Energy per site"


def test_sentences_keep_the_small_letter_of_sd() -> None:
    assert capital(system(compose([]))) == "s-d model on the triangular lattice"
    assert capital("driven strip") == "Driven strip"
    assert count(1, "run") == "1 run"
    assert count(3, "run") == "3 runs"
