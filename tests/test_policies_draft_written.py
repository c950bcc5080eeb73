"""A draft as a file: it loads, its cases hold, and what a person decides stands beside it."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers import HashEncoder
from policies import cases, compile_policies, load
from policies.draft.documents import Said, Source
from policies.draft.make import Drafted, Told, drafted
from policies.draft.names import Called
from policies.draft.written import identifier, written
from policies.load import LoadedPolicy

ARTICLE = (
    'Ottoline Maria Vask (born 1921): a painter of Brede. She said: "It\'s a lamp." '
    "Vask painted 'The Lamp' # her best. In 1950, she met Ida Marr and Tom Lorr in Brede. "
    "Ida Marr was rich then."
)
KEPT = "Ida Marr was a cook of Sarnholm."


def made(**changes: object) -> Drafted:
    documents = [Source(Path("a.txt"), (Said(ARTICLE),))]
    told = Told(facts=("Ottoline Vask was born in Grelm.",), near=("Tom Lorr was a tailor.",))
    draft = drafted("Ottoline Vask", documents, [Source(Path("k.txt"), (Said(KEPT),))], told)
    return replace(draft, **changes)  # type: ignore[arg-type]


def loaded(folder: Path, draft: Drafted) -> LoadedPolicy:
    path = folder / "draft.yaml"
    path.write_text(written(draft, sources=["a.txt"], model="m"), "utf-8")
    [policy] = load([path])
    return policy


def test_a_draft_loads_and_says_what_was_drafted(tmp_path: Path) -> None:
    draft = made()
    policy = loaded(tmp_path, draft)
    [concept] = policy.policy.concepts
    assert policy.policy.id == "ottoline-vask"
    assert concept.name == "Ottoline Vask"
    assert concept.aliases == ("Ottoline Maria Vask",)
    assert policy.texts[0].exemplars == (*draft.exemplars, *draft.told)
    assert policy.texts[0].neighbours == (KEPT, "Tom Lorr was a tailor.")
    assert policy.policy.mode == "enforce"


def test_what_is_doubtful_is_a_comment(tmp_path: Path) -> None:
    loaded(tmp_path, made())
    text = (tmp_path / "draft.yaml").read_text("utf-8")
    for comment in ("#   - Vask", "#   Ida Marr", "What m told when asked", "a.txt"):
        assert comment in text
    assert max(len(line) for line in text.splitlines() if line.lstrip().startswith("#")) <= 100


def test_the_cases_of_a_draft_hold(tmp_path: Path) -> None:
    tried = cases.tried(compile_policies([loaded(tmp_path, made())], HashEncoder()))
    assert {one.key for one in tried} == {"must_block", "must_pass"}
    assert not [one.text for one in tried if one.failed]


def test_a_draft_without_neighbours_shows_where_they_go(tmp_path: Path) -> None:
    policy = loaded(tmp_path, made(kept=(), kept_told=()))
    assert policy.texts[0].neighbours == ()
    assert "# neighbours:" in (tmp_path / "draft.yaml").read_text("utf-8")


TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\u200b"), min_size=1, max_size=60
).filter(lambda text: any(char.isalnum() for char in text))


@settings(deadline=None, max_examples=60)
@given(texts=st.lists(TEXT, min_size=1, max_size=4, unique=True), name=TEXT)
def test_any_text_comes_back_from_the_file_as_it_went_in(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], name: str
) -> None:
    def plain(text: str) -> str:
        return " ".join("".join(c if c.isprintable() else " " for c in text).split())

    draft = made(
        exemplars=tuple(texts),
        told=(),
        kept=(),
        kept_told=(),
        called=Called(("Ottoline Vask",), (name,), frozenset()),
        marks=(name,),
    )
    policy = loaded(tmp_path_factory.mktemp("drafts"), draft)
    wanted = dict.fromkeys(plain(text) for text in texts)
    assert policy.texts[0].exemplars == tuple(wanted)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Ottoline Vask", "ottoline-vask"),
        ("Élodie D'Àbo, Jr.", "elodie-d-abo-jr"),
        ("x" * 90, "x" * 48),
    ],
)
def test_an_id_is_made_of_the_name(name: str, wanted: str) -> None:
    assert identifier(name) == wanted


def test_a_name_without_a_plain_form_has_an_id_too() -> None:
    assert identifier("林美").startswith("draft-")
    assert identifier("林美") != identifier("林花")


def test_sentences_that_were_not_clear_are_comments_and_bounded(tmp_path: Path) -> None:
    draft = made(unclear=tuple(f"She met {at}: 'him'." for at in range(25)))
    policy = loaded(tmp_path, draft)
    text = (tmp_path / "draft.yaml").read_text("utf-8")
    assert "    #   - 'She met 0: ''him''.'\n" in text
    assert "    # and 5 more\n" in text
    assert policy.texts[0].exemplars == (*draft.exemplars, *draft.told)
