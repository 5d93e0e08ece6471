"""The stored figures, and how measured ones are compared with them."""

import dataclasses
import re
import tomllib

DEFAULT_TOLERANCE = 3
# A renewal leaves stored values that are this close, in percent, so that a difference shows what has changed.
NOISE = 0.5
LINE = re.compile(r'^"(?P<name>[^"]+)" = \{ value = (?P<value>[\d._]+), tolerance = (?P<tolerance>[\d.]+) \}$')
SECTION = re.compile(r"^\[(?P<name>\w+)\]$")


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A figure, as it is stored and as it was measured; `None` where there is none. Less is better."""

    section: str
    name: str
    stored: float | None
    now: float | None
    tolerance: float = DEFAULT_TOLERANCE

    @property
    def ratio(self):
        """The measured value in relation to the stored one."""
        if self.stored == self.now:
            return 1.0
        return self.now / self.stored if self.stored else float("inf")

    @property
    def failed(self):
        """Whether the figure is worse than its tolerance allows, or missing on one side."""
        return self.stored is None or self.now is None or self.ratio > 1 + self.tolerance / 100

    @property
    def improved(self):
        """Whether the figure is better by more than its tolerance."""
        return not self.failed and self.ratio < 1 - self.tolerance / 100

    @property
    def verdict(self):
        """What the table says of it."""
        if self.stored is None:
            return "FAILED: not in the file"
        if self.now is None:
            return "FAILED: not measured"
        if self.failed:
            return f"FAILED: more than {self.tolerance:g} % worse"
        return "better: renew the figure" if self.improved else "ok"


def compare(stored, measured):
    """Compares the text of the file with measured figures: a dictionary of sections, each from names to values."""
    sections = tomllib.loads(stored)
    comparisons = [
        Comparison(section, name, figure["value"], measured.get(section, {}).get(name), figure["tolerance"])
        for section, figures in sections.items() for name, figure in figures.items()]
    new = [Comparison(section, name, None, value)
           for section, figures in measured.items() for name, value in figures.items()
           if name not in sections.get(section, {})]
    return comparisons + new


def least(one, other):
    """Returns the less of two measurements of each figure, by section and name."""
    return {
        section: {name: min(value, other[section][name]) for name, value in named.items()}
        for section, named in one.items()
    }


def renew(stored, measured):
    """Returns the text of the file with the measured values. Comments, order and tolerances stay. Figures that were not
    measured are removed, and new ones are added at the end of their section."""
    sections, name = {None: []}, None
    for line in stored.splitlines():
        if section := SECTION.match(line):
            name = section["name"]
        sections.setdefault(name, []).append(line)
    for name in measured:
        sections.setdefault(name, [f"[{name}]"])
    parts = [renew_section(lines, measured.get(name, {})) for name, lines in sections.items()]
    return "\n\n".join(part for part in parts if part) + "\n"


def renew_section(lines, measured):
    """Returns the text of one section with the measured values."""
    known, renewed = set(), []
    for line in lines:
        figure = LINE.match(line)
        if not figure:
            renewed.append(line)
        elif figure["name"] in measured:
            known.add(figure["name"])
            renewed.append(renew_line(line, figure, measured[figure["name"]]))
    added = [line_of(name, value, DEFAULT_TOLERANCE) for name, value in measured.items() if name not in known]
    return "\n".join(["\n".join(renewed).strip("\n"), *added]).strip("\n")


def renew_line(line, figure, now):
    """Returns the line of a figure, unchanged if the stored value is as good as the measured one."""
    stored = float(figure["value"])
    if abs(now - stored) <= stored * NOISE / 100:
        return line
    return line_of(figure["name"], now, figure["tolerance"])


def line_of(name, value, tolerance):
    """Returns the line of a figure."""
    return f'"{name}" = {{ value = {digits(value)}, tolerance = {tolerance} }}'


def digits(value):
    """Returns a value as the file has it."""
    return f"{value:.2f}" if value < 1_000 and value != int(value) else f"{value:_.0f}"


def table(comparisons, heads=("stored", "now"), verdicts=True):
    """Returns the comparisons as the lines of a table, with or without what is said of each."""
    width = max((len(comparison.name) for comparison in comparisons), default=0)
    lines, section = [], None
    for comparison in comparisons:
        if comparison.section != section:
            section = comparison.section
            lines += ["", f"{section:<{width}} {heads[0]:>12} {heads[1]:>12} {'ratio':>7}"]
        both = comparison.stored is not None and comparison.now is not None
        ratio = f"{comparison.ratio:7.3f}" if both else f"{'':7}"
        line = f"{comparison.name:<{width}} {cell(comparison.stored)} {cell(comparison.now)} {ratio}"
        lines.append(f"{line}  {comparison.verdict}" if verdicts else line)
    return lines


def cell(value):
    """Returns a value as the table has it."""
    return f"{'-' if value is None else digits(value).replace('_', ','):>12}"
