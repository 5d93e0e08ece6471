"""Terminal text as an SVG picture, in one colour scheme."""

from html import escape

# Colours by the number of their SGR sequence; None is ordinary text.
THEMES = {
    "light": {
        "page": "#ffffff", "bar": "#f6f8fa", "line": "#d0d7de", "title": "#57606a", "prompt": "#57606a",
        None: "#1f2328", 1: "#1f2328", 31: "#cf222e", 32: "#116329", 33: "#9a6700", 34: "#0969da", 35: "#8250df",
        36: "#1b7c83", 37: "#57606a",
    },
    "dark": {
        "page": "#0d1117", "bar": "#161b22", "line": "#30363d", "title": "#8d96a0", "prompt": "#8d96a0",
        None: "#e6edf3", 1: "#e6edf3", 31: "#ff7b72", 32: "#7ee787", 33: "#e3b341", 34: "#79c0ff", 35: "#d2a8ff",
        36: "#56d4dd", 37: "#8d96a0",
    },
}
FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
CELL, LINE, SIZE, MARGIN, BAR = 7.8, 18, 13, 16, 34


def runs(row):
    """Groups a row into (column, text, colour)."""
    groups = []
    for column, (character, colour) in enumerate(row):
        if groups and groups[-1][2] == colour:
            groups[-1][1] += character
        else:
            groups.append([column, character, colour])
    return [group for group in groups if group[1].strip()]


def picture(title, rows, theme, columns):
    """The rows in a window with a title, as the text of an SVG file."""
    colours = THEMES[theme]
    width, height = round(columns * CELL + 2 * MARGIN), BAR + len(rows) * LINE + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{escape(title)}">',
        f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8" fill="{colours["page"]}" '
        f'stroke="{colours["line"]}"/>',
        f'<path d="M1 {BAR - 6}V8.5a7.5 7.5 0 0 1 7.5-7.5h{width - 17}a7.5 7.5 0 0 1 7.5 7.5V{BAR - 6}z" '
        f'fill="{colours["bar"]}"/>',
        *(f'<circle cx="{18 + 16 * at}" cy="14" r="5" fill="{colours["line"]}"/>' for at in range(3)),
        f'<g font-family="{FONT}" font-size="{SIZE}" xml:space="preserve">',
        f'<text x="{width / 2}" y="18.5" text-anchor="middle" fill="{colours["title"]}">{escape(title)}</text>',
    ]
    for number, row in enumerate(rows):
        y = BAR + 12 + number * LINE
        for column, text, colour in runs(row):
            # A run starts in its column and has its length, whatever font the viewer has.
            column += len(text) - len(text.lstrip())
            text = text.strip()
            x, length = round(MARGIN + column * CELL, 1), round(len(text) * CELL, 1)
            weight = ' font-weight="bold"' if colour == 1 else ""
            parts.append(
                f'<text x="{x}" y="{y}" textLength="{length}" lengthAdjust="spacingAndGlyphs" '
                f'fill="{colours[colour]}"{weight}>{escape(text)}</text>'
            )
    return "\n".join([*parts, "</g>", "</svg>", ""])
