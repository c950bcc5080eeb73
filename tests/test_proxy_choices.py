"""Channels of choices behind their windows, with a judge that looks for plain words."""

from collections.abc import Sequence

import pytest

from classifiers import Passage, Verdict
from proxy.choices import MOST_CHANNELS, Bounds, Choices, Consequence
from proxy.exchange import Channel, Closed, Delta, Finished, FormatError, Piece, Refused

SECRET = "Hogwarts"
REFUSED = "refused"


def verdict(start: int, *, hit: bool = True) -> Verdict:
    return Verdict("p/c", "alias", start, start + len(SECRET), 1.0, 1.0, hit=hit, near=True)


async def judge(passages: Sequence[Passage]) -> list[tuple[Verdict, ...]]:
    return [
        tuple(verdict(at) for at in range(len(p.text)) if p.text.startswith(SECRET, at))
        for p in passages
    ]


def choices(action: str = "refuse", *, json_promised: bool = False) -> Choices:
    return Choices(
        judge=judge,
        decide=lambda _: Consequence(action, "I don't know.", "[…]", None),  # type: ignore[arg-type]
        bounds=Bounds(longest=len(SECRET)),
        questions=lambda _: [""],
        json_promised=json_promised,
    )


async def told(given: Choices, pieces: Sequence[Piece]) -> tuple[dict[str, str], dict[int, str]]:
    texts: dict[str, str] = {}
    reasons: dict[int, str] = {}
    for piece in pieces:
        for out in await given.take(piece):
            if isinstance(out, Finished | Refused):
                assert out.choice not in reasons
                reasons[out.choice] = out.reason if isinstance(out, Finished) else REFUSED
            elif isinstance(out, Delta):
                texts[str(out.channel)] = texts.get(str(out.channel), "") + out.text
    return texts, reasons


def content(*texts: str, choice: int = 0) -> list[Piece]:
    return [*(Delta(Channel(choice), text) for text in texts), Finished(choice, "stop")]


async def test_a_refusal_follows_what_was_cleared_and_nothing_follows_it() -> None:
    texts, reasons = await told(
        choices(), content("It rains. ", "The boy went to Hog", "warts. ", "More. ", "And more.")
    )
    assert texts == {"0.content": "It rains. "}
    assert reasons == {0: REFUSED}


async def test_redaction_takes_the_sentence_and_goes_on() -> None:
    texts, reasons = await told(choices("redact"), content("One. At Hogwarts. ", "Three."))
    assert texts == {"0.content": "One. […] Three."}
    assert reasons == {0: "stop"}


async def test_a_flag_lets_everything_pass_and_is_noted() -> None:
    given = choices("flag")
    texts, _ = await told(given, content("At Hogwarts. ", "Three."))
    assert texts == {"0.content": "At Hogwarts. Three."}
    assert given.acted == {"flag"}
    assert given.seen


async def test_one_choice_refused_leaves_the_others_alone() -> None:
    pieces: list[Piece] = [Delta(Channel(0), "Hogwarts."), Delta(Channel(1), "Fine.")]
    ends = [Finished(0, "stop"), Finished(1, "stop")]
    texts, reasons = await told(choices(), [*pieces, *ends])
    assert texts == {"1.content": "Fine."}
    assert reasons == {0: REFUSED, 1: "stop"}


@pytest.mark.parametrize(
    "channel",
    [
        Channel(0, "reasoning"),
        Channel(0, "refusal"),
        Channel(0, "tool", 0, "name"),
        Channel(0, "tool", 2, "arguments"),
        Channel(0, "function", 0, "arguments"),
    ],
)
async def test_a_secret_on_any_channel_closes_the_choice(channel: Channel) -> None:
    texts, reasons = await told(
        choices(), [Delta(channel, "to Hogw"), Delta(channel, "arts"), Finished(0, "tool_calls")]
    )
    assert texts == {}
    assert reasons == {0: REFUSED}


async def test_a_call_is_released_whole_after_what_was_said() -> None:
    given = choices()
    call = Channel(0, "tool", 0, "arguments")
    assert await given.take(Delta(call, '{"a": 1}')) == []
    assert await given.take(Delta(Channel(0), "I look it up.")) == []
    out = await given.take(Finished(0, "tool_calls"))
    kinds = [piece.channel.kind for piece in out if isinstance(piece, Delta)]
    assert kinds == ["content", "tool"]


async def test_a_secret_split_over_two_calls_is_seen() -> None:
    async def joined(passages: Sequence[Passage]) -> list[tuple[Verdict, ...]]:
        return [(verdict(0),) if "Hog warts" in p.text else () for p in passages]

    given = choices()
    given._judge = joined
    texts, reasons = await told(
        given,
        [
            Delta(Channel(0, "tool", 0, "arguments"), "Hog"),
            Delta(Channel(0, "tool", 1, "arguments"), "warts"),
            Finished(0, "tool_calls"),
        ],
    )
    assert (texts, reasons) == ({}, {0: REFUSED})


async def test_promised_json_is_never_cut() -> None:
    for action in ("refuse", "redact"):
        told_so = await told(
            choices(action, json_promised=True), content('{"school": "Hog', 'warts"}')
        )
        assert told_so == ({}, {0: REFUSED})


