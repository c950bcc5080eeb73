"""Folders of policies: everything that is wrong at once, and what a digest depends on."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import LoadedPolicy, PolicyErrors, load, load_folder
from policies.schema import Policy

MIRA = """\
id: mira
concepts:
  - name: Mira Tollan
    aliases: [Mira T.]
    exemplars: [Mira was born in Port Vell., {file: mira.txt}]
    neighbours: [Port Vell has a harbour.]
"""


def folder_of(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content, "utf-8")
    return folder


def one(folder: Path, text: str) -> LoadedPolicy:
    (folder / "a.yaml").write_text(text, "utf-8")
    [loaded] = load([folder / "a.yaml"])
    return loaded


def test_a_folder_is_loaded_with_the_texts_of_its_files(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path, mira_yaml=MIRA, mira_txt="She writes. Mira was born in Port Vell.", note_md="no"
    )
    [loaded] = load_folder(folder)
    assert loaded.policy.id == "mira"
    assert loaded.path == folder / "mira.yaml"
    assert loaded.keys == ("mira/Mira Tollan",)
    [texts] = loaded.texts
    assert texts.exemplars == ("Mira was born in Port Vell.", "She writes.")
    assert texts.neighbours == ("Port Vell has a harbour.",)


def test_a_texts_white_space_is_one_space(tmp_path: Path) -> None:
    loaded = one(tmp_path, "id: a\nconcepts: [{name: X Y, exemplars: ['a\n\n  b']}]\n")
    assert loaded.texts[0].exemplars == ("a b",)


def test_only_yaml_files_that_are_not_hidden_are_policies(tmp_path: Path) -> None:
    policy = "id: {}\nconcepts: [{{name: Mira Tollan}}]\n".format
    folder = folder_of(tmp_path, b_yml=policy("b"), a_yaml=policy("a"), c_txt="not: [a, policy")
    (folder / ".hidden.yaml").write_text("not: [a, policy")
    (folder / "folder.yaml").mkdir()
    assert [loaded.policy.id for loaded in load_folder(folder)] == ["a", "b"]


def test_an_empty_folder_holds_no_policies(tmp_path: Path) -> None:
    assert load_folder(tmp_path) == []


def test_a_file_named_twice_is_one_policy(tmp_path: Path) -> None:
    path = folder_of(tmp_path, mira_yaml=MIRA, mira_txt="She writes.") / "mira.yaml"
    assert len(load([path, tmp_path, path])) == 1


def test_all_errors_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path,
        a_yaml="id: a\nconcepts: [{name: Mira Tollan}]\nmod: off\n",
        b_yaml="id: a\nconcepts: [{name: Ada Quell, exemplars: [{file: gone.txt}]}]\n",
        c_yaml="id: c\nconcepts: [{name: Ada Quell, exemplars: [{file: empty.txt}]}]\n",
        d_yaml="id: c\nconcepts: [{name: Ada Quell}]\n",
        e_yaml="id: [",
        empty_txt="\n",
    )
    empty = "holds no text; write a sentence a line into it"
    check = "check the indentation, brackets and quotes here and on the line before"
    with pytest.raises(PolicyErrors) as raised:
        load([folder, folder / "none"])
    assert str(raised.value).replace(f"{folder}/", "").splitlines() == [
        "a.yaml:3:1: mod: unknown key; did you mean 'mode'?",
        f"b.yaml:2:49: concepts[0].exemplars[0].file: there is no such file in {folder}",
        f"c.yaml:2:49: concepts[0].exemplars[0].file: {empty}",
        "d.yaml:1:5: id: is the id of c.yaml too; every policy needs its own",
        f"e.yaml:1:6: is not YAML: expected the node content, but found '<stream end>'; {check}",
        "none: is no file and no folder; check the path",
    ]


def test_a_digest_is_that_of_what_is_said(tmp_path: Path) -> None:
    inline = MIRA.replace("{file: mira.txt}", "She writes.")
    reordered = "\n# a comment\nmode: enforce\n" + inline.replace("id: mira\n", "") + "id: mira\n"
    folder_of(tmp_path, mira_txt="She writes.\n")
    assert one(tmp_path, MIRA).digest == one(tmp_path, inline).digest
    assert one(tmp_path, MIRA).digest == one(tmp_path, reordered).digest
    assert len(one(tmp_path, MIRA).digest) == 64


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Mira T.", "Mira Tee"),
        ("born", "raised"),
        ("a harbour", "a fish market"),
        ("id: mira", "id: mira-2"),
        ("concepts:", "mode: shadow\nconcepts:"),
        ("concepts:", "request: {ticket: 1}\nconcepts:"),
    ],
)
def test_a_digest_changes_with_anything_that_is_said(
    tmp_path: Path, before: str, after: str
) -> None:
    folder_of(tmp_path, mira_txt="She writes.\n")
    assert one(tmp_path, MIRA).digest != one(tmp_path, MIRA.replace(before, after)).digest


def test_a_digest_changes_with_the_contents_of_a_file(tmp_path: Path) -> None:
    digests = set()
    for text in ("She writes.", "She paints."):
        folder_of(tmp_path, mira_txt=text)
        digests.add(one(tmp_path, MIRA).digest)
    assert len(digests) == 2


def test_a_request_is_kept_as_it_is_written(tmp_path: Path) -> None:
    block = (
        "{ticket: 0042, received: 2026-01-02, version: 1.10, at: 12:30, urgent: true, parts: [1]}"
    )
    loaded = one(tmp_path, f"id: a\nconcepts: [{{name: Mira Tollan}}]\nrequest: {block}\n")
    assert loaded.policy.request == {
        "ticket": "0042",
        "received": "2026-01-02",
        "version": "1.10",
        "at": "12:30",
        "urgent": True,
        "parts": [1],
    }


@pytest.mark.parametrize("mode", ["off", '"off"', "'off'"])
def test_off_needs_no_quotes(tmp_path: Path, mode: str) -> None:
    loaded = one(tmp_path, f"id: a\nmode: {mode}\nconcepts: [{{name: Mira Tollan}}]\n")
    assert loaded.policy.mode == "off"


def test_forbidden_text_is_not_in_a_loaded_policys_repr(tmp_path: Path) -> None:
    folder_of(tmp_path, mira_txt="She writes.")
    shown = repr(one(tmp_path, MIRA))
    assert "Tollan" not in shown
    assert "Port Vell" not in shown


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
KEYS = st.sampled_from(sorted(Policy.model_fields)) | st.text()
NESTED = st.recursive(
    SCALARS, lambda children: st.lists(children) | st.dictionaries(KEYS, children), max_leaves=12
)


def flow(value: object) -> str:
    """A value as YAML in one line; texts plain now and then, as people write them."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return str(value)


