"""A table in LaTeX: booktabs rules, siunitx numbers; it stands by itself in any document that loads the two."""

from __future__ import annotations

import re

from results.tables.model import Entry, Table
from results.tables.words import printable

NUMBER = r"[+-]?(?:\d+|\d{1,3}(?:,\d{3})+)(?:\.\d+)?(?:e[+-]\d+)?"
VALUE = re.compile(rf"(?P<mean>{NUMBER})(?: ± (?P<std>{NUMBER}))?(?P<rest>(?: \([^()]*\))?)")
SPECIAL = {char: f"\\{char}" for char in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\ensuremath{<}",
    ">": r"\ensuremath{>}",
    "`": r"\textquoteleft{}",
    "[": "{[}",
    "]": "{]}",
    "±": r"\ensuremath{\pm}",
    "≤": r"\ensuremath{\leq}",
    "≥": r"\ensuremath{\geq}",
    "×": r"\ensuremath{\times}",
    "−": r"\ensuremath{-}",
    "–": "--",
    "…": r"\ldots{}",
    "†": r"\ensuremath{^\dagger}",
}
"""What LaTeX would take for a command or its option, and the signs of our cells and notes as every LaTeX knows them."""


def as_latex(table: Table) -> str:
    """Render as a `tabular` with the notes below it; the best is in bold."""
    align = "".join("r" if column.is_number else "l" for column in table.columns)
    lines = [f"% {printable(table.title)}", r"% needs \usepackage{booktabs,siunitx}", rf"\begin{{tabular}}{{{align}}}"]
    lines += [r"\toprule", _line([escape(column.title) for column in table.columns]), r"\midrule"]
    for number, row in enumerate(table.rows):
        if number in table.block_starts:
            lines.append(r"\midrule")
        cells = zip(row, table.columns, strict=True)
        lines.append(_line([_entry(entry, is_number=column.is_number) for entry, column in cells]))
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par{{\footnotesize {escape(note)}\par}}" for note in table.notes]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    r"""Write a text so that LaTeX prints it, hyphens side by side as such and not as a dash.

    >>> escape("a_b ≤ 5 %"), escape("--json")
    ('a\\_b \\ensuremath{\\leq} 5 \\%', '-{}-json')
    """
    plain = printable(text)
    followed = zip(plain, f"{plain[1:]} ", strict=True) if plain else ()
    return "".join(SPECIAL.get(char, char) + ("{}" if char == after == "-" else "") for char, after in followed)


def _line(cells: list[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _entry(entry: Entry, *, is_number: bool) -> str:
    found = VALUE.fullmatch(entry.text) if is_number else None
    text = escape(entry.text) if found is None else _number(found, is_best=entry.is_best)
    return f"{text}{escape(entry.mark)}"


def _number(found: re.Match[str], *, is_best: bool) -> str:
    options = "[mode=text, reset-text-series=false]" if is_best else ""
    numbers = [
        rf"\num{options}{{{found[name].replace(',', '')}}}" for name in ("mean", "std") if found[name] is not None
    ]
    text = r" \ensuremath{\pm} ".join(numbers) + escape(found["rest"])
    return rf"{{\bfseries {text}}}" if is_best else text
