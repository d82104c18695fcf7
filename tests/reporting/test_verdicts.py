"""Verdicts: thresholds, distances in standard errors, ties, and shares of pairs that know how many seeds there are."""

import itertools

import pytest
import torch

import geomem as gm
from geomem.reporting import judge, records, share_ahead, verdicts


def data(*values, **more):
    values = torch.tensor(values, dtype=torch.float64)
    return {"mean": float(values.mean()), "sd": float(values.std()) if len(values) > 1 else None, "n": len(values)} | more


KNOWN = {
    "high": data(0.9, 1.0, 0.95, 0.95),
    "low": data(0.0, 0.1, 0.05, 0.05),
    "near": data(0.88, 0.94, 0.85, 0.95),
    "one": data(1.0),
    "tie": data(0.0),
}


@pytest.mark.parametrize(
    ("test", "word"),
    [
        (("high", ">=", 0.5), "holds"),
        (("high", "<=", 0.5), "fails"),
        (("near", ">=", 0.90), "undecided"),
        (("one", ">=", 1), "holds"),  # a single number has no error: equal is enough
        (("one", ">=", 1.5), "fails"),
        (("tie", ">", 0), "undecided"),
        (("high", ">", "low", 3), "holds"),
        (("low", ">", "high", 3), "fails"),
        (("near", ">", "high", 0), "fails"),
    ],
)
def test_a_test_holds_fails_or_is_undecided(test, word):
    assert judge([test], KNOWN)[0] == word


def test_the_distance_is_counted_in_standard_errors_on_the_side_that_holds():
    ((_, (above,)), (_, (below,))) = (judge([("high", sense, 0.9)], KNOWN) for sense in (">=", "<="))
    error = KNOWN["high"]["sd"] / 2
    assert above["distance"] == pytest.approx((0.95 - 0.9) / error) and below["distance"] == -above["distance"]
    (_, (against,)) = judge([("high", ">", "low", 3)], KNOWN)
    both = gm.standard_error([0.9, 1.0, 0.95, 0.95], [0.0, 0.1, 0.05, 0.05])
    assert against["distance"] == pytest.approx(0.9 / float(both) - 3)


@pytest.mark.parametrize("words", list(itertools.product(["holds", "fails", "undecided"], repeat=3)))
def test_at_least_two_of_three(words):
    by_word = {"holds": ("high", ">=", 0.5), "fails": ("high", "<=", 0.5), "undecided": ("near", ">=", 0.90)}
    tests = [by_word[word] for word in words]
    possible = [  # what is undecided may turn out either way
        sum(held) >= 2
        for held in itertools.product(*({"holds": [1], "fails": [0], "undecided": [0, 1]}[word] for word in words))
    ]
    expected = "holds" if all(possible) else "undecided" if any(possible) else "fails"
    assert judge(tests, KNOWN, at_least=2)[0] == judge([{"at_least": 2, "of": tests}], KNOWN)[0] == expected


def test_a_share_of_pairs_has_the_error_of_its_seeds_not_of_its_pairs():
    generator = torch.Generator().manual_seed(100)
    shares, spreads = [], []
    for seed in range(200):
        a, b = torch.randn(10, generator=generator) + 0.5, torch.randn(10, generator=generator)
        each, error, (low, high) = share_ahead(a, b, seed=seed, draws=300)
        assert low <= each.mean() <= high
        shares.append(float(each.mean()))
        spreads.append(error)
    spread, guess = float(torch.tensor(shares).std()), float(torch.tensor(spreads).mean())
    assert 0.75 * spread < guess < 1.35 * spread
    assert guess > 2 * (0.64 * 0.36 / 100) ** 0.5  # what a hundred independent pairs would leave


def test_a_claim_follows_from_its_records_and_a_failed_control_tests_nothing(monkeypatch):
    shown = []
    monkeypatch.setattr(records, "_show", lambda text, kept: shown.append(kept))
    gm.record("answers", [0.95, 0.97, 0.96], template="{}")
    gm.record("fitted", [0.5, 0.6, 0.4], template="{}")
    gm.record("ahead", [1.0, 2.0], ahead_of=[0.0, 3.0], template="{}")
    assert shown[-1]["record"]["values"] == [0.5, 0.5] and "interval" in shown[-1]["record"]
    gm.claim("C4", tests=[("answers", ">=", 0.9)])
    gm.claim("C4", tests=[("answers", ">=", 0.9)], control=[("fitted", ">=", 0.99)])
    gm.claim("C4", tests=[("answers", ">=", 0.9)], seeds=5)
    held, void, few = (kept["claim"] for kept in shown[-3:])
    assert few["word"] == "not tested" and few["tests"] == held["tests"]
    assert (held["holds"], held["word"], held["evidence"]) == (True, "holds", ["answers"])
    assert (void["holds"], void["word"], void["evidence"]) == (None, "not tested", ["answers", "fitted"])
    assert held["tests"][0]["threshold"] == 0.9 and held["asked"]["tests"] == [["answers", ">=", 0.9]]
    assert verdicts.sentence(held["tests"][0]).startswith("0.96 ≥ 0.9 (+")


def test_a_record_reads_a_study(monkeypatch):
    shown = []
    monkeypatch.setattr(records, "_show", lambda text, kept: shown.append(kept["record"]))
    gm.record("x", study=("frozen", "learned", "answer_accuracy"), template="{}")
    assert shown[0]["values"] == gm.load_study("frozen").final("answer_accuracy", condition="learned").tolist()
    assert shown[0]["study"] == ["frozen", "learned", "answer_accuracy"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: judge([], KNOWN), "tests must be one or more"),
        (lambda: judge([("none", ">=", 1)], KNOWN), "no record 'none'"),
        (lambda: judge([("high", "=", 1)], KNOWN), "a test must be"),
        (lambda: share_ahead([], [1.0]), "a and b must have a value each, got 0 and 1"),
        (lambda: gm.record("x", template="{}"), "values or a study must give the numbers of 'x'"),
    ],
)
def test_what_cannot_be_judged_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
