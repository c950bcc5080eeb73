"""Ways of unlearning, one a module: a loss each, its formula and its paper beside it.

None knows data, files or an optimiser.
"""

from unlearning.methods.gradient_ascent import GradientAscent
from unlearning.methods.gradient_difference import GradientDifference
from unlearning.methods.idk_dpo import IdkDpo
from unlearning.methods.npo import Npo
from unlearning.methods.rmu import Rmu
from unlearning.methods.simnpo import SimNpo
from unlearning.methods.step import Method
from unlearning.methods.undial import Undial

METHODS: dict[str, type[Method]] = {
    "gradient-ascent": GradientAscent,
    "gradient-difference": GradientDifference,
    "idk-dpo": IdkDpo,
    "npo": Npo,
    "rmu": Rmu,
    "simnpo": SimNpo,
    "undial": Undial,
}

__all__ = ["METHODS", "Method"]
