"""Draw the chart of speed in README.md from the rates that other benchmarks saved.

    python benchmarks/images.py PHOTOS --image-size 224 --save benchmarks/results/images_224.json
    python benchmarks/chart.py

Each panel has bars from 0 to the median rate of ours and of the fastest others, on a scale of its own. The colors can
be read on white and on black.
"""

import argparse
import json
import statistics
from html import escape
from pathlib import Path

ROOT = Path(__file__).parent.parent
TIMES = "\N{MULTIPLICATION SIGN}"
# File of rates → title, and what else to know.
PANELS = {
    "images_224": (f"Photos of many sizes to 224{TIMES}224", ""),
    "images_80": (f"Small PNGs to 80{TIMES}80", ""),
    "images_large": (f"Photos of 3000{TIMES}2250 to 224{TIMES}224", ""),
    "store": (f"Shuffled rows of 224{TIMES}224{TIMES}3 from a store on disk", "all files are in memory already"),
    "csv": ("Batches from a large CSV file", "ours are shuffled, the others keep the order of the file"),
}
OURS = {  # names of our contestants besides the reference
    "with a saved index": "keras_oocore, saved index",
    "a later epoch from its cache": "keras_oocore, cache",
}
REFERENCE = {"store": "keras_oocore.open_packed", "csv": "keras_oocore, first epoch"}
MOST_PEERS = 3  # others per panel, the fastest ones
WIDTH, BAR_LEFT, BAR_WIDTH = 700, 245, 270
ROW, BAR, TITLE, NOTE, GAP = 21, 13, 26, 17, 16
TEXT, ACCENT, PEER = "#7a7a7a", "#2f81f7", "#8b949e"  # TEXT has a contrast of 4.3 to white and to GitHub's dark page


def chosen_rates(saved: dict) -> dict[str, list[float]]:
    """Return the rates of our contestants and of the fastest others, the fastest first."""
    rates, ours = saved["rates"], {saved["reference"], *OURS}
    fastest = sorted(rates, key=lambda name: -statistics.median(rates[name]))
    peers = [name for name in fastest if name not in ours][:MOST_PEERS]
    return {name: rates[name] for name in fastest if name in ours or name in peers}


def ratio(saved: dict, name: str) -> float:
    """Return the median of the reference divided by a contestant, run by run."""
    rates = saved["rates"]
    return statistics.median(ours / other for ours, other in zip(rates[saved["reference"]], rates[name]))


def times(value: float) -> str:
    return f"{value:.{0 if value >= 10 else 1 if value >= 1 else 2}f} {TIMES}"


def text(x: float, y: float, content: str, **attributes) -> str:
    given = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<text x="{x}" y="{y}"{given}>{escape(content)}</text>'


def panel(key: str, saved: dict, top: float) -> tuple[list[str], float]:
    """Return the elements of a panel that begins at `top`, and where it ends."""
    title, note = PANELS[key]
    elements = [text(0, top + 15, title, font_weight=600, font_size=15)]
    if note:
        top += NOTE
        elements.append(text(0, top + 15, note, font_size=12))
    rates, y = chosen_rates(saved), top + TITLE
    longest = max(statistics.median(values) for values in rates.values())
    bottom = y + ROW * len(rates)
    for name, values in rates.items():
        median = statistics.median(values)
        is_ours = name == saved["reference"] or name in OURS
        shown = REFERENCE.get(key, name) if name == saved["reference"] else OURS.get(name, name)
        length, weight = BAR_WIDTH * median / longest, {"font_weight": 600} if is_ours else {}
        elements.append(text(BAR_LEFT - 8, y + 14, shown, text_anchor="end", **weight))
        elements.append(
            f'<rect x="{BAR_LEFT}" y="{y + 4}" width="{length:.1f}" height="{BAR}" rx="1.5" '
            f'fill="{ACCENT if is_ours else PEER}"/>'
        )
        value = f"{median:,.0f} {saved['unit']}" if is_ours else f"{median:,.0f} (ours is {times(ratio(saved, name))})"
        elements.append(text(BAR_LEFT + round(length, 1) + 7, y + 14, value, **weight))
        y += ROW
    elements.append(f'<path d="M{BAR_LEFT} {top + TITLE}V{bottom}" stroke="{TEXT}" fill="none"/>')
    return elements, bottom + GAP


def chart(results: dict[str, dict]) -> str:
    """Return the SVG of the panels whose rates are given."""
    elements, top = [], 2.0
    for key in PANELS:
        if key in results:
            added, top = panel(key, results[key], top)
            elements += added
    summary = "; ".join(PANELS[key][0] for key in results)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top:.0f}" width="{WIDTH}" height="{top:.0f}" '
        f'role="img" font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif" font-size="13" '
        f'fill="{TEXT}">\n<title>{escape(f"Speed of loading against other loaders: {summary}")}</title>\n'
        + "\n".join(elements)
        + "\n</svg>\n"
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results", metavar="DIR")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "pictures" / "speed.svg", metavar="FILE")
    options = parser.parse_args(arguments)
    paths = {key: options.results / f"{key}.json" for key in PANELS}
    missing = [str(path) for path in paths.values() if not path.exists()]
    if len(missing) == len(paths):
        raise SystemExit(f"There is nothing to draw: no {', '.join(missing)}. Save rates with --save FILE.")
    if missing:
        print(f"Panels are left out, without a file: {', '.join(missing)}")
    results = {key: json.loads(path.read_text()) for key, path in paths.items() if path.exists()}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(chart(results))
    print(options.output)


if __name__ == "__main__":
    main()
