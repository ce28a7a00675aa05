"""Whatever stands in the environment, the answer is settings or one error that names the culprits."""

import json

from hypothesis import given
from hypothesis import strategies as st

from vpc_cni.errors import ConfigurationError
from vpc_cni.settings import SETTINGS, load_agent_settings

# What a process can have in its environment: no NUL; bytes that are no UTF-8 arrive as lone surrogates.
TEXTS = st.text(st.characters(exclude_characters="\0"), max_size=40)
LIKELY = st.sampled_from(
    ["true", "false", "0", "1", "-1", "9001", "/x", "stdout", "10.0.0.0/8", "{}", "info", ":80", ""]
)
ENVIRONMENTS = st.dictionaries(st.sampled_from([each.name for each in SETTINGS]), LIKELY | TEXTS, max_size=8)


@given(ENVIRONMENTS)
def test_any_environment_gives_settings_or_one_configuration_error(environ: dict[str, str]) -> None:
    try:
        settings = load_agent_settings(environ)
    except ConfigurationError as err:
        message = err.message
    else:
        assert load_agent_settings(environ) == settings
        return
    lines = [line for line in message.splitlines() if line.startswith("  ")]
    assert lines
    assert message.startswith(f"{len(lines)} setting")


@given(st.sampled_from([each.name for each in SETTINGS]), LIKELY | TEXTS)
def test_a_wrong_variable_is_named_with_its_value(name: str, text: str) -> None:
    try:
        load_agent_settings({"ENABLE_IPv4": "true", name: text})
    except ConfigurationError as err:
        message = err.message
    else:
        return
    assert message.startswith("1 setting is wrong")
    assert f"{name}={json.dumps(text)}: " in message
