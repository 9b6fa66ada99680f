"""The Votes page: what it says in words, and that no name or text of a person is taken for markup."""

import pytest

from studio.pages import votes, votes_view
from studio.vote_pairs import Pairs
from studio.vote_results import BASE, Agreement, Pair, Rating, Results
from tests.finished_runs import NASTY, what_comes_with_it
from tests.random_adapter import leave_adapter
from tests.voting import NAMES, voted


def results(**more) -> Results:
    pairs = [Pair("pirate", BASE, 14, 6), Pair("judge", BASE, 2, 1, 1), Pair("judge", "pirate", 1, 15, 2, 3)]
    names = {BASE: "Small", "pirate": NASTY, "judge": "Judge"}
    return Results(
        **{"base_model": "small", "votes": 24, "names": names, "people": {"local": "You"}, "pairs": pairs, **more}
    )


def test_a_win_rate_stands_with_its_counts_and_its_interval():
    html = votes_view.drawn(results(), Pairs())
    assert "<b>70 %</b> 48 to 85 %" in html
    assert "4 of at least 10 votes" in html
    assert "Too few to say anything." in html
    assert "50 % is within the interval: it may be chance." in html
    assert "Better" in html
    assert "<img" not in html
    assert "&lt;img" in html


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        (Pair("a", BASE), ""),
        (Pair("a", BASE, bad=3), ""),
        (Pair("a", BASE, 1), "Won 1 of 1 blind vote against the base: too few to say anything."),
        (Pair("a", BASE, 14, 6), "Won 14 of 20 blind votes against the base, 48 to 85 %: no difference shown yet."),
        (Pair("a", BASE, 14, 2, 4), "Won 14 of 20 blind votes against the base (4 ties), 58 to 92 %: it is preferred."),
        (Pair("a", BASE, 1, 15), "Won 1 of 16 blind votes against the base, 1 to 28 %: the base is preferred."),
    ],
)
def test_an_adapter_stands_against_its_base_in_one_sentence(pair, said):
    assert votes_view.line(pair) == said
    assert bool(votes_view.note(pair, "small")) == bool(said)


def test_ratings_stand_on_one_scale_with_the_base_at_zero():
    group = [Rating("pirate", 120.4, -3.0, 250.2, 20), Rating(BASE, 0, 0, 0, 20), Rating("judge", -80, -190, 20, 20)]
    html = votes_view.drawn(results(ratings=[group]), Pairs())
    assert "<b>+120</b>" in html
    assert "−3 to +250" in html
    assert "the base stands at 0" in html
    assert 'aria-label="−80 points, 95 % interval −190 to +20"' in html


@pytest.mark.parametrize(
    ("kappa", "things", "said"),
    [
        (0.9, 40, "almost always"),
        (0.3, 40, "a little"),
        (-0.2, 40, "hardly more often"),
        (None, 40, "Everybody"),
        (1.0, 3, "3 of at least 10"),
    ],
)
def test_agreement_is_told_in_words(kappa, things, said):
    people = {"local": "You", "ann": NASTY}
    html = votes_view.drawn(results(people=people, agreement=[Agreement(["local", "ann"], things, 2, kappa)]), Pairs())
    assert said in html
    assert "<img" not in html


def test_what_is_left_out_of_the_pairs_is_said_with_its_reason():
    html = votes_view.drawn(results(), Pairs(rows=[{}], ties=2, split=1))
    assert (
        "1 pair of a preferred and another answer; left out: 2 because about the same, 1 because people disagreed."
        in html
    )
    assert "/api/v1/votes/export?base_model=small" in html
    assert "export" not in votes_view.drawn(results(), Pairs())


def test_without_votes_the_page_leads_to_the_first_one(studio):
    assert votes.shown(studio, "", "")[1] == votes_view.nothing()
    assert "/compare?blind=1" in votes_view.nothing()


def test_the_page_shows_everybodys_votes_and_those_of_one_person(studio, monkeypatch):
    what_comes_with_it(studio)
    leave_adapter(studio, "tulip", "tulip", 1)
    monkeypatch.setitem(NAMES, "tulip", "tulip")
    for choice in "BBA":
        voted(studio, choice, (None, "tulip"), base_model="builtin")
    who, html, learning = votes.shown(studio, "builtin", "nobody")
    assert who["visible"] is False
    assert "tulip" in html
    assert learning["visible"] is True
