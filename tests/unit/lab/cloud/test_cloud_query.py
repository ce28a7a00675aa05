"""Parameters, filters, budgets and XML of the query APIs, without a server."""

from xml.etree import ElementTree

import pytest

from vpc_cni.lab.cloud import Bucket, CloudApiError
from vpc_cni.lab.cloud.ec2.filters import any_of
from vpc_cni.lab.cloud.query.budget import Budget
from vpc_cni.lab.cloud.query.parameters import Parameters, ipv4_block, ipv6, parse_parameters
from vpc_cni.lab.cloud.query.xml import render_tree


def parse(**fields: str) -> Parameters:
    return parse_parameters((name.replace("_", "."), value) for name, value in fields.items())


def code_of(call: object, *arguments: object) -> str:
    with pytest.raises(CloudApiError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.code


def test_lists_come_in_the_order_of_their_numbers() -> None:
    parameters = parse(Id_10="c", Id_2="b", Id_1="a", Name="x")
    assert parameters.texts("Id") == ("a", "b", "c")
    assert parameters.texts("Other") == ()
    assert parameters.text("Name") == "x"


def test_structures_nest() -> None:
    parameters = parse(Filter_1_Name="vpc-id", Filter_1_Value_1="a", Filter_1_Value_2="b", Filter_2_Name="x")
    first, second = parameters.children("Filter")
    assert (first.text("Name"), first.texts("Value")) == ("vpc-id", ("a", "b"))
    assert second.texts("Value") == ()
    assert parse(Description_Value="d").child("Description").text("Value") == "d"


@pytest.mark.parametrize(
    "fields",
    [{"Id": "x", "Id_1": "y"}, {"Id_1": "x", "Id": "y"}, {"Id_1_Name": "x", "Id_1": "y"}],
)
def test_a_name_is_either_a_value_or_a_structure(fields: dict[str, str]) -> None:
    assert code_of(lambda: parse(**fields)) == "UnknownParameter"


@pytest.mark.parametrize(
    ("work", "code"),
    [
        (lambda p: p.required("Missing"), "MissingParameter"),
        (lambda p: p.text("List"), "UnknownParameter"),
        (lambda p: p.texts("Text"), "UnknownParameter"),
        (lambda p: p.texts("Named"), "UnknownParameter"),
        (lambda p: p.children("List"), "UnknownParameter"),
        (lambda p: p.texts("Structures"), "UnknownParameter"),
        (lambda p: p.child("Text"), "UnknownParameter"),
        (lambda p: p.integer("Text"), "InvalidParameterValue"),
        (lambda p: p.count("Zero"), "InvalidParameterValue"),
        (lambda p: p.flag("Text"), "InvalidParameterValue"),
        (lambda p: p.allow("Text"), "UnknownParameter"),
        (lambda _: ipv4_block("10.0.0.1/24"), "InvalidParameterValue"),
        (lambda _: ipv6("10.0.0.1"), "InvalidParameterValue"),
    ],
)
def test_wrong_forms_are_ec2s_errors(work: object, code: str) -> None:
    parameters = parse(Text="x", List_1="a", Named_a="b", Structures_1_Name="n", Zero="0")
    assert code_of(work, parameters) == code


def test_messages_name_the_parameter_in_full() -> None:
    level = parse(Filter_2_Colour="x").children("Filter")[0]
    with pytest.raises(CloudApiError, match=r"Filter\.2\.Colour"):
        level.allow("Name")
    with pytest.raises(CloudApiError, match=r"Filter\.2\.Name"):
        level.required("Name")


def test_equal_parameters_have_equal_digests() -> None:
    assert parse(A="1", B_1="2").digest() == parse(B_1="2", A="1").digest()
    assert parse(A="1").digest() != parse(A="2").digest()


@pytest.mark.parametrize(
    ("values", "text", "matches"),
    [
        (["a"], "a", True),
        (["a"], "ab", False),
        (["a*"], "ab", True),
        (["a?c"], "abc", True),
        (["a?c"], "ac", False),
        (["*"], "", True),
        ([r"a\*"], "a*", True),
        ([r"a\*"], "ab", False),
        ([r"a\\"], "a\\", True),
        (["a.c"], "abc", False),
        (["x", "b*"], "bc", True),
        (["a*"], "a\nb", True),
        (["A"], "a", False),
    ],
)
def test_filter_values(values: list[str], text: str, matches: bool) -> None:
    assert any_of(values)(text) is matches


def test_a_budget_empties_and_fills_with_time() -> None:
    budget, bucket = Budget(), Bucket(2, 0.5)
    assert [budget.take(bucket, 0.0) for _ in range(3)] == [True, True, False]
    assert not budget.take(bucket, 1.0)
    assert budget.take(bucket, 2.0)
    # It never holds more than its capacity.
    assert [budget.take(bucket, 1000.0) for _ in range(3)] == [True, True, False]


def test_a_budget_without_a_bucket_gives_always_and_starts_the_next_full() -> None:
    budget, bucket = Budget(), Bucket(1, 0.0)
    assert [budget.take(bucket, 0.0), budget.take(bucket, 0.0)] == [True, False]
    assert all(budget.take(None, 0.0) for _ in range(100))
    assert budget.take(bucket, 0.0)


def test_trees_become_xml() -> None:
    tree = {"a": "<&>", "none": None, "yes": True, "no": False, "n": 3, "empty": [], "list": ["x", {"k": "v"}]}
    body = render_tree(tree)
    assert body == (
        "<a>&lt;&amp;&gt;</a><yes>true</yes><no>false</no><n>3</n><empty></empty>"
        "<list><item>x</item><item><k>v</k></item></list>"
    )
    assert ElementTree.fromstring(f"<r>{body}</r>")[0].text == "<&>"  # noqa: S314 - made above
