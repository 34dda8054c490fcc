"""Write the README's table of figures from `benchmarks/figures.json`, which `kowai bench --json` wrote.

Run `kowai bench --json benchmarks/figures.json` on a quiet machine, then `python -m benchmarks.table`: it replaces what
stands between the two marks in README.md. Commit both files.
"""

import json
from pathlib import Path
from typing import Any

README = Path(__file__).parent.parent / "README.md"
FIGURES = Path(__file__).parent / "figures.json"
BEGIN, END = "<!-- figures: python -m benchmarks.table -->\n", "<!-- end of figures -->\n"


def table(measured: dict[str, Any]) -> str:
    """Return the rows as Markdown, ours beside the published ones."""
    machine = measured["machine"]
    load = f"load {machine['load'][0]} before, {measured['load_after'][0]} after"
    where = f"{machine['at'][:10]}: {machine['cores']} cores, {load}, {machine['system']}, Python {machine['python']}"
    lines = [f"| {where} | median | least to greatest | bar | published by others |", "|---|---|---|---|---|"]
    lines += [_line(**row) for row in measured["rows"]]
    return "\n".join(lines) + "\n"


def _line(name: str, value: float | None, unit: str, bar: str, **found: Any) -> str:
    shown = "unknown" if value is None else f"{value:,.4g} {unit}"
    spread = f"{found['least']:,.4g} to {found['most']:,.4g}" if found["runs"] > 1 else ""
    peer = f"{found['peer']['figure']} ({found['peer']['source']})" if found["peer"] else ""
    return f"| {name} | {shown} | {spread} | {bar} | {peer} |"


def placed(text: str, rows: str) -> str:
    """Return the README with the rows between its marks. Raises ValueError when there are none."""
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"README.md has no marks {BEGIN.strip()} and {END.strip()}")
    return f"{before}{BEGIN}{rows}{END}{after}"


def main() -> None:
    measured = json.loads(FIGURES.read_text())
    README.write_text(placed(README.read_text(), table(measured)))


if __name__ == "__main__":
    main()
