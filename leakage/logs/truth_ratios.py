"""A retrained model's truth ratios, a row each, to hold other models' against. Knows no record.

Three forms: open-unlearning's `TOFU_EVAL.json`; TOFU's own `eval_log_aggregated.json`, or its
`eval_log_forget.json`, with losses (Maini et al. 2024, arXiv 2401.06121); and an object with the
list `forget_truth_ratio`. All are false over true, as open-unlearning divides.
"""

import math
from collections.abc import Mapping
from pathlib import Path

from leakage.logs.rows import LogError, Row, whole

_TRUE, _FALSE = "avg_paraphrased_loss", "average_perturb_loss"
_LIST = "forget_truth_ratio"
# Its logs of full and retrained models spell the set's ratio small, and other sets' large.
_ROWS = (_LIST, "forget_Truth_Ratio")


def read(path: Path) -> list[float | None]:
    """In the order of the forget set's rows; None where a log has no number.

    Raises LogError, OSError.
    """
    log = whole(path)
    spelt = next((key for key in _ROWS if isinstance(log.values.get(key), Mapping)), None)
    if spelt is not None:
        rows = log.row(spelt).row("value_by_index")
        found = _in_order(rows, [row.number("score") for _, row in rows.rows()])
    elif _LIST in log.values:
        found = [log.one(each, _LIST) for each in log.items(_LIST)]
    elif "eval_log_forget.json" in log.values:
        found = _of_losses(log.row("eval_log_forget.json"))
    elif _TRUE in log.values:
        found = _of_losses(log)
    else:
        raise LogError(
            f"{path}: has no truth ratios; give a TOFU_EVAL.json, an eval_log_aggregated.json or "
            "an object with forget_truth_ratio"
        )
    if not any(found):
        raise LogError(f"{path}: has no truth ratio that is a number")
    for number, ratio in enumerate(found):
        if ratio is not None and ratio < 0:
            raise LogError(f"{path}: row {number}: a truth ratio is not negative")
    return found


def _in_order(rows: Row, values: list[float | None]) -> list[float | None]:
    if sorted(rows.values) != sorted(map(str, range(len(values)))):
        raise LogError(f"{rows.where}: rows are not numbered from 0 on; some are missing")
    return [value for _, value in sorted(zip(map(int, rows.values), values, strict=True))]


def _of_losses(log: Row) -> list[float | None]:
    true, false = log.row(_TRUE), log.row(_FALSE)
    if set(true.values) != set(false.values):
        raise LogError(f"{log.where}: {_TRUE} and {_FALSE} are of different rows")
    found = []
    for key in true.values:
        right, wrong = true.number(key), false.numbers(key)
        known = [each for each in wrong if each is not None]
        whole_row = right is not None and known and len(known) == len(wrong)
        found.append(math.exp((right or 0.0) - sum(known) / len(known)) if whole_row else None)
    return _in_order(true, found)
