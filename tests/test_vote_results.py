"""Results of blind votes: counts and rates of each two models, ratings over several, agreement of people."""

import pytest

from studio import votes
from studio.adapters import get_adapter
from studio.records import Person
from studio.vote_results import BASE, against_base, results
from tests.repeating_studio import add_adapter, add_base
from tests.voting import voted


@pytest.fixture
def voting(studio):
    add_base(studio, "small")
    for id in ("pirate", "judge"):
        add_adapter(studio, id, "small", "local")
    with studio.database.write() as session:
        session.add_all([Person(id="ann", name="Ann"), Person(id="bob", name="Bob")])
    return studio


def pair_of(found, first, second):
    return next(pair for pair in found.pairs if (pair.first, pair.second) == (first, second))


def test_the_letter_counts_for_whoever_stood_there(voting):
    for choice, columns in (
        ("A", ("pirate", None)),
        ("B", (None, "pirate")),
        ("A", (None, "pirate")),
        ("tie", (None, "pirate")),
        ("bad", ("pirate", None)),
    ):
        voted(voting, choice, columns)
    found = results(voting, "small")
    pair = pair_of(found, "pirate", BASE)
    assert (pair.wins, pair.losses, pair.ties, pair.bad) == (2, 1, 1, 1)
    assert (found.votes, pair.decided, pair.rate) == (5, 4, 2.5 / 4)
    assert found.names == {BASE: "The small one", "pirate": "Pirate"}


def test_fourteen_of_twenty_have_the_interval_of_the_formula(voting):
    for number in range(20):
        voted(voting, "B" if number < 14 else "A")
    pair = against_base(voting, get_adapter(voting, "pirate"))
    assert (pair.wins, pair.decided, pair.rate) == (14, 20, 0.7)
    assert pair.interval == pytest.approx((0.4810, 0.8545), abs=5e-5)
    assert pair.says == "unclear"


@pytest.mark.parametrize(
    ("wins", "losses", "says"), [(9, 0, "too few"), (10, 0, "first"), (0, 10, "second"), (7, 3, "unclear")]
)
def test_nothing_is_said_before_the_votes_tell(voting, wins, losses, says):
    for choice in "B" * wins + "A" * losses:
        voted(voting, choice)
    assert pair_of(results(voting, "small"), "pirate", BASE).says == says


def test_the_best_of_three_beats_both_and_nothing_is_said_of_the_others(voting):
    voted(voting, "C", (None, "judge", "pirate"))
    found = results(voting, "small")
    pairs = {(pair.first, pair.second): (pair.wins, pair.losses) for pair in found.pairs}
    assert pairs == {("pirate", BASE): (1, 0), ("judge", "pirate"): (0, 1)}


def test_a_vote_that_can_still_be_changed_moves_no_result(voting):
    id = voted(voting, "tie")
    other = voted(voting, "A", team=True)
    votes.cast(voting, other, "B", "ann")  # not closed
    assert results(voting, "small").votes == 2
    votes.reveal(voting, other, "ann")
    assert results(voting, "small").votes == 3
    assert results(voting, "small", by="ann").votes == 1
    assert results(voting, "small").people == {"ann": "Ann", "local": "You"}
    assert id != other


def test_votes_on_what_is_not_shared_are_counted_for_its_owner_alone(voting):
    voted(voting, "A", team=False)
    assert results(voting, "small").votes == 1
    assert results(voting, "small", "ann").votes == 0
    assert votes.voted_models(voting) == ["small"]
    assert votes.voted_models(voting, "ann") == []


def test_ratings_put_three_models_in_order_with_the_base_at_zero(voting):
    for columns, choices in (
        ((None, "pirate"), "BBBBBBBBBA"),
        ((None, "judge"), "BBBBBAAAAA"),
        (("judge", "pirate"), "BBBBBBBBAA"),
    ):
        for choice in choices:
            voted(voting, choice, columns)
    [group] = results(voting, "small").ratings
    assert [rating.model for rating in group][0] == "pirate"
    points = {rating.model: rating for rating in group}
    assert (points[BASE].points, points[BASE].low, points[BASE].high) == (0, 0, 0)
    assert points["pirate"].low < points["pirate"].points < points["pirate"].high
    assert points["judge"].low < 0 < points["judge"].high
    assert [rating.votes for rating in group] == [20, 20, 20]
    assert results(voting, "small").ratings == results(voting, "small").ratings


def test_two_models_and_models_that_never_met_have_no_rating(voting):
    voted(voting, "A")
    voted(voting, "A", ("judge", "third"))
    assert results(voting, "small").ratings == []


def test_ratings_are_found_when_a_model_has_won_everything_or_all_votes_are_bad(voting):
    for choice in "CCCCC":
        voted(voting, choice, (None, "judge", "pirate"))
    [group] = results(voting, "small").ratings
    assert group[0].model == "pirate"
    assert all(abs(rating.points) < 2000 for rating in group)


def test_votes_that_find_all_bad_rate_nobody(voting):
    voted(voting, "bad", (None, "judge", "pirate"))
    found = results(voting, "small")
    assert found.ratings == []
    assert pair_of(found, "pirate", BASE).rate is None
    assert pair_of(found, "pirate", BASE).says == "too few"


def test_agreement_is_counted_on_the_same_models_and_questions(voting):
    # Cohen's textbook table: 20 times both the first, 15 times both the second, 5 and 10 times one each
    number = 0
    for first, second, times in (("A", "A", 4), ("A", "B", 1), ("B", "A", 2), ("B", "B", 3)):
        for _ in range(times):
            number += 1
            voted(voting, first, question=f"question {number}", person="ann")
            # the other saw the same models the other way round
            voted(voting, {"A": "B", "B": "A"}[second], ("pirate", None), question=f"question {number}", person="bob")
    voted(voting, "A", question="seen by one alone", person="ann")
    [agreement] = results(voting, "small").agreement
    assert (agreement.people, agreement.things, agreement.agreed) == (["ann", "bob"], 10, 7)
    assert agreement.kappa == pytest.approx(0.4)


def test_three_people_agree_by_fleiss_and_each_two_by_cohen(voting):
    for number, choices in enumerate(("AAA", "BBB", "ABA", "BBA", "AAA")):
        id = None
        for person, choice in zip(("local", "ann", "bob"), choices, strict=True):
            id = voted(voting, choice, question=str(number), person=person, on=id)
    overall, *each = results(voting, "small").agreement
    assert (overall.people, overall.things, overall.agreed) == (["ann", "bob", "local"], 5, 3)
    # 15 ratings, 9 for A: chance (9/15)² + (6/15)² = 0.52, agreement (1 + 1 + 1/3 + 1/3 + 1) / 5
    assert overall.kappa == pytest.approx((11 / 15 - 0.52) / 0.48)
    assert [(two.people, two.things, two.agreed) for two in each] == [
        (["ann", "bob"], 5, 3), (["ann", "local"], 5, 4), (["bob", "local"], 5, 4),
    ]  # fmt: skip


def test_an_adapter_that_is_gone_is_still_in_the_results_under_its_name(voting):
    voted(voting, "A", ("third", None))
    assert results(voting, "small").names["third"] == "Third"
