"""Numbers, sizes and times as a person reads them: thousands separated, with their unit."""

from datetime import UTC, datetime
from html import escape

from bioprune_core.alphabet import Alphabet

__all__ = [
    "alphabet_name",
    "amount",
    "byte_size",
    "count",
    "duration",
    "exact_time",
    "percent",
    "relative_time",
    "significant",
    "time_html",
]

_ALPHABETS = {Alphabet.RNA: "RNA", Alphabet.DNA: "DNA", Alphabet.PROTEIN: "Protein"}
_SIZES = ("B", "kB", "MB", "GB", "TB", "PB")


def alphabet_name(alphabet: Alphabet) -> str:
    """What an alphabet is called: "RNA", "DNA", "Protein"."""
    return _ALPHABETS[alphabet]


def count(number: int, noun: str, plural: str | None = None) -> str:
    """A count with its noun: "1 sequence", "12,345 sequences"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def amount(number: float, digits: int = 3) -> str:
    """A measured figure to `digits` significant digits: "0.0123", "1,230", "1.23 × 10⁻⁷"."""
    if number == 0 or 1e-4 <= abs(number) < 1e6:
        rounded = float(f"{number:.{digits}g}")
        return f"{rounded:,.0f}" if abs(rounded) >= 10 ** (digits - 1) else f"{rounded:,.{digits}g}"
    mantissa, exponent = f"{number:.{digits - 1}e}".split("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(_SUPERSCRIPT)}"


_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def significant(number: float, digits: int = 5) -> float:
    """A number rounded to so many significant digits; for table columns that group thousands themselves."""
    return float(f"{number:.{digits}g}")


def percent(fraction: float, digits: int = 1) -> str:
    """A fraction of one as a percentage: "12.3 %"."""
    return f"{100 * fraction:.{digits}f} %"


def byte_size(size: float) -> str:
    """Bytes in decimal units, three significant digits at most: "842 B", "1.2 MB"."""
    for unit in _SIZES:
        if abs(size) < 999.5 or unit == _SIZES[-1]:
            break
        size /= 1000
    return f"{size:,.0f} {unit}" if unit == "B" or abs(size) >= 99.95 else f"{size:.1f} {unit}"


def duration(seconds: float) -> str:
    """Seconds as the two largest units: "45 s", "3 min 20 s", "2 h 5 min", "3 d 4 h"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, size, smaller, part in (
        ("d", 86_400, "h", 3_600),
        ("h", 3_600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit} {rest} {smaller}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"


def relative_time(moment: datetime | str, now: datetime | None = None) -> str:
    """How long ago: "just now", "4 minutes ago", "yesterday", "12 days ago", then the date."""
    seconds = ((now or datetime.now(UTC)) - _aware(moment)).total_seconds()
    if seconds < 45:
        return "just now"
    if seconds < 3_600:
        return f"{count(max(1, round(seconds / 60)), 'minute')} ago"
    if seconds < 86_400:
        return f"{count(round(seconds / 3_600), 'hour')} ago"
    if seconds < 172_800:
        return "yesterday"
    if seconds < 30 * 86_400:
        return f"{round(seconds / 86_400)} days ago"
    return f"{_aware(moment):%d %b %Y}".lstrip("0")


def exact_time(moment: datetime | str) -> str:
    """The exact time in UTC: "23 Nov 2026, 14:05:09 UTC"."""
    return f"{_aware(moment).astimezone(UTC):%d %b %Y, %H:%M:%S} UTC".lstrip("0")


def time_html(moment: datetime | str, now: datetime | None = None) -> str:
    """A `<time>` element: relative, with the exact time on hover."""
    exact = escape(exact_time(moment))
    return (
        f'<time datetime="{_aware(moment).isoformat()}" title="{exact}">{relative_time(moment, now)}</time>'
    )


def _aware(moment: datetime | str) -> datetime:
    """Times come from catalogue and manifests, ISO 8601; one without a zone is UTC."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
