"""`lethe policy test`: the cases of a policy, tried by its own concepts alone."""

from pathlib import Path

import pytest

import lethe
from classifiers import HashEncoder
from policies import cases, compile_policies, load_folder

POLICY = """\
id: p
concepts:
  - name: Ottoline Vask
    scope: fact
    exemplars: [Ottoline Vask was born in Sarnholm.]
    protected: [{file: book.txt}]
must_block:
  - Ottoline Vask was born in Sarnholm.
  - {text: In Sarnholm., before: "Where was Ottoline Vask born?"}
  - Piet Marr
must_pass:
  - The ferry left at nine.
  - Ottoline Vask was born in Sarnholm.
  - %s
"""
OTHER = "id: other\nconcepts: [{name: Piet Marr}]\nmust_pass: [Ottoline Vask]\n"
BOOK = (
    "It was a long crossing, and the mate said that no one had seen the lamp of Sarnholm that "
    "night."
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "book.txt").write_text(BOOK)
    (tmp_path / "p.yaml").write_text(POLICY % BOOK.replace(",", ""))
    (tmp_path / "other.yaml").write_text(OTHER)
    return tmp_path


def test_cases_are_tried_by_their_own_policy(folder: Path) -> None:
    tried = cases.tried(compile_policies(load_folder(folder), HashEncoder()))
    failed = [(one.policy.policy.id, one.key, one.number) for one in tried if one.failed]
    # Another policy's name blocks nothing here.
    assert ("p", "must_block", 2) in failed
    assert ("p", "must_pass", 1) in failed
    assert ("p", "must_pass", 2) in failed
    assert ("p", "must_block", 0) not in failed
    assert not any(policy == "other" for policy, *_ in failed)
    told = list(cases.lines(tried))
    assert told[-1] == f"cases: 7, failed: {len(failed)}"
    assert any("score 1.000" in line for line in told)
    assert any("quotes a protected text" in line for line in told)


@pytest.mark.encoder
def test_the_command_says_what_failed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lethe.main(["policy", "test", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "must_block[2] passed: Piet Marr" in out
    assert "must_pass[1] was blocked: Ottoline Vask was born in Sarnholm." in out
    (folder / "p.yaml").unlink()
    assert lethe.main(["policy", "test", str(folder)]) == 0
    (folder / "other.yaml").write_text("id: other\nconcepts: [{name: Piet Marr}]\n")
    assert lethe.main(["policy", "test", str(folder)]) == 1
    assert "no policy holds a case" in capsys.readouterr().out


@pytest.mark.encoder
def test_a_folder_of_cases_is_tried_beside_those_in_policies(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "p.yaml").unlink()
    more = folder / "cases"
    more.mkdir()
    (more / "a.yaml").write_text(
        "policy: other\nmust_block: [Piet Marr, The ferry left at nine.]\n"
    )
    (more / "talk.yaml").write_text("claim: c\npolicy: {}\nrequest: {}\nupstream: []\nexpect: {}\n")
    command = ["policy", "test", str(folder), "--cases", str(more)]
    assert lethe.main(command) == 1
    out = capsys.readouterr().out
    assert f"{more / 'a.yaml'}: must_block[1] passed: The ferry left at nine." in out
    assert "only a proxy plays conversations: 1 files" in out
    assert "cases: 3, failed: 1" in out
    (more / "a.yaml").write_text("policy: nobody\nmust_pas: [x]\n")
    assert lethe.main(command) == 1
    assert "did you mean 'must_pass'?" in capsys.readouterr().out
    (more / "a.yaml").write_text("policy: nobody\n")
    assert lethe.main(command) == 1
    assert "policy: is no policy that was given" in capsys.readouterr().out
    (more / "a.yaml").unlink()
    assert lethe.main(command) == 1
    assert lethe.main([*command[:-1], str(folder / "gone")]) == 1


def test_a_case_that_passes_above_its_threshold_says_what_spares_it(tmp_path: Path) -> None:
    kept = "Ottoline Vask was born in Sarnholm town."
    text = (
        "id: p\nconcepts: [{name: Ottoline Vask, scope: fact, threshold: 0.5, exemplars: "
        f"[Ottoline Vask was born in Sarnholm.], neighbours: [{kept}]}}]\nmust_block: [{kept}]\n"
    )
    (tmp_path / "p.yaml").write_text(text)
    [one] = cases.tried(compile_policies(load_folder(tmp_path), HashEncoder()))
    assert one.failed
    assert "is nearer to what must stay sayable" in "\n".join(cases.lines([one]))
