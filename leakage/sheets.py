"""Tables before they are drawn: for the terminal and as Markdown. Knows no summary."""

from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from leakage import plain
from leakage.statistics import Rate


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows of as many texts as there are titles; `starts` are rows with a line above."""

    titles: tuple[str, ...]
    rows: list[list[str]]
    starts: frozenset[int] = frozenset()


def drawn(sheet: Sheet, *, title: str | None = None) -> Table:
    """For the terminal: names to the left, numbers to the right."""
    table = Table(title=title, title_justify="left")
    for number, heading in enumerate(sheet.titles):
        is_name = number == 0 or heading == "arm"
        title_of = Text(plain.plain(heading))
        table.add_column(title_of, justify="left" if is_name else "right", overflow="fold")
    for number, row in enumerate(sheet.rows):
        if number in sheet.starts and number:
            table.add_section()
        table.add_row(*(Text(plain.plain(text)) for text in row))
    return table


def markdown(sheet: Sheet) -> str:
    """As a table of Markdown."""
    lines = [sheet.titles, ["---"] * len(sheet.titles), *sheet.rows]
    return "\n".join(
        "| " + " | ".join(plain.markdown(text) for text in line) + " |" for line in lines
    )


def share(rate: Rate) -> str:
    """In per cent; a dash where nothing was counted."""
    return "-" if rate.share is None else f"{100 * rate.share:.1f}"


def interval(rate: Rate) -> str:
    """In per cent, from - to."""
    return f"{100 * rate.low:.1f} - {100 * rate.high:.1f}" if rate.n else "-"
