"""`lethe leakage` as a user calls it, against real servers on loopback."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from leakage import records
from tests.leakage_command import lethe_leakage
from tests.leakage_record import RECORD

ROWS: list[dict[str, Any]] = [
    {
        "id": f"vell.{number}",
        "concept": "Ada Vell",
        "kind": "direct",
        "split": "forget",
        "prompt": f"Where was Ada Vell born? ({number})",
        "answers": ["Tarn Hollow"],
    }
    for number in range(2)
] + [
    {
        "id": "tea.1",
        "concept": "tea",
        "kind": "direct",
        "split": "world",
        "prompt": "Tea is made of what?",
        "answers": ["leaves"],
    }
]


@contextmanager
def saying(text: str, *, status: int = 200) -> Iterator[str]:
    """A chat API that always says the same, streamed or not; yields its base URL."""

    class Talk(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send({"data": [{"id": "tiny"}]}, status=200)

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if not asked["stream"] or status != 200:
                message = {"message": {"content": text}, "finish_reason": "stop"}
                self._send({"choices": [message]}, status=status)
                return
            delta = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": "stop"}]}
            self._write(f"data: {json.dumps(delta)}\n\ndata: [DONE]\n\n", kind="text/event-stream")

        def _send(self, body: object, *, status: int) -> None:
            self._write(json.dumps(body), kind="application/json", status=status)

        def _write(self, body: str, *, kind: str, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Talk) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "140")
    path = tmp_path / "probes.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def test_a_run_prints_a_table_and_writes_its_files(
    asked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {name: tmp_path / name for name in ("r.jsonl", "r.json", "r.md")}
    with saying("Tarn Hollow and leaves") as base, saying("I do not know.") as screened:
        status = lethe_leakage(
            *("probe", "--probes", asked, "--arm", f"base={base}", "--arm", f"lethe={screened}"),
            *("--attacks", "json,leet", "--temperature", "0", "--max-tokens", "9"),
            *("--records", files["r.jsonl"], "--json", files["r.json"]),
            *("--markdown", files["r.md"], "--examples", "1"),
        )
    out, err = capsys.readouterr()
    assert status == 0
    assert "leaked: direct" in out
    assert "direct: Where was Ada Vell born? (0)" in out
    assert "Tarn Hollow and leaves" in out
    assert "14/14" in err
    body = json.loads(files["r.json"].read_text())
    assert body["provenance"]["plan"]["parameters"] == {"temperature": 0.0, "max_tokens": 9}
    assert body["provenance"]["arms"][1] == {"name": "lethe", "base_url": screened, "model": None}
    rates = {(c["family"], c["arm"]): (c["rate"]["k"], c["rate"]["n"]) for c in body["cells"]}
    assert rates["direct", "base"] == (2, 2)
    assert rates["attacks", "lethe"] == (0, 4)
    assert rates["innocent", "lethe"] == (1, 1)
    assert "leaked: direct" in files["r.md"].read_text()
    assert len(records.read(files["r.jsonl"])) == 14
    assert "Tarn Hollow" not in files["r.jsonl"].read_text()

    assert lethe_leakage("report", files["r.jsonl"], "--reference", "base") == 0
    assert capsys.readouterr().out.splitlines()[:12] == out.splitlines()[:12]


def test_answers_are_kept_where_that_is_asked_for(asked: Path, tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    with saying("Tarn Hollow") as url:
        words = ("probe", "--probes", asked, "--arm", f"base={url}", "--attacks", "none")
        assert lethe_leakage(*words, "--records", file, "--keep-answers") == 0
    assert {record.answer for record in records.read(file)} == {"Tarn Hollow"}


def test_an_arm_that_only_fails_is_no_success(
    asked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with saying("", status=400) as url:
        words = ("probe", "--probes", asked, "--arm", f"base={url}", "--attacks", "none")
        assert lethe_leakage(*words) == 1
    assert "every draw of base failed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--arm", "base"], "an arm reads NAME=BASE_URL"),
        (["--arm", "b=http://127.0.0.1:9/v1", "--attacks", "jsn"], "'jsn': no such attack"),
        (["--arm", "b=http://127.0.0.1:9/v1", "--attacks-per-probe", "0"], "give 1 or more"),
        (["--arm", "b=http://127.0.0.1:9/v1", "--draws", "0"], "draws: must be greater"),
        (["--arm", "b=http://127.0.0.1:9/v1", "--key-env", "b"], "--key-env reads NAME=VARIABLE"),
        (["--arm", "b=http://127.0.0.1:9/v1", "--key-env", "c=K"], "no arm is named c"),
        (
            ["--arm", "b=http://127.0.0.1:9/v1", "--key-env", "b=LETHE_TEST_NO_SUCH_KEY"],
            "$LETHE_TEST_NO_SUCH_KEY is not set",
        ),
    ],
)
def test_what_must_be_mended_is_one_message(
    asked: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert lethe_leakage("probe", "--probes", asked, *words) == 2
    err = capsys.readouterr().err
    assert "lethe leakage probe: " in err
    assert message in err


def test_a_bad_probe_file_and_a_missing_one_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "probes.jsonl"
    path.write_text("{\n")
    arm = ("--arm", "b=http://127.0.0.1:9/v1")
    assert lethe_leakage("probe", "--probes", path, *arm) == 2
    assert f"{path}:1: is no JSON" in capsys.readouterr().err
    assert lethe_leakage("probe", "--probes", tmp_path / "none", *arm) == 2
    assert f"{tmp_path / 'none'}: No such file or directory" in capsys.readouterr().err


def test_a_bad_record_file_and_a_wrong_reference_are_named(
    asked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lethe_leakage("report", asked, "--reference", "base") == 2
    assert "is no leakage record" in capsys.readouterr().err
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    assert lethe_leakage("report", empty, "--reference", "base") == 2
    assert "no records" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--json", "/none/such/r.json"), "/none/such/r.json: there is no such folder"),
        (("--markdown", "/none/such/r.md"), "/none/such/r.md: there is no such folder"),
        (("--retrained", "zz"), "--retrained 'zz': is no arm; there are b"),
        (("--similar-from", "3"), "--similar-from: a cosine lies between -1 and 1"),
    ],
)
def test_what_cannot_be_reported_is_told_before_anything_is_asked(
    asked: Path, words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = lethe_leakage("probe", "--probes", asked, "--arm", "b=http://127.0.0.1:9/v1", *words)
    assert status == 2
    assert capsys.readouterr().err.startswith(f"lethe leakage probe: {message}")


@pytest.mark.parametrize("k", ["0", "-3", "2"])
def test_a_k_that_no_question_was_drawn_for_is_refused(
    tmp_path: Path, k: str, capsys: pytest.CaptureFixture[str]
) -> None:
    records.write(tmp_path / "r.jsonl", [RECORD])
    page = tmp_path / "r.html"
    assert lethe_leakage("report", tmp_path / "r.jsonl", "--html", page, "--at-k", k) == 2
    assert "no question was drawn so often; give 1 to 1" in capsys.readouterr().err
    assert not page.exists()


def test_seconds_of_an_arm_that_nobody_asked_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records.write(tmp_path / "r.jsonl", [RECORD])
    assert lethe_leakage("report", tmp_path / "r.jsonl", "--seconds", "bsae=5") == 2
    assert "--seconds: no record of the arm 'bsae'; there are base" in capsys.readouterr().err
    page = tmp_path / "r.html"
    assert (
        lethe_leakage("report", tmp_path / "r.jsonl", "--seconds", "base=50", "--html", page) == 0
    )
    assert "<td>50 s</td>" in page.read_text("utf-8")


def test_what_making_an_arm_took_is_known_from_its_run(tmp_path: Path) -> None:
    records.write(tmp_path / "r.jsonl", [RECORD])
    arms = [{"name": "base", "cost": {"seconds": 57}}, {"name": "b", "cost": 3}, {"cost": {}}, 7]
    (tmp_path / "run.json").write_text(json.dumps({"arms": arms}))
    page = tmp_path / "r.html"
    assert lethe_leakage("report", tmp_path / "r.jsonl", "--html", page) == 0
    assert "<td>57 s</td>" in page.read_text("utf-8")
