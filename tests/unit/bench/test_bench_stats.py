import pytest

from bench.stats import median, percentile, ratio
from vpc_cni.errors import InternalError


@pytest.mark.parametrize(
    ("samples", "percent", "expected"),
    [
        pytest.param([5.0], 99, 5.0, id="one sample is every percentile"),
        pytest.param([3.0, 1.0, 2.0], 50, 2.0, id="order does not matter"),
        pytest.param([1.0, 2.0], 50, 1.5, id="between two samples"),
        pytest.param([float(n) for n in range(101)], 99, 99.0, id="on a sample"),
        pytest.param([1.0, 2.0, 3.0], 0, 1.0, id="least"),
        pytest.param([1.0, 2.0, 3.0], 100, 3.0, id="greatest"),
    ],
)
def test_percentile(samples: list[float], percent: float, expected: float) -> None:
    assert percentile(samples, percent) == pytest.approx(expected)


def test_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(InternalError):
        percentile([], 50)


def test_median_is_not_moved_by_one_outlier() -> None:
    assert median([1.0, 1.0, 1.0, 1.0, 900.0]) == 1.0


@pytest.mark.parametrize(("other", "expected"), [(4.0, 0.25), (None, None), (0.0, None)])
def test_ratio_is_none_without_something_to_compare_with(other: float | None, expected: float | None) -> None:
    assert ratio(1.0, other) == expected