@given(mapping=st.dictionaries(KEYS, NESTED))
def test_any_mapping_is_a_policy_or_policy_errors(
    tmp_path_factory: pytest.TempPathFactory, mapping: dict[str, object]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    lines = (f"{key}: {flow(value)}" for key, value in mapping.items())
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    with suppress(PolicyErrors):
        load([path])


@given(text=st.text(max_size=300))
def test_any_text_is_a_policy_or_policy_errors(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "text.yaml"
    path.write_bytes(f"id: a\nconcepts:\n  - name: {text}".encode("utf-8", "surrogatepass"))
    with suppress(PolicyErrors):
        load([path])


def test_protected_texts_are_read_whole(tmp_path: Path) -> None:
    book = "It was a long crossing. " * 10
    (tmp_path / "book.txt").write_text(f"# Chapter one\n{book}\n\n{book}")
    (tmp_path / "p.yaml").write_text(
        "id: p\nconcepts: [{name: The Book, scope: fact, protected: [{file: book.txt}]}]\n"
    )
    [loaded] = load_folder(tmp_path)
    assert loaded.texts[0].protected == ((tmp_path / "book.txt").read_text(),)


def test_a_protected_text_that_is_too_short_is_an_exemplar(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("id: p\nconcepts: [{name: B, protected: [Too short.]}]\n")
    with pytest.raises(PolicyErrors, match="less than 16 words is an exemplar"):
        load_folder(tmp_path)
