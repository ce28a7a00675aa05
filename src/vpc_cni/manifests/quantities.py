"""Kubernetes quantities (``25m``, ``1Gi``) as numbers, so that two spellings of one amount are equal. Pure.

Source: Kubernetes API reference, type Quantity.
"""

import re
from fractions import Fraction

_QUANTITY = re.compile(
    r"(?P<sign>[+-]?)(?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:(?P<suffix>[KMGTPE]i|[numkMGTPE])|[eE](?P<exponent>[+-]?[0-9]{1,3}))?",
    re.ASCII,
)
_DECIMAL: dict[str, int] = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: dict[str, int] = {suffix: 1024**power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)}


def parse_quantity(value: object) -> Fraction | None:
    """Return the amount of a quantity, written as text or as a number; None when it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    found = _QUANTITY.fullmatch(str(value))
    if not found:
        return None
    number = Fraction(found["number"].rstrip(".") or "0") * (-1 if found["sign"] == "-" else 1)
    if found["suffix"] in _BINARY:
        return number * _BINARY[found["suffix"]]
    exponent = int(found["exponent"] or _DECIMAL.get(found["suffix"], 0))
    return number * Fraction(f"1e{exponent}")


def canonical_quantity(value: object) -> str:
    """Return one spelling for every way to write an amount; the text itself when it is no quantity.

    The spelling is for comparing and for people: a whole number, or thousandths with ``m``, else a fraction.
    """
    amount = parse_quantity(value)
    if amount is None:
        return str(value)
    if amount.denominator == 1:
        return str(amount.numerator)
    thousandths = amount * 1000
    return f"{thousandths.numerator}m" if thousandths.denominator == 1 else str(amount)
