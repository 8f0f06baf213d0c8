"""A table of the report in the terminal."""

from __future__ import annotations

from magsim.report.page import Table

WIDTH = 110  # of a table in a log file


def print_table(table: Table) -> None:
    """A table of the report in the terminal."""
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    drawn = RichTable(title=table.caption, title_justify="left")
    for column, numeric in zip(table.columns, table.numeric, strict=True):
        drawn.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in table.cells():
        drawn.add_row(*row)
    console.print(drawn)
