"""The chart of ours beside the peer, as SVG text. Pure.

Two bars a figure, the longer one over the full width: units differ, so only lengths within one figure compare.
"""

from collections.abc import Sequence
from html import escape

from bench.figures import BY_NAME, Measured
from bench.report import format_number

WIDTH = 760
_LEFT, _RIGHT, _TOP = 250, 110, 64
_BAR, _GAP, _STEP = 14, 3, 46
_OURS, _PEER, _INK, _PAPER = "#1f6feb", "#9aa4b2", "#1f2328", "#ffffff"
_FONT = "font-family='system-ui, sans-serif'"
SHORT = {
    "add_p50_w1": "ADD, median",
    "add_p99_w1": "ADD, 99th percentile",
    "add_p50_w8": "ADD, 8 at a time, median",
    "del_p50_w1": "DEL, median",
    "churn_w8": "pairs a second, 8 workers",
    "cpu_pair": "CPU time a pair",
    "burst_110_ms": "110 ADDs at once",
}


def draw_chart(results: Sequence[Measured]) -> str:
    """Return an SVG document with the figures that are charted and have a peer."""
    shown = [each for each in results if BY_NAME[each.name].charted and each.peer]
    height = _TOP + _STEP * len(shown) + 12
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height}' viewBox='0 0 {WIDTH} {height}'"
        f" role='img' aria-label='aws-cni beside ptp with host-local'>",
        f"<rect width='{WIDTH}' height='{height}' fill='{_PAPER}'/>",
        _text(20, 28, "aws-cni beside ptp + host-local", size=17, weight="bold"),
        *_legend(),
    ]
    for index, measured in enumerate(shown):
        parts += _pair(measured, _TOP + _STEP * index)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _legend() -> list[str]:
    return [
        f"<rect x='20' y='41' width='10' height='10' fill='{_OURS}'/>",
        _text(36, 50, "aws-cni", size=12),
        f"<rect x='100' y='41' width='10' height='10' fill='{_PEER}'/>",
        _text(116, 50, "ptp + host-local", size=12),
    ]


def _pair(measured: Measured, top: int) -> list[str]:
    figure = BY_NAME[measured.name]
    peer = measured.peer or 0.0
    longest = max(measured.ours, peer)
    parts = [_text(_LEFT - 12, top + 18, SHORT.get(figure.name, figure.name), size=13, anchor="end")]
    for row, (value, colour) in enumerate(((measured.ours, _OURS), (peer, _PEER))):
        y = top + row * (_BAR + _GAP)
        length = max(1.0, (WIDTH - _LEFT - _RIGHT) * value / longest)
        parts.append(f"<rect x='{_LEFT}' y='{y}' width='{length:.1f}' height='{_BAR}' rx='2' fill='{colour}'/>")
        label = f"{format_number(value, figure.decimals)} {figure.unit}"
        parts.append(_text(_LEFT + length + 6, y + 11, label, size=12))
    return parts


def _text(x: float, y: float, words: str, *, size: int, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f"<text x='{x:.1f}' y='{y}' {_FONT} font-size='{size}' font-weight='{weight}' text-anchor='{anchor}'"
        f" fill='{_INK}'>{escape(words)}</text>"
    )
