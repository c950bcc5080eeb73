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
    three persons. `losses` are the members' mean losses on their own facts, `others` those of as
    many people who were never taught, one a person; `known` counts what of each member's facts is
    told rightly, `asked` of how many.
    """

    noise: float
    epsilon: float
    after: float
    delta: float
    losses: tuple[float, ...]
    others: tuple[float, ...]
    known: tuple[int, ...]
    asked: tuple[int, ...]
    cpu_s: float

    @property
    def attack(self) -> float:
        """The area under the curve of who tells members by their loss (0.5 is guessing)."""
        return membership_auc(self.losses, self.others)

    @property
    def utility(self) -> float:
        """The accuracy on what the members taught."""
        return sum(self.known) / sum(self.asked)


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
    pairs = [probe_rows(people.corpus, [person], "direct") for person in members]
    known = [round(accuracy(says, each) * len(each)) for each in pairs]
    return Price(
        noise=privacy.noise,
        epsilon=privacy.epsilon(delta),
        after=after_deletions(privacy, delta, 3),
        delta=delta,
        losses=_losses(says, people, members),
        others=_losses(says, people, others),
        known=tuple(known),
        asked=tuple(map(len, pairs)),
        cpu_s=cost.cpu_s,
    )


def _losses(says: Speaker, people: Cast, who: Sequence[Person]) -> tuple[float, ...]:
    # A person's facts together: the guarantee is about persons, and their mean tells the most.
    each = [probe_rows(people.corpus, [person], "direct") for person in who]
    return tuple(-float(says.mean_logprobs([row for row, _ in pairs]).mean()) for pairs in each)
