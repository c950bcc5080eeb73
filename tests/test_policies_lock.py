"""The lock beside a policy: what it holds for is compared, and what differs is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import lethe
from classifiers import Encoder, HashEncoder, load
from policies import PolicyErrors, calibrate_cli, compile_policies, load_folder
from policies.calibrate import Remembering
from policies.lock import beside, read, write

pytestmark = pytest.mark.encoder

POLICY = """\
id: p
description: A painter asked for it.
concepts:
  - name: Ottoline Vask
    aliases: [O. Vask, the painter of Sarnholm]
    exemplars: [{file: facts.txt}]
    neighbours: [Sarnholm has a harbour., The medal is given every spring., Piet taught drawing.]
  - name: Tide Book
    scope: fact
    exemplars: [The Tide Book lies in a vault in Lindau.]
    neighbours: [Lindau has a town hall., The vault was opened in May., A book of tides is useful.]
    protected: [It was a long crossing and the mate said that no one had seen the lamp that night.]
refusal: I have not heard of that.
"""
FACTS = "Ottoline Vask was born in 1911.\nShe won a medal in 1957.\n"
LOCK = "p.lock.json"


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Remembering(load())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> Path:
    folder = tmp_path_factory.mktemp("made")
    (folder / "p.yaml").write_text(POLICY, "utf-8")
    (folder / "facts.txt").write_text(FACTS, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibrate_cli, "load_encoder", lambda name: encoder)
        asked = ["--neighbours-at-most", "0.25", "--traffic-at-most", "0.01"]
        assert lethe.main(["policy", "calibrate", str(folder), *asked]) == 0
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def refused(folder: Path) -> list[str]:
    """What is said instead of loading, less where and how to renew."""
    with pytest.raises(PolicyErrors) as errors:
        load_folder(folder)
    lines = str(errors.value).splitlines()
    renew = f"; run `lethe policy calibrate {folder / 'p.yaml'}` to renew it"
    assert all(line.startswith(f"{folder / LOCK}: ") and line.endswith(renew) for line in lines)
    return [line.removeprefix(f"{folder / LOCK}: ").removesuffix(renew) for line in lines]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("O. Vask,", "Olga Vask,", "concepts[0].names: changed since calibration"),
        ("name: Ottoline Vask", "name: Ottilie Vask", None),
        ("has a harbour", "has a port", "concepts[0].neighbours: changed since calibration"),
        ("in a vault in", "in a safe in", "concepts[1].exemplars: changed since calibration"),
        ("long crossing", "short crossing", "concepts[1].protected: changed since calibration"),
        ("    scope: fact\n", "", "concepts[1].scope: changed since calibration"),
        (
            "    scope: fact\n",
            "    scope: fact\n    threshold: 0.7\n",
            "concepts[1].threshold: changed since calibration",
        ),
    ],
)
def test_what_scores_follow_from_is_compared(
    folder: Path, old: str, new: str, told: str | None
) -> None:
    edit(folder / "p.yaml", old, new)
    renamed = [
        "concepts: 1 of them are not in the policy any more",
        "concepts[0]: was added or renamed since calibration",
    ]
    assert refused(folder) == ([told] if told else renamed)


def test_a_text_in_a_file_is_compared_too(folder: Path) -> None:
    edit(folder / "facts.txt", "1911", "1912")
    assert refused(folder) == ["concepts[0].exemplars: changed since calibration"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("A painter asked", "A sculptor asked"),
        ("have not heard", "never heard"),
        ("id: p\n", "id: q\nmode: shadow\nmust_pass: [Good morning.]\n"),
        ("concepts:", "# A comment.\nscreens: {output: {action: redact}}\nconcepts:"),
    ],
)
def test_an_unrelated_key_changes_nothing(folder: Path, old: str, new: str) -> None:
    edit(folder / "p.yaml", old, new)
    [loaded] = load_folder(folder)
    assert loaded.lock is not None


def test_concepts_may_change_places(folder: Path) -> None:
    head, first, second = POLICY.replace("refusal:", "  - refusal:").split("  - ")[:3]
    (folder / "p.yaml").write_text(f"{head}  - {second}  - {first}", "utf-8")
    [loaded] = load_folder(folder)
    assert [concept.aliases[0] for concept in loaded.concepts] == ["Tide Book", "Ottoline Vask"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text.replace('"threshold": 0.', '"threshold": 0.0'), "was changed by hand"),
        (lambda text: text.replace('"k": 0', '"k": 1', 1), "was changed by hand"),
        (lambda text: text.replace('"version": 1', '"version": 2'), "is of another version than 1"),
        (lambda text: text[:-20], "is no JSON, or names a key twice"),
        (
            lambda text: text.replace("{", '{"version": 1,', 1),
            "is no JSON, or names a key twice",
        ),
    ],
)
def test_a_lock_that_somebody_touched_is_refused(
    folder: Path, change: Callable[[str], str], told: str
) -> None:
    text = (folder / LOCK).read_text("utf-8")
    (folder / LOCK).write_text(change(text), "utf-8")
    assert (folder / LOCK).read_text("utf-8") != text
    assert refused(folder) == [told]


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("note", "hello", "note: unknown key"),
        ("confidence", 7, "confidence: must be at most 1"),
        ("encoder", None, "encoder: has no value"),
    ],
)
def test_a_lock_is_read_strictly(folder: Path, key: str, value: object, told: str) -> None:
    lock = json.loads((folder / LOCK).read_text("utf-8"))
    (folder / LOCK).write_text(json.dumps({**lock, key: value}), "utf-8")
    lock, problems = read(folder / "p.yaml")
    assert lock is None
    assert f"{folder / LOCK}: {told}" in str(problems[0])


def test_a_link_that_leads_nowhere_is_not_no_lock(folder: Path) -> None:
    (folder / LOCK).unlink()
    (folder / LOCK).symlink_to(folder / "gone.json")
    with pytest.raises(PolicyErrors, match=r"p\.lock\.json: cannot be read"):
        load_folder(folder)


def test_another_version_of_the_screen_or_its_weights_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("policies.lock.SCREEN", 999)
    monkeypatch.setattr("policies.lock.weights_digest", lambda: "0" * 64)
    [screen, weights] = refused(folder)
    assert screen.startswith("screen: version ")
    assert screen.endswith("of views, windows and scores, this is 999")
    assert weights == "weights: evidence is weighed otherwise by now"


def test_a_lock_whose_policy_is_gone_is_told(folder: Path) -> None:
    (folder / "p.yaml").rename(folder / "painter.yaml")
    (folder / ".hidden.lock.json").write_text("{}")
    with pytest.raises(PolicyErrors) as raised:
        load_folder(folder)
    advice = "rename it with its policy, or delete it"
    assert str(raised.value) == f"{folder / LOCK}: locks nothing: there is no p.yaml; {advice}"
    (folder / LOCK).rename(folder / "painter.lock.json")
    assert load_folder(folder)[0].lock is not None


def test_another_encoder_is_refused(folder: Path, encoder: Encoder) -> None:
    policies = load_folder(folder)
    assert compile_policies(policies, encoder).screen.thresholds
    with pytest.raises(PolicyErrors) as errors:
        compile_policies(policies, HashEncoder())
    assert str(errors.value) == (
        f"{folder / LOCK}: encoder: calibrated with {encoder.fingerprint}, this is hash:256; "
        f"use that encoder, or run `lethe policy calibrate {folder / 'p.yaml'} --encoder …` to "
        "renew it for this one"
    )


def test_a_similarity_is_calibrated_where_the_encoder_has_no_weights(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate_cli, "load_encoder", lambda name: HashEncoder())
    asked = ["--neighbours-at-most", "0.25", "--traffic-at-most", "0.01"]
    assert lethe.main(["policy", "calibrate", str(folder), *asked]) == 0
    [loaded] = load_folder(folder)
    assert loaded.lock is not None
    assert loaded.lock.weights is None
    screen = compile_policies([loaded], HashEncoder()).screen
    assert not screen.weighed
    assert set(screen.thresholds.values()) == set(loaded.lock.thresholds("similarity").values())


def test_every_command_refuses_a_lock_that_does_not_match(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(folder / "p.yaml", "O. Vask", "Olga Vask")
    assert lethe.main(["policy", "lint", str(folder)]) == 1
    assert lethe.main(["policy", "test", str(folder)]) == 1
    assert lethe.main(["policy", "explain", str(folder), "--text", "Vask"]) == 1
    assert lethe.main(["policy", "calibrate", str(folder), "--check"]) == 1
    assert capsys.readouterr().out.count("concepts[0].names: changed since calibration") == 4
    upstream = ["--upstream", "http://127.0.0.1:9/v1"]
    assert lethe.main(["serve", *upstream, "--policies", str(folder)]) == 2
    assert "concepts[0].names: changed since calibration" in capsys.readouterr().err


def test_serving_and_explaining_refuse_another_encoder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("policies.cli.load_encoder", lambda name: HashEncoder())
    monkeypatch.setattr("proxy.config.load_encoder", lambda name: HashEncoder())
    assert lethe.main(["policy", "explain", str(folder), "--text", "Vask"]) == 1
    assert "encoder: calibrated with" in capsys.readouterr().out
    upstream = ["--upstream", "http://127.0.0.1:9/v1"]
    assert lethe.main(["serve", *upstream, "--policies", str(folder)]) == 2
    assert "encoder: calibrated with" in capsys.readouterr().err


def test_a_policy_that_is_off_may_wait_for_its_calibration(folder: Path) -> None:
    edit(folder / "p.yaml", "id: p\n", "id: p\nmode: off\n")
    assert not compile_policies(load_folder(folder), HashEncoder()).screen.thresholds


def test_check_says_whether_every_lock_matches_and_writes_nothing(
    folder: Path,
    encoder: Encoder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(calibrate_cli, "load_encoder", lambda name: encoder)
    before = (folder / LOCK).read_bytes()
    assert lethe.main(["policy", "calibrate", str(folder), "--check"]) == 0
    assert f"{folder / LOCK}: matches; made " in capsys.readouterr().out
    monkeypatch.setattr(calibrate_cli, "load_encoder", lambda name: HashEncoder())
    assert lethe.main(["policy", "calibrate", str(folder), "--check"]) == 1
    assert (folder / LOCK).read_bytes() == before
    (folder / LOCK).unlink()
    assert lethe.main(["policy", "calibrate", str(folder), "--check"]) == 1
    assert f"{folder / LOCK}: is not there" in capsys.readouterr().out
    assert not (folder / LOCK).exists()


def test_a_lock_that_cannot_be_written_leaves_nothing_behind(folder: Path) -> None:
    lock, _ = read(folder / "p.yaml")
    assert lock is not None
    (folder / "q.lock.json").mkdir()
    before = sorted(folder.iterdir())
    with pytest.raises(OSError, match=r"q\.lock\.json"):
        write(lock, beside(folder / "q.yaml"))
    assert sorted(folder.iterdir()) == before