@pytest.mark.parametrize("action", ["regenerate", "reroute"])
async def test_asking_again_releases_nothing_more(action: str) -> None:
    given = choices(action)
    assert await told(given, content("Hogwarts.")) == ({}, {})
    assert given.again is not None
    assert given.again.action == action


async def test_counts_say_what_was_received_screened_held_and_released() -> None:
    given = choices()
    await told(given, content("One is here. ", "Hogwarts is there."))
    window = given.windows[Channel(0)]
    assert window.received == 31
    assert window.released == 13
    assert window.most_held == 31
    assert given.screened[Channel(0)] == 31


async def test_what_fails_to_be_judged_is_not_released() -> None:
    async def broken(_: Sequence[Passage]) -> list[tuple[Verdict, ...]]:
        raise RuntimeError("no verdict")

    given = choices()
    given._judge = broken
    await given.take(Delta(Channel(0), "One. "))
    with pytest.raises(RuntimeError):
        await given.take(Finished(0, "stop"))
    assert given.open() == [0]


THINKS, SAYS, CITES = Channel(0, "reasoning"), Channel(0), Channel(0, "annotation", 0, "json")
LONG = "There is a great deal to be said about the weather of that summer, and all of it is dull. "


async def test_a_closed_channel_leaves_once_what_follows_cannot_be_part_of_it() -> None:
    given = choices()
    assert await given.take(Delta(THINKS, "Let me see. ")) == []
    assert await given.take(Closed(THINKS)) == []
    assert await given.take(Delta(SAYS, "Well then, ")) == []
    out = await given.take(Delta(SAYS, LONG + LONG))
    assert out[:2] == [Delta(THINKS, "Let me see. "), Closed(THINKS)]


@pytest.mark.parametrize("closing", [True, False])
async def test_a_name_split_over_two_channels_is_seen_before_its_beginning_leaves(
    closing: bool,
) -> None:
    given = choices()
    ending: list[Piece] = [Closed(THINKS)] if closing else []
    said = [Delta(THINKS, "I think of Hog"), *ending, Delta(SAYS, "warts. " + LONG + LONG)]
    texts, reasons = await told(given, [*said, Finished(0, "stop")])
    assert reasons == {0: REFUSED}
    assert "0.reasoning" not in texts
    assert [seen.where for seen in given.seen if seen.verdict.hit] == ["0.joined"]


async def test_a_name_between_a_question_and_its_answer_is_seen() -> None:
    given = choices("redact")
    given._questions = lambda _: ["Complete the word: Hog"]
    texts, _ = await told(given, content("warts. " + LONG))
    assert texts == {"0.content": "[…] " + LONG}


async def test_each_choice_may_have_a_question_of_its_own() -> None:
    given = choices()
    given._questions = [["Complete the word: Hog"], ["Hello."]].__getitem__
    said = [*content("warts. " + LONG), *content("warts. " + LONG, choice=1)]
    texts, reasons = await told(given, said)
    assert texts == {"1.content": "warts. " + LONG}
    assert reasons == {0: REFUSED, 1: "stop"}


async def test_an_annotation_is_judged_when_it_ends_and_dropped_where_it_tells() -> None:
    given = choices("redact")
    good, bad = '{"title": "A school"}', '{"title": "Hogwarts"}'
    assert await given.take(Delta(CITES, good)) == []
    assert await given.take(Closed(CITES)) == [Delta(CITES, good), Closed(CITES)]
    other = Channel(0, "annotation", 1, "json")
    assert await given.take(Delta(other, bad)) == []
    assert await given.take(Closed(other)) == [Closed(other)]


async def test_nothing_is_said_through_a_channel_that_has_ended() -> None:
    given = choices()
    await given.take(Delta(THINKS, "So. "))
    await given.take(Closed(THINKS))
    with pytest.raises(FormatError):
        await given.take(Delta(THINKS, "And more."))


async def test_a_citation_more_costs_no_more_than_the_one_before() -> None:
    costs = []
    for many in (10, 20, 40):
        read = 0

        async def counting(passages: Sequence[Passage]) -> list[tuple[Verdict, ...]]:
            nonlocal read
            read += len(passages)
            return await judge(passages)

        given = choices()
        given._judge = counting
        cited = [
            Delta(
                Channel(0, "annotation", at, "url_citation"),
                f'{{"url": "https://a.example/{at}", "title": "Page {at}"}}',
            )
            for at in range(many)
        ]
        texts, reasons = await told(given, [Delta(Channel(0), "It rains."), *cited, *content("")])
        assert reasons == {0: "stop"}
        assert len(texts) == many + 1
        costs.append(read)
    assert costs[2] - costs[1] <= 2.2 * (costs[1] - costs[0])
    assert costs[2] < 40 * 60


async def test_a_name_split_over_two_citations_is_seen() -> None:
    cited = [
        Delta(Channel(0, "annotation", at, "url_citation"), f'{{"title": "{title}"}}')
        for at, title in enumerate(["Page", "The Hog", "warts."])
    ]
    _, reasons = await told(choices(), [*cited, *content("")])
    assert reasons == {0: REFUSED}


async def test_an_answer_of_too_many_parts_is_none() -> None:
    given = choices()
    parts = [Delta(Channel(0, "tool", at, "arguments"), "{}") for at in range(MOST_CHANNELS + 1)]
    await told(given, parts[:-1])
    with pytest.raises(FormatError, match="too many parts"):
        await given.take(parts[-1])
