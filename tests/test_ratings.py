"""Ratings against published numbers and against what the formulas say of simple counts."""

import math

import numpy
import pytest

from studio import ratings

# American League, Eastern division, 1987: row beat column (Agresti, Categorical Data Analysis, section 11.6), with the
# abilities that the R package BradleyTerry2 (Turner and Firth 2012) gives in its vignette, Baltimore at 0.
TEAMS = ("Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore")
BASEBALL = [
    [0, 7, 9, 7, 7, 9, 11],
    [6, 0, 7, 5, 11, 9, 9],
    [4, 6, 0, 7, 7, 8, 12],
    [6, 8, 6, 0, 6, 7, 10],
    [6, 2, 6, 7, 0, 7, 12],
    [4, 4, 5, 6, 6, 0, 6],
    [2, 4, 1, 3, 1, 7, 0],
]
ABILITIES = (1.5814, 1.4364, 1.2945, 1.2476, 1.1077, 0.6839, 0.0)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Newcombe (1998), "Two-sided confidence intervals for the single proportion", table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (14, 20, 0.4810, 0.8545),
    ],
)
def test_wilson_intervals_are_the_published_ones(successes, trials, low, high):
    assert ratings.wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_a_tie_is_half_a_success_and_the_interval_lies_between():
    below, tied, above = (ratings.wilson(wins, 20) for wins in (14, 14.5, 15))
    assert below[0] < tied[0] < above[0]
    assert below[1] < tied[1] < above[1]
    low, high = ratings.wilson(10, 20)
    assert low + high == pytest.approx(1)


@pytest.mark.parametrize("counts", [(0, 0), (3, 2), (-1, 2)])
def test_no_interval_is_given_for_counts_that_cannot_be(counts):
    with pytest.raises(ValueError, match="trials"):
        ratings.wilson(*counts)


def test_bradley_terry_strengths_are_the_published_ones():
    strengths = ratings.bradley_terry(numpy.array(BASEBALL), prior=0)
    assert strengths - strengths[-1] == pytest.approx(ABILITIES, abs=1e-4)
    assert strengths.mean() == pytest.approx(0)


def test_at_the_strengths_found_every_model_wins_as_often_as_expected():
    wins = numpy.array(BASEBALL, float)
    strengths = ratings.bradley_terry(wins, prior=0)
    chance = 1 / (1 + numpy.exp(strengths[None, :] - strengths[:, None]))
    assert ((wins + wins.T) * chance).sum(1) == pytest.approx(wins.sum(1))


def test_of_two_models_the_strengths_are_the_log_odds():
    strengths = ratings.bradley_terry(numpy.array([[0, 7.5], [2.5, 0]]), prior=0)
    assert strengths[0] - strengths[1] == pytest.approx(math.log(3))


def test_who_won_everything_has_a_strength_only_with_a_prior():
    wins = numpy.array([[0, 5], [0, 0]])
    with pytest.raises(ValueError, match="no bound"):
        ratings.bradley_terry(wins, prior=0)
    strengths = ratings.bradley_terry(wins)
    assert strengths[0] - strengths[1] == pytest.approx(math.log(5.25 / 0.25))


def test_models_that_never_met_are_not_put_on_one_scale():
    wins = numpy.zeros((5, 5))
    wins[0, 1] = wins[1, 2] = wins[3, 4] = 1
    assert ratings.groups(wins + wins.T) == [[0, 1, 2], [3, 4]]
    with pytest.raises(ValueError, match="not all joined"):
        ratings.bradley_terry(wins)


def test_several_samples_are_rated_at_once_as_each_alone():
    draw = numpy.random.default_rng(1)
    wins = draw.integers(1, 9, (4, 3, 3)) * (1 - numpy.eye(3))
    together = ratings.bradley_terry(wins)
    assert together == pytest.approx(numpy.stack([ratings.bradley_terry(sample) for sample in wins]), abs=1e-6)


def votes_of(pairs, models=2):
    votes = numpy.zeros((len(pairs), models, models))
    for vote, (winner, loser) in enumerate(pairs):
        votes[vote, winner, loser] = 1
    return votes


def test_bootstrap_intervals_are_the_same_for_the_same_seed_and_narrow_with_more_votes():
    few, many = ([(0, 1)] * wins + [(1, 0)] * losses for wins, losses in ((12, 8), (120, 80)))
    samples = ratings.bootstrap(votes_of(few), samples=400, seed=3)
    assert numpy.array_equal(samples, ratings.bootstrap(votes_of(few), samples=400, seed=3))
    widths = []
    for pairs in (few, many):
        low, high = ratings.interval(ratings.bootstrap(votes_of(pairs), samples=400, seed=3))
        assert low[0] < math.log(12 / 8) / 2 < high[0]
        widths.append(high[0] - low[0])
    assert widths[0] / widths[1] == pytest.approx(math.sqrt(10), rel=0.15)


def test_a_resample_without_some_pair_still_has_strengths():
    samples = ratings.bootstrap(votes_of([(0, 1), (1, 2)], 3), samples=100, seed=0)
    assert numpy.isfinite(samples).all()


def test_cohens_kappa_is_the_textbooks():
    assert ratings.cohen_kappa([[20, 5], [10, 15]]) == pytest.approx(0.4)
    assert ratings.cohen_kappa([[45, 15], [25, 15]]) == pytest.approx(0.1304, abs=5e-5)
    assert ratings.cohen_kappa([[25, 35], [5, 35]]) == pytest.approx(0.2593, abs=5e-5)
    assert ratings.cohen_kappa([[7, 0], [0, 3]]) == pytest.approx(1)
    assert ratings.cohen_kappa([[9, 0], [0, 0]]) is None
    assert ratings.cohen_kappa([[0, 0], [0, 0]]) is None


def test_fleiss_kappa_is_the_published_example():
    table = [  # 14 raters, 10 subjects, 5 categories
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    assert ratings.fleiss_kappa(table) == pytest.approx(0.2099, abs=5e-5)
    assert ratings.fleiss_kappa([*table, [1, 0, 0, 0, 0]]) == pytest.approx(0.2099, abs=5e-5)


def test_fleiss_kappa_says_nothing_without_two_ratings_or_without_variety():
    assert ratings.fleiss_kappa([]) is None
    assert ratings.fleiss_kappa([[1, 0], [0, 1]]) is None
    assert ratings.fleiss_kappa([[3, 0], [2, 0]]) is None
    assert ratings.fleiss_kappa([[3, 0], [0, 2]]) == pytest.approx(1)
