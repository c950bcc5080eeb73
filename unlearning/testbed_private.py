"""What privacy costs on the testbed: epsilon beside what an attacker tells and a user gets.

Knows no accountant of its own and no command line.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from unlearning.corpus import Person, load
from unlearning.methods.batch import encode
from unlearning.private import Privacy, after_deletions, fit, membership_auc
from unlearning.testbed_arms import PRIVACY, opened
from unlearning.testbed_rows import Cast, cast, facts_of, probe_rows
from unlearning.testbed_scores import Speaker, accuracy


@dataclass(frozen=True, slots=True)
class Price:
    """One noise: what it guarantees, and what it cost.

    `epsilon` is at `delta` for one person, `after` the one left between the model and one without
    three persons. `attack` is the area under the curve of an attacker who tells members from others
    by their loss (0.5 is guessing), `utility` the accuracy on what the members taught.
    """

    noise: float
    epsilon: float
    after: float
    delta: float
    attack: float
    utility: float
    members: int
    others: int
    cpu_s: float


def prices(
    base: Path, noises: Sequence[float], *, privacy: Privacy = PRIVACY, progress: bool = False
) -> list[Price]:
    """Train on every other person with each noise, and attack with the rest as non-members."""
    people = cast(load())
    members, others = people.known[::2], people.known[1::2]
    return [
        _price(base, people, (members, others), replace(privacy, noise=noise), progress=progress)
        for noise in noises
    ]


def _price(
    base: Path,
    people: Cast,
    sides: tuple[Sequence[Person], Sequence[Person]],
    privacy: Privacy,
    *,
    progress: bool,
) -> Price:
    model, words = opened(base)
    members, others = sides
    units = [
        [encode(words, row) for row in facts_of(people.corpus, [person])] for person in members
    ]
    cost = fit(model, units, privacy, pad=0, progress=progress)
    says = Speaker((model.eval(),), words)
    delta = 1 / len(units) ** 2
    asked = {
        side: probe_rows(people.corpus, who, "direct")
        for side, who in zip("mo", sides, strict=True)
    }
    losses = {
        side: (-says.mean_logprobs([row for row, _ in pairs])).tolist()
        for side, pairs in asked.items()
    }
    return Price(
        noise=privacy.noise,
        epsilon=privacy.epsilon(delta),
        after=after_deletions(privacy, delta, 3),
        delta=delta,
        attack=membership_auc(losses["m"], losses["o"]),
        utility=accuracy(says, asked["m"]),
        members=len(members),
        others=len(others),
        cpu_s=cost.cpu_s,
    )
