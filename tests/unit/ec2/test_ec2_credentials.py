"""How long credentials are kept, and what happens when new ones do not come."""

import pytest

from vpc_cni.ec2._http import HttpClient
from vpc_cni.ec2._providers import container_url, credential_source
from vpc_cni.ec2.credentials import (
    Credentials,
    FixedCredentials,
    Freshness,
    RefreshingCredentials,
    freshness,
    refresh_pause,
)
from vpc_cni.ec2.metadata import MetadataClient
from vpc_cni.ec2.observer import SilentObserver
from vpc_cni.errors import CloudError, ConfigurationError, HostError

HOUR = 3600.0


class Source:
    """Gives numbered keys that last ``lifetime`` seconds, or fails while ``broken``."""

    def __init__(self, clock, lifetime: float = HOUR) -> None:
        self.clock = clock
        self.lifetime = lifetime
        self.fetches = 0
        self.broken = False

    def __call__(self) -> Credentials:
        self.fetches += 1
        if self.broken:
            raise HostError("token file is gone")
        return Credentials(f"AKID{self.fetches}", "secret", "token", self.clock.at + self.lifetime)


def refreshing(source: Source) -> RefreshingCredentials:
    return RefreshingCredentials(source, name="test", timing=source.clock.timing(), spawn=lambda run: run())


@pytest.mark.parametrize(
    ("lifetime", "age", "expected"),
    [
        (HOUR, 0, Freshness.FRESH),
        (HOUR, 2699, Freshness.FRESH),
        (HOUR, 2700, Freshness.AGEING),
        (HOUR, 3594, Freshness.AGEING),
        (HOUR, 3595, Freshness.EXPIRED),
        (60, 44, Freshness.FRESH),  # a short validity is not refreshed at each call
        (60, 45, Freshness.AGEING),
        (12 * HOUR, 12 * HOUR - 901, Freshness.FRESH),
        (12 * HOUR, 12 * HOUR - 900, Freshness.AGEING),
    ],
)
def test_freshness(lifetime, age, expected):
    assert freshness(Credentials("a", "b", None, 5000 + lifetime), 5000, 5000 + age) is expected


def test_keys_without_an_end_stay_fresh():
    assert freshness(Credentials("a", "b"), 0, 1e12) is Freshness.FRESH


def test_pauses_grow_with_failures_and_are_bounded():
    assert [refresh_pause(count, 0.0) for count in (1, 2, 3)] == [1.0, 2.0, 4.0]
    assert refresh_pause(1, 0.999) < 2.0
    assert refresh_pause(50, 0.999) <= 30.0


def test_fresh_keys_are_fetched_once(clock):
    source = Source(clock)
    keys = refreshing(source)
    assert keys.current() == keys.current()
    assert source.fetches == 1


def test_ageing_keys_are_renewed_in_the_background(clock):
    source = Source(clock)
    keys = refreshing(source)
    keys.current()
    clock.at += 2800
    assert keys.current().access_key == "AKID1"
    assert keys.current().access_key == "AKID2"


def test_ageing_keys_stay_in_use_while_the_source_fails(clock, caplog):
    source = Source(clock)
    keys = refreshing(source)
    keys.current()
    source.broken = True
    clock.at += 2800
    assert [keys.current().access_key for _ in range(5)] == ["AKID1"] * 5
    assert source.fetches == 2  # the failing source is left alone for a while
    clock.at += 60
    keys.current()
    assert source.fetches == 3
    assert "not refreshed" in caplog.text


def test_expired_keys_are_not_handed_out(clock):
    source = Source(clock)
    keys = refreshing(source)
    keys.current()
    source.broken = True
    clock.at += HOUR
    with pytest.raises(HostError, match="token file"):
        keys.current()


def test_a_failing_source_is_not_asked_by_every_caller(clock):
    source = Source(clock)
    source.broken = True
    keys = refreshing(source)
    for _ in range(4):
        with pytest.raises(HostError):
            keys.current()
    assert source.fetches == 1
    clock.at += 60
    source.broken = False
    assert keys.current().access_key == "AKID2"


def test_rejected_keys_are_replaced_before_their_end(clock):
    source = Source(clock)
    keys = refreshing(source)
    keys.reject(keys.current())
    assert keys.current().access_key == "AKID2"


def test_rejecting_old_keys_does_not_touch_the_new_ones(clock):
    source = Source(clock)
    keys = refreshing(source)
    old = keys.current()
    keys.reject(old)
    keys.current()
    keys.reject(old)
    assert keys.current().access_key == "AKID2"
    assert source.fetches == 2


def test_a_source_that_gives_expired_keys_is_an_error(clock):
    with pytest.raises(CloudError, match="clock"):
        refreshing(Source(clock, lifetime=-1)).current()


def test_secrets_do_not_show():
    shown = repr(Credentials("AKID", "hush-secret", "hush-token", 1.0))
    assert "AKID" in shown
    assert "hush" not in shown


def source_for(clock, environ):
    timing = clock.timing()
    return credential_source(
        environ=environ,
        region="eu-west-1",
        http=HttpClient(environ={}, timeout_seconds=1, body_limit=1, now=timing.now),
        metadata=MetadataClient(url="http://127.0.0.1:9", timing=timing),
        timing=timing,
        observer=SilentObserver(),
    )


def test_keys_in_the_environment_come_first(clock):
    environ = {
        "AWS_ACCESS_KEY_ID": "AKID",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_SESSION_TOKEN": "t",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere",
    }
    source = source_for(clock, environ)
    assert isinstance(source, FixedCredentials)
    assert source.current() == Credentials("AKID", "s", "t")


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_half_a_key_is_refused(clock, name):
    with pytest.raises(ConfigurationError, match="only one"):
        source_for(clock, {name: "x"})


def test_a_token_file_without_a_role_is_refused(clock):
    with pytest.raises(ConfigurationError, match="AWS_ROLE_ARN"):
        source_for(clock, {"AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere"})


def test_a_named_source_that_fails_does_not_fall_through(clock):
    environ = {"AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere/token", "AWS_ROLE_ARN": "arn:aws:iam::1:role/r"}
    with pytest.raises(HostError, match="/nowhere/token"):
        source_for(clock, environ).current()


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.170.23/v1/credentials",
        "http://[fd00:ec2::23]/v1/credentials",
        "http://127.0.0.1:8080/x",
        "http://localhost/x",
        "https://anywhere.example/x",
    ],
)
def test_allowed_container_urls(url):
    assert container_url({"AWS_CONTAINER_CREDENTIALS_FULL_URI": url}) == url


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/x", "http://evil.example/x", "ftp://127.0.0.1/x", "nonsense", "https:///x"]
)
def test_container_urls_that_would_leak_the_token_are_refused(url):
    with pytest.raises(ConfigurationError, match="not allowed"):
        container_url({"AWS_CONTAINER_CREDENTIALS_FULL_URI": url})


def test_a_relative_uri_is_at_the_link_local_agent():
    assert container_url({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/x"}) == "http://169.254.170.2/v2/x"
