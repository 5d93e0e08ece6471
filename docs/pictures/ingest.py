"""Draws the course of an ingest run from its report: `make ingest`.

Takes the JSON file that `loadtest run --scenario ingest --json FILE` writes, and makes `ingest-light.svg` and
`ingest-dark.svg` beside this file. Needs Python 3.11 and nothing else.
"""

import json
import pathlib
import sys
from html import escape

import svg

HERE = pathlib.Path(__file__).resolve().parent
FONT = "system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', sans-serif"
WIDTH, LEFT, RIGHT, PANEL, GAP, TOP = 880, 74, 168, 132, 34, 62
# Rates are drawn as means over this many seconds: groups and checkpoints make single seconds uneven.
SMOOTH_S = 2


def read(path):
    """The ingest run of a report: its figures by name, its samples, and the slices of the bare log."""
    report = json.loads(pathlib.Path(path).read_text())
    runs = [run for run in report["outcomes"] if "samples" in run["details"] and "floor" in run["details"]]
    if not runs:
        sys.exit(f"`{path}` has no ingest run: make it with `loadtest run --scenario ingest --json {path}`")
    figures = {figure["what"].strip(): figure["value"] for figure in runs[0]["figures"]}
    return figures, runs[0]["details"]


def rates(samples, name):
    """The growth of a sum per second, over `SMOOTH_S` seconds each, at the end of each interval."""
    points, start = [], 0
    for at, sample in enumerate(samples):
        seconds = sample["second"] - samples[start]["second"]
        if seconds >= SMOOTH_S:
            points.append((sample["second"], (sample[name] - samples[start][name]) / seconds))
            start = at
    return points


def values(samples, name, scale):
    return [(sample["second"], sample[name] * scale) for sample in samples]


def nice(greatest):
    """The top of a scale: 1, 2, 2.5, 4, 5 or 8 times a power of ten, a little above the greatest value."""
    power = 1.0
    while power * 10 < greatest:
        power *= 10
    while power > greatest:
        power /= 10
    return next(power * step for step in (1, 1.5, 2, 2.5, 4, 5, 6, 8, 10) if power * step >= greatest)


def label(value):
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.3g}"


class Panel:
    """A chart over the seconds of the run."""

    def __init__(self, parts, colours, number, seconds, title, greatest):
        self.parts, self.colours, self.seconds = parts, colours, seconds
        self.top = TOP + number * (PANEL + GAP)
        self.greatest = nice(greatest or 1)
        self.bottom = self.top + PANEL
        parts.append(f'<text x="{LEFT}" y="{self.top - 9}" fill="{colours[None]}" font-weight="600">{escape(title)}</text>')
        for share in (0, 0.5, 1):
            y = round(self.bottom - share * PANEL, 1)
            parts.append(f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="{colours["line"]}" fill="none"/>')
            parts.append(
                f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end" fill="{colours["title"]}">'
                f"{label(self.greatest * share)}</text>"
            )

    def x(self, second):
        return round(LEFT + (WIDTH - RIGHT - LEFT) * second / self.seconds, 1)

    def y(self, value):
        return round(self.bottom - PANEL * min(value / self.greatest, 1), 1)

    def line(self, points, colour, name, dashes="", at=None):
        """A line and its name beside its end, or at another height."""
        if not points:
            return
        path = "L".join(f"{self.x(second)} {self.y(value)}" for second, value in points)
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        self.parts.append(
            f'<path d="M{path}" fill="none" stroke="{self.colours[colour]}" stroke-width="1.6" '
            f'stroke-linejoin="round"{dashed}/>'
        )
        y = self.y(points[-1][1] if at is None else at) + 4
        self.parts.append(f'<text x="{WIDTH - RIGHT + 8}" y="{y}" fill="{self.colours[colour]}">{escape(name)}</text>')

    def level(self, value, colour, name, at=None):
        self.line([(0, value), (self.seconds, value)], colour, name, "5 4", at)

    def seconds_axis(self):
        step = next(step for step in (5, 10, 15, 30, 60, 120, 300) if self.seconds / step <= 8)
        for second in range(0, int(self.seconds) + 1, step):
            self.parts.append(
                f'<text x="{self.x(second)}" y="{self.bottom + 18}" text-anchor="middle" '
                f'fill="{self.colours["title"]}">{second} s</text>'
            )


def picture(figures, details, theme):
    colours, samples = svg.THEMES[theme], details["samples"]
    seconds = samples[-1]["second"]
    height = TOP + 4 * (PANEL + GAP) + 8
    users = f"{figures['distinct users']:,.0f}"
    title = f"Durable ingest of {figures['acknowledged']:,.0f} events about {users} users"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'role="img" aria-label="{escape(title)}" font-family="{FONT}" font-size="12">',
        f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8" fill="{colours["page"]}" '
        f'stroke="{colours["line"]}"/>',
        f'<text x="{LEFT}" y="26" fill="{colours[None]}" font-size="15" font-weight="600">{escape(title)}</text>',
    ]
    mean, goal = figures["durable events"], 0.15 * figures["bare durable log, in the same run"]
    rate = rates(samples, "events")
    panel = Panel(parts, colours, 0, seconds, "events per second", 1.1 * max([mean, goal, *(value for _, value in rate)]))
    # Names of lines that are close to each other would overlap.
    apart = 15 * panel.greatest / PANEL
    mean_at = mean if abs(mean - goal) >= apart else goal + (apart if mean >= goal else -apart)
    panel.line(rate, 34, "", at=mean)
    panel.level(mean, 34, f"mean {mean:,.0f}", mean_at)
    panel.level(goal, 33, f"0.15 of bare log {goal:,.0f}")

    memory = values(samples, "memory", 1e-6)
    panel = Panel(parts, colours, 1, seconds, "memory (resident), MB", max(value for _, value in memory))
    panel.line(memory, 35, f"{memory[-1][1]:,.0f} MB")

    disk, journal = values(samples, "disk", 1e-6), values(samples, "journal", 1e-6)
    panel = Panel(parts, colours, 2, seconds, "disk, MB", max(value for _, value in disk))
    panel.line(disk, 32, f"all {disk[-1][1]:,.0f}")
    close = disk[-1][1] - journal[-1][1] < 15 * panel.greatest / PANEL
    panel.line(journal, 36, f"journal {journal[-1][1]:,.0f}", at=disk[-1][1] - 15 * panel.greatest / PANEL if close else None)

    lag = values(samples, "checkpoint_lag", 1e-6)
    panel = Panel(parts, colours, 3, seconds, "journal that waits for a checkpoint, MB", max(value for _, value in lag))
    panel.line(lag, 31, f"{lag[-1][1]:,.0f} MB")
    panel.seconds_axis()
    return "\n".join([*parts, "</svg>", ""])


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: ingest.py REPORT.json")
    figures, details = read(sys.argv[1])
    for theme in svg.THEMES:
        path = HERE / f"ingest-{theme}.svg"
        path.write_text(picture(figures, details, theme), encoding="utf-8")
        print(path.relative_to(HERE.parent.parent))


main()
