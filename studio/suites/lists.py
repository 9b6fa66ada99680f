"""Suites as people keep them: make, look up, change, delete."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, undefer

from studio.errors import Conflict, NotFound, at_field, clip
from studio.listing import LIMIT, Listing, listing
from studio.plan import given_name
from studio.records import LOCAL_PERSON, Suite, utc_now
from studio.studio import Studio
from studio.suites.prompts import SuitePrompt, read_prompts, sha256_of, stored


def make_suite(
    studio: Studio, name: str, prompts: Any, owner: str = LOCAL_PERSON, source: str = "made", **more: Any
) -> Suite:
    """Raises Invalid with the number of the first wrong prompt, or TooLarge."""
    checked = read_prompts(prompts)
    suite = Suite(owner=owner, name=given_name(name), source=source, **holding(checked), **more)
    with studio.database.write() as session:
        session.add(suite)
    return suite


def holding(prompts: list[SuitePrompt]) -> dict[str, Any]:
    """The columns of a suite that tell of its prompts."""
    return {"prompts": stored(prompts), "prompt_count": len(prompts), "sha256": sha256_of(prompts)}


def get_suite(studio: Studio, id: str, owner: str = LOCAL_PERSON) -> Suite:
    """With its prompts. Raises NotFound, also for another person's."""
    with studio.database.read() as session:
        return found(session, id, owner)


def found(session: Session, id: str, owner: str) -> Suite:
    suite = session.scalar(select(Suite).where(Suite.id == id, Suite.owner == owner).options(undefer(Suite.prompts)))
    if suite is None:
        raise NotFound("suite", id)
    return suite


def suites_named(studio: Studio, names: Sequence[str], owner: str = LOCAL_PERSON) -> list[Suite]:
    """Those of these ids or names, each once. Raises NotFound at `suites`' place for one that is not there, Conflict where two share a name."""
    chosen: dict[str, Suite] = {}
    for place, name in enumerate(names):
        query = select(Suite).where(Suite.owner == owner)
        with studio.database.read() as session:
            same = (
                session.scalars(query.where(Suite.id == name)).all()
                or session.scalars(query.where(Suite.name == name)).all()
            )
        with at_field(f"training.suites.{place}"):
            if not same:
                raise NotFound("suite", name)
            if len(same) > 1:
                raise Conflict(f"{len(same)} suites are named '{clip(name)}'.", "Write the id of the one you mean.")
        chosen[same[0].id] = same[0]
    return list(chosen.values())


def prompts_of(suite: Suite) -> list[SuitePrompt]:
    return read_prompts(suite.prompts)


def list_suites(
    studio: Studio, owner: str = LOCAL_PERSON, q: str = "", limit: int = LIMIT, cursor: str | None = None
) -> Listing[Suite]:
    """The newest first, without their prompts."""
    query = select(Suite).where(Suite.owner == owner).order_by(Suite.created_at.desc(), Suite.id)
    for word in q.split():
        query = query.where(Suite.name.icontains(word, autoescape=True))
    with studio.database.read() as session:
        return listing(session, query, limit, cursor)


def change_suite(
    studio: Studio, id: str, owner: str = LOCAL_PERSON, name: str | None = None, prompts: Sequence[Any] | None = None,
    after_training: bool | None = None,
) -> Suite:  # fmt: skip
    """Change what is given. Runs keep the prompts that they were asked. Raises Conflict for other prompts in a built-in suite."""
    with studio.database.write() as session:
        suite = found(session, id, owner)
        if suite.source == "builtin" and (prompts is not None or name is not None):
            raise Conflict(f"'{suite.name}' comes with the studio and stays as it is.", "Make a copy, and change that.")
        if name is not None:
            suite.name = given_name(name)
        if prompts is not None:
            for column, value in holding(read_prompts(prompts)).items():
                setattr(suite, column, value)
        if after_training is not None:
            suite.after_training = after_training
        suite.changed_at = utc_now()
    return suite


def copy_suite(studio: Studio, id: str, owner: str = LOCAL_PERSON) -> Suite:
    """The same prompts under another name, to be changed."""
    suite = get_suite(studio, id, owner)
    about = suite.about or f"Copied from {suite.name}."
    return make_suite(studio, f"Copy of {suite.name}"[:100], suite.prompts, owner, about=about)


def delete_suite(studio: Studio, id: str, owner: str = LOCAL_PERSON) -> None:
    """Its runs stay, with the prompts that they were asked. Raises Conflict for one that comes with the studio."""
    with studio.database.write() as session:
        suite = found(session, id, owner)
        if suite.source == "builtin":
            raise Conflict(f"'{suite.name}' comes with the studio and would be back at the next start.", "Leave it.")
        session.delete(suite)


def shown(suite: Suite) -> dict[str, Any]:
    """As the API lists it."""
    names = (
        "id",
        "owner",
        "name",
        "source",
        "about",
        "dataset",
        "dataset_sha256",
        "after_training",
        "prompt_count",
        "sha256",
    )
    times = {name: getattr(suite, name).isoformat() for name in ("created_at", "changed_at")}
    return {**{name: getattr(suite, name) for name in names}, **times}


def shown_whole(suite: Suite) -> dict[str, Any]:
    return {**shown(suite), "prompts": suite.prompts}
