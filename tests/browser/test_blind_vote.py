"""A whole blind vote in the browser: asked with names hidden, voted by a key, revealed with the proof, counted."""

import pytest

from studio.settings import StudioSettings
from studio.studio import Studio
from tests.browser.conftest import PHONE, wait_until
from tests.browser.running import running_studio
from tests.browser.test_pages import TOO_WIDE
from tests.finished_runs import what_comes_with_it
from tests.random_adapter import leave_adapter

NAMES = {"tulipaaa": "tulip-tone", "walrusaa": "walrus-tone"}
ADDRESS = "/compare?model=builtin&a=tulipaaa&b=walrusaa&temperature=0.7&seed=3&blind=1"
# Keeps a copy of everything that the page is sent from now on, piece by piece: a stream is broken off at its end.
LISTEN = """() => {
  const fetched = window.fetch;
  window.heard = '';
  const keep = async (reader, decoder) => {
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) window.heard += decoder.decode(piece.value, { stream: true });
  };
  window.fetch = async (...asked) => {
    const answer = await fetched(...asked);
    if (!String(asked[0]).includes('run/predict')) keep(answer.clone().body.getReader(), new TextDecoder()).catch(() => 0);
    return answer;
  };
}"""
OPEN_VOTE = ".ls-votes button:not(:disabled)"


@pytest.fixture(scope="module")
def studio_app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studio") / "data"
    studio = Studio.open(StudioSettings(data_folder=folder))
    what_comes_with_it(studio)
    for seed, (id, name) in enumerate(NAMES.items()):
        leave_adapter(studio, id, name, seed, strength=0.15)
    studio.database.close()
    with running_studio(folder, STUDIO_RUNNER="false") as running:
        yield running


def test_a_blind_vote_from_the_question_to_the_results(studio_app, open_page):
    page = open_page(studio_app.address + ADDRESS)
    page.locator(".ls-answer").nth(2).wait_for()
    page.evaluate(LISTEN)
    page.get_by_label("Question").fill("What is the capital city of Italy?")
    page.get_by_label("Question").press("Enter")
    page.locator(OPEN_VOTE).first.wait_for()
    wait_until(page, "() => document.activeElement.matches('.ls-votes')")  # so that the next key is a vote
    wait_until(page, "() => window.heard.includes('process_completed')")
    sent = [page.evaluate("window.heard"), page.locator(".ls-votes").inner_html()]
    sent.append(page.locator(".ls-answers").evaluate("part => part.outerHTML"))
    assert "Italy" in sent[0]
    for told in (*NAMES, *NAMES.values(), "Built-in", "tok/s", "layer", "self-check", "--ls-s"):
        assert not [text for text in sent if told in text], told

    wait_until(page, "() => /blind=[a-z0-9]{6,}/.test(location.search)")
    before = page.locator(".ls-answers").inner_text()
    again = open_page(page.url)  # the address holds the comparison, and not who is who
    again.locator(OPEN_VOTE).first.wait_for()
    assert again.locator(".ls-answers").inner_text() == before
    assert again.get_by_label("Seed").first.input_value() == "3"
    again.close()

    page.keyboard.press("2")
    page.get_by_text("You found answer B best").wait_for()
    page.get_by_text("no layer changed").wait_for()
    assert page.get_by_text("changed 6 layers").count() == 2
    assert {name for name in (*NAMES.values(), "Built-in") if name in page.locator(".ls-answers").inner_text()} == {
        *NAMES.values(), "Built-in",
    }  # fmt: skip

    results = open_page(f"{studio_app.address}/votes")
    results.get_by_text("1 of at least 10 votes").first.wait_for()
    results.get_by_text("Too few to say anything.").first.wait_for()


def test_the_ballot_and_the_votes_fit_on_a_phone(studio_app, open_page):
    for address, part in ((ADDRESS, ".ls-votes"), ("/votes", "table.ls-rates, .ls-empty")):
        page = open_page(studio_app.address + address, PHONE)
        page.locator(part).wait_for()
        assert not page.evaluate(TOO_WIDE)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_one_column_is_asked_again_and_a_question_edited(studio_app, open_page):
    page = open_page(studio_app.address + ADDRESS.replace("&blind=1", ""))
    page.locator(".ls-answer").nth(2).wait_for()
    page.get_by_label("Question").fill("Describe a cat.")
    page.get_by_label("Question").press("Enter")
    page.get_by_role("button", name="Ask tulip-tone again").wait_for()
    base = page.locator(".ls-answer .a").first.inner_text()
    page.get_by_role("button", name="Ask tulip-tone again").click()
    page.get_by_text("draw 2").wait_for()
    assert page.locator(".ls-answer .a").first.inner_text() == base
    page.get_by_text("first token after").first.wait_for()
    page.get_by_role("button", name="Edit turn 1").first.click()
    wait_until(page, "() => document.querySelector('.ls-prompt textarea').value === 'Describe a cat.'")
    page.get_by_text("You are editing question 1.").wait_for()
    assert page.locator(".ls-answer .a").count() == 3  # they stay until it is sent
