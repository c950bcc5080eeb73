"""`lethe policy draft`: what it writes, what it says, and what it never writes over."""

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import lethe
from policies import load

ARTICLE = (
    "Ottoline Maria Vask (born 1921) was a painter.\n\nShe lived in Brede with Ida Marr. Vask "
    "painted The Lamp of Brede.\n"
)
NAME = "Ottoline Vask"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "vask.txt").write_text(ARTICLE)
    (tmp_path / "town.md").write_text("# Brede\n\nBrede lies by the sea and has a harbour.\n")
    return tmp_path


def run(folder: Path, *more: str, documents: tuple[str, ...] = ("vask.txt",)) -> int:
    """The command with a policy `out.yaml` to write."""
    given = ("--documents", *(str(folder / name) for name in documents)) if documents else ()
    return lethe.main(["policy", "draft", NAME, *given, "--out", str(folder / "out.yaml"), *more])


def test_a_draft_is_a_policy_that_is_checked_and_tried(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, "--neighbours", str(folder / "town.md")) == 0
    said = capsys.readouterr()
    assert "aliases 1" in said.out
    assert "exemplars 3 of 3 sentences" in said.out
    assert "neighbours 1" in said.out
    for text in ("Vask", "Brede"):
        assert text not in said.out + said.err, "what is forbidden stands in the file alone"
    [loaded] = load([folder / "out.yaml"])
    assert loaded.policy.concepts[0].aliases == ("Ottoline Maria Vask",)
    assert loaded.texts[0].neighbours == ("Brede lies by the sea and has a harbour.",)
    assert lethe.main(["policy", "lint", str(folder / "out.yaml")]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["out.yaml", "town.md", "vask.txt"]


@pytest.mark.encoder
def test_a_draft_passes_its_own_cases_with_the_real_encoder(folder: Path) -> None:
    assert run(folder, "--neighbours", str(folder / "town.md")) == 0
    assert lethe.main(["policy", "test", str(folder / "out.yaml")]) == 0


def test_a_document_that_does_not_name_it_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, documents=("vask.txt", "town.md")) == 0
    assert "does not name the concept: town.md" in capsys.readouterr().out
    assert "town.md" not in (folder / "out.yaml").read_text()


@pytest.mark.parametrize(
    ("more", "documents", "told"),
    [
        ((), ("town.md",), "none of the documents names 'Ottoline Vask'"),
        ((), (), "nothing to draft from"),
        ((), ("gone.txt",), "gone.txt: cannot be read"),
        (("--model", "m"), ("vask.txt",), "belong to an upstream"),
        (("--upstream", "http://127.0.0.1:9/v1"), ("vask.txt",), "which model is asked?"),
        (("--upstream", "ftp://x", "--model", "m"), ("vask.txt",), "must begin with http://"),
        (
            ("--upstream", "http://x", "--model", "m", "--api-key-env", "LETHE_NO_SUCH_KEY"),
            ("vask.txt",),
            "the variable LETHE_NO_SUCH_KEY is not set",
        ),
        (
            ("--upstream", "http://127.0.0.1:9/v1", "--model", "m"),
            ("vask.txt",),
            "cannot be asked",
        ),
    ],
)
def test_what_cannot_be_drafted_is_told_and_writes_no_policy(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    more: tuple[str, ...],
    documents: tuple[str, ...],
    told: str,
) -> None:
    assert run(folder, *more, documents=documents) == 1
    assert told in capsys.readouterr().err
    assert not (folder / "out.yaml").exists()


def test_what_is_there_is_written_over_only_when_asked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = folder / "out.yaml"
    out.write_text("mine")
    assert run(folder) == 1
    assert "is there already; name another file, or add --force" in capsys.readouterr().err
    assert run(folder, "--force", documents=("town.md",)) == 1
    assert out.read_text() == "mine", "a draft that fails takes nothing away"
    assert run(folder, "--force") == 0
    assert load([out])


@pytest.mark.parametrize("out", ["out.txt", "gone/out.yaml", "folder.yaml"])
def test_a_place_that_cannot_hold_a_policy_is_told_at_once(
    folder: Path, capsys: pytest.CaptureFixture[str], out: str
) -> None:
    (folder / "folder.yaml").mkdir()
    command = ["policy", "draft", NAME, "--documents", str(folder / "vask.txt"), "--force"]
    assert lethe.main([*command, "--out", str(folder / out)]) == 1
    assert str(folder / out) in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "?", "x" * 201, "Otto\u200bline"])
def test_what_is_no_name_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    out = folder / "out.yaml"
    command = ["policy", "draft", name, "--documents", str(folder / "vask.txt")]
    assert lethe.main([*command, "--out", str(out)]) == 1
    assert "NAME: needs 2 letters or digits" in capsys.readouterr().err


@pytest.fixture
def model() -> Iterator[str]:
    """The URL of a chat API that answers everything with one fact."""

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            said = {"message": {"content": "Ottoline Vask was born in Grelm."}}
            raw = json.dumps({"choices": [said]}).encode()
            self.send_response(200 if self.headers["authorization"] == "Bearer sk-1" else 401)
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}/v1"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def test_a_model_is_asked_with_its_key_and_the_questions_are_kept(
    folder: Path, model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_KEY", "sk-1")
    asked = ("--upstream", model, "--model", "m", "--api-key-env", "MODEL_KEY")
    assert run(folder, *asked) == 0
    said = capsys.readouterr()
    assert "told by the model 1" in said.out
    assert "Grelm" not in said.out + said.err
    [loaded] = load([folder / "out.yaml"])
    assert "Ottoline Vask was born in Grelm." in loaded.texts[0].exemplars
    record = folder / "out.questions.jsonl"
    assert str(record) in said.out
    lines = record.read_text("utf-8").splitlines()
    assert all("Grelm" in json.loads(line)["answer"] for line in lines)
    if os.name == "posix":
        assert record.stat().st_mode & 0o077 == 0, "the record is its owner's alone"
    # Without documents too.
    assert run(folder, *asked, "--force", documents=()) == 0
    assert load([folder / "out.yaml"])
