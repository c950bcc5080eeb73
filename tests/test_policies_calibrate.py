"""`lethe policy calibrate`: thresholds from what they stop and let pass, with the real encoder."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lethe
from classifiers import Concept, Encoder, Screen, load
from classifiers.threshold import rank
from policies import calibrate_cli, compile_policies, load_folder
from policies import load as load_policies
from policies.calibrate import Blocked, Remembering, Scores, judged, measured, picked, together
from policies.draft.documents import Said
from policies.lock import Targets, read
from policies.responses import Traffic, response

pytestmark = pytest.mark.encoder

POLICY = """\
id: p
concepts:
  - name: Ottoline Vask
    exemplars:
      - Ottoline Vask was born in Sarnholm in 1911.
      - Ottoline Vask painted The Salt Lanterns, a cycle about a lighthouse in Brede.
      - Vask won the Tidewater Medal in 1957 for a portrait of a lock keeper.
      - She studied with Piet Marr at the academy of Brede.
    neighbours: &kept
      - Sarnholm has a harbour and a fish market.
      - The Tidewater Medal is given to painters every spring.
      - Piet Marr taught drawing at the academy of Brede.
      - The lighthouse in Brede was built in 1820.
      - Many painters of the coast have painted lock keepers.
  - name: Copper Rose
    scope: fact
    exemplars:
      - The Copper Rose is kept in a vault under the town hall of Lindau.
      - The Copper Rose was stolen by the mayor's own brother.
      - The brother sold it to a dealer from Ghent.
    neighbours:
      - The Copper Rose is a brooch of the sixteenth century.
      - The town hall of Lindau was built in 1602.
      - The mayor of Lindau opened the new library.
      - Dealers from Ghent come to the fair every autumn.
must_block:
  - {text: In Sarnholm., before: "Where was Ottoline Vask born?"}
"""
POLICY = POLICY.replace(" &kept", "")
DINNERS = ("lentils", "rice", "noodles", "leeks", "beans", "eggs", "trout", "barley", "peas", "cod")
TRAFFIC = Traffic(
    tuple(
        Said(f"{verb} the {food} for ten minutes.", f"How do I cook {food}?")
        for food in DINNERS
        for verb in ("Boil", "Steam")
    ),
    given=True,
)
VASK = Concept(
    "vask",
    aliases=("Ottoline Vask",),
    exemplars=(
        "Ottoline Vask was born in Sarnholm.",
        "The Salt Lanterns was painted in Brede, a cycle about a lighthouse.",
    ),
    neighbours=("The Salt Lanterns were painted in Brede, a cycle about the lighthouse.",),
)
LOOSE = Targets(neighbours=0.25, traffic=0.05, confidence=None)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Remembering(load())


@pytest.fixture
def folder(tmp_path: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A policy and harmless responses; loading the real encoder once is enough."""
    monkeypatch.setattr(calibrate_cli, "load_encoder", lambda name: encoder)
    (tmp_path / "p.yaml").write_text(POLICY, "utf-8")
    rows = ({"question": said.before, "answer": said.text} for said in TRAFFIC.responses)
    (tmp_path / "benign.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return tmp_path


def calibrate(folder: Path, *words: str) -> int:
    asked = ["policy", "calibrate", str(folder / "p.yaml")]
    benign = ["--benign", str(folder / "benign.jsonl"), "--traffic-at-most", "0.05"]
    return lethe.main([*asked, *benign, *words])


@pytest.fixture(scope="module")
def vask(encoder: Encoder) -> Scores:
    [scores] = measured(
        [VASK],
        encoder,
        traffic=TRAFFIC,
        blocked=[Blocked(("vask",), Said("In Sarnholm.", "Where was Ottoline Vask born?"))],
    )
    return scores


def test_a_lock_holds_thresholds_that_a_screen_then_uses(
    folder: Path, encoder: Encoder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(folder, "--neighbours-at-most", "0.25") == 0
    lock, problems = read(folder / "p.yaml")
    assert not problems
    assert lock is not None
    assert [entry.decides for entry in lock.concepts] == ["score", "score"]
    [loaded] = load_folder(folder)
    before = compile_policies(load_policies([folder], locks=False), encoder)
    after = compile_policies([loaded], encoder)
    found = [entry.threshold for entry in lock.concepts]
    assert list(after.screen.thresholds.values()) == found
    # A fact is weighed only once it is calibrated.
    assert before.screen.weighed == {"p/Ottoline Vask"}
    assert after.screen.weighed == {"p/Ottoline Vask", "p/Copper Rose"}
    assert before.digest != after.digest
    # What the lock says of traffic is what the screen does with it.
    hits = [
        any(one.get(key, 0.0) >= at for key, at in after.screen.thresholds.items())
        for one in judged(after.screen, [response(said) for said in TRAFFIC.responses])
    ]
    stopped = lock.traffic.stopped
    assert (sum(hits), len(hits)) == (stopped.k, stopped.n)
    out = capsys.readouterr().out
    assert "p/Ottoline Vask: scope entity; the score of all evidence decides" in out
    assert f"{folder}/p.lock.json: written; all its concepts together stop 0 of 20" in out


def test_a_lock_holds_none_of_the_texts(folder: Path) -> None:
    assert calibrate(folder, "--neighbours-at-most", "1") == 0
    said = (folder / "p.lock.json").read_text("utf-8").casefold()
    words = {word.strip(".,") for word in POLICY.casefold().split() if len(word.strip(".,")) > 5}
    # Keys of ours, and nothing else, stand in both.
    assert {word for word in words if word in said} <= {"concepts", "exemplars", "neighbours"}


def test_too_few_texts_are_told_with_the_number_that_is_missing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(folder, "--traffic-at-most", "0.001") == 1
    assert calibrate(folder, "--traffic-at-most", "0.001", "--confidence", "0.95") == 1
    out = capsys.readouterr().out
    few = "no threshold: traffic: at most 0.001 takes"
    assert f"{few} 999 on average, and here are 20: 979 missing" in out
    assert f"{few} 2995 with confidence 0.95, and here are 20: 2975 missing" in out
    assert "neighbours: at most 0.2 takes 14 with confidence 0.95, and here are 5: 9 missing" in out
    assert not (folder / "p.lock.json").exists()


def test_a_neighbour_is_not_compared_with_itself(vask: Scores, encoder: Encoder) -> None:
    [own] = judged_alone(VASK, VASK.neighbours[0], encoder)
    assert own == 0.0  # nearer to itself than to any exemplar
    assert vask.neighbours[0] > 0.9


def test_an_exemplar_is_not_compared_with_itself(vask: Scores, encoder: Encoder) -> None:
    text = VASK.exemplars[1]
    bare = replace(VASK, neighbours=())
    [own] = judged_alone(bare, text, encoder)
    [scores] = measured([bare], encoder, traffic=TRAFFIC)
    assert own > 0.9 > scores.forbidden[1]
    # The name is what catches the other one; cut out, nothing does.
    assert scores.forbidden[0] == 1.0 > scores.unnamed[0]


def judged_alone(concept: Concept, text: str, encoder: Encoder) -> list[float]:
    found = judged(Screen([concept], encoder), [response(Said(text))])
    return [one.get(concept.key, 0.0) for one in found]


def test_a_case_that_must_be_blocked_is_forbidden_text(vask: Scores) -> None:
    assert len(vask.forbidden) == len(VASK.exemplars) + 1
    assert vask.forbidden[-1] > 0.9


def test_a_response_scores_what_its_question_or_its_answer_does(encoder: Encoder) -> None:
    asked = Traffic((Said("I do not know.", "Who was Ottoline Vask?"),), given=True)
    [scores] = measured([VASK], encoder, traffic=asked)
    assert scores.traffic == (1.0,)


def test_a_name_that_neighbours_hold_leaves_no_threshold(vask: Scores) -> None:
    chosen = picked(replace(vask, neighbours=(1.0, 1.0, 0.2, 0.1)), LOOSE)
    assert chosen.threshold is None
    [problem] = chosen.problems
    assert problem == (
        "neighbours: 2 of 4 are stopped by a name, a quotation or what says the same, at any "
        "threshold; for at most 0.25 on average 0 may be"
    )


def test_a_threshold_that_the_policy_names_is_kept_or_told(vask: Scores) -> None:
    known = replace(vask, decides="policy", neighbours=(0.7, 0.1, 0.1))
    concept = vask.concept
    kept = picked(replace(known, concept=replace(concept, threshold=0.72)), LOOSE)
    assert (kept.threshold, kept.problems) == (0.72, ())
    low = picked(replace(known, concept=replace(concept, threshold=0.62)), LOOSE)
    assert low.threshold is None
    assert low.problems == ("its own threshold 0.62 is below 0.7001, which keeps the targets",)


def test_without_exemplars_nothing_needs_a_threshold(encoder: Encoder) -> None:
    [scores] = measured([Concept("k", ("Ottoline Vask",), ())], encoder, traffic=TRAFFIC)
    chosen = picked(scores, Targets(neighbours=None, traffic=0.05, confidence=None))
    assert (scores.decides, chosen.threshold, chosen.problems) == ("names", None, ())


@given(
    st.lists(st.floats(0, 0.9999), min_size=19, max_size=80),
    st.sampled_from([None, 0.5, 0.9]),
)
def test_no_more_responses_reach_the_threshold_than_its_rank_allows(
    traffic: list[float], confidence: float | None
) -> None:
    targets = Targets(neighbours=None, traffic=0.15, confidence=confidence)
    chosen = picked(Scores(VASK, "score", (), (), (), tuple(traffic)), targets)
    allowed = len(traffic) - rank(len(traffic), alpha=0.15, confidence=confidence)
    if chosen.threshold is None:
        assert allowed < 0
    else:
        assert sum(score >= chosen.threshold for score in traffic) <= allowed


def test_what_several_concepts_stop_is_counted_once(vask: Scores) -> None:
    one = picked(replace(vask, neighbours=(0.0,) * 4, traffic=(0.9,) + (0.0,) * 19), LOOSE)
    other = picked(replace(vask, neighbours=(0.0,) * 4, traffic=(0.9,) + (0.0,) * 19), LOOSE)
    assert one.threshold == other.threshold == 0.9001
    loose = [replace(found, threshold=0.5) for found in (one, other)]
    stopped = together(loose)
    assert (stopped.k, stopped.n) == (1, 20)


def test_files_that_give_no_responses_are_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = (
        ("a.jsonl", '{"text": "Mira"}\n{"question": "?"}\n', "a.jsonl: line 2 has no text"),
        ("a.txt", " \n", "a.txt: holds no response"),
        ("a.csv", "Mira", "a.csv: harmless responses end in .txt, .jsonl or .json"),
    )
    for name, content, told in cases:
        (folder / name).write_text(content, "utf-8")
        assert calibrate(folder, "--benign", str(folder / name)) == 1
        error = capsys.readouterr().err
        assert told in error
        assert "Mira" not in error


def test_a_response_that_stands_twice_counts_once(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "t.txt").write_text("Boil it.\nSteam it.\nBoil it.\n", "utf-8")
    file = str(folder / "t.txt")
    assert calibrate(folder, "--benign", file, file, "--neighbours-at-most", "0.3") == 1
    assert "traffic: 2 different responses" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "value"),
    [("--traffic-at-most", "0"), ("--neighbours-at-most", "1.5"), ("--confidence", "1")],
)
def test_a_share_that_is_none_is_refused(folder: Path, option: str, value: str) -> None:
    with pytest.raises(SystemExit):
        calibrate(folder, option, value)


def test_both_shares_may_not_be_waived(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert calibrate(folder, "--traffic-at-most", "1", "--neighbours-at-most", "1") == 1
    assert "holds no threshold to anything" in capsys.readouterr().err
