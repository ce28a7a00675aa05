"""Reads settings from an environment and collects every problem, so that an operator sees them all at once."""

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

from vpc_cni.settings._setting import Setting, Standing, Unacceptable

T = TypeVar("T")
_SHOWN_MAX = 120
# Kubernetes sets these in every pod for every Service of its namespace, whatever the Service is called.
_SERVICE_LINK = re.compile(r".*_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_(TCP|UDP|SCTP)(_.*)?)?)")


class EnvironmentReader:
    """One pass over one environment.

    ``problems`` are lines about values that cannot be used, ``notices`` lines about values that have no effect,
    ``values`` what each variable that was read came to. Not for use by several threads.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []
        self.notices: list[str] = []
        self.values: dict[str, object] = {}

    def read(self, setting: Setting[T]) -> T:
        """Return the setting's value, or its default's after noting a problem."""
        value = self._value(setting, self._text(setting))
        self.values[setting.name] = value
        return value

    def read_optional(self, setting: Setting[T]) -> T | None:
        """Return the value of a setting whose default is "not set"."""
        text = self._environ.get(setting.name, "")
        if text:
            return self.read(setting) if self.accepts(setting, text) else None
        self.values[setting.name] = None
        return None

    def accepts(self, setting: Setting[object], text: str) -> bool:
        """Whether ``text`` is a value of the setting; notes a problem when it is not."""
        try:
            setting.kind.parse(text)
        except Unacceptable as err:
            self.problem(setting, f"use {err.args[0] if err.args else setting.kind.allowed}")
            return False
        return True

    def problem(self, setting: Setting[object], advice: str) -> None:
        """Note that the variable cannot stay as it is, and what to do."""
        line = f"{self._shown(setting)}: {advice}"
        if line not in self.problems:
            self.problems.append(line)

    def notice_without_effect(self, settings: Iterable[Setting[object]]) -> None:
        """Check the variables that are accepted without effect; note those that ask for what is not done."""
        for setting in settings:
            text = self._environ.get(setting.name, "")
            if not text or not self.accepts(setting, text) or setting.everybody_sets_it:
                continue
            if setting.kind.parse(text) not in _harmless(setting):
                self.notices.append(f"{self._shown(setting)} has no effect: {setting.why}")

    def notice_unknown(self, known: Iterable[str], prefix: str) -> None:
        """Note variables with our prefix that do not exist: most likely a typing mistake."""
        names = set(known)
        for name in sorted(self._environ):
            if name.startswith(prefix) and name not in names and not _SERVICE_LINK.fullmatch(name):
                close = difflib.get_close_matches(name, names, n=1)
                meant = f"; did you mean {close[0]}?" if close else ""
                self.notices.append(f"{name} is no setting of this release and has no effect{meant}")

    def _text(self, setting: Setting[object]) -> str:
        text = self._environ.get(setting.name)
        if text is None or (text == "" and not setting.kind.keeps_empty):
            return setting.default
        return text

    def _value(self, setting: Setting[T], text: str) -> T:
        if not self.accepts(setting, text):
            return setting.kind.parse(setting.default)
        value = setting.kind.parse(text)
        if setting.built and value not in setting.built:
            self.problem(setting, _refusal(setting))
        return value

    def _shown(self, setting: Setting[object]) -> str:
        text = self._environ.get(setting.name)
        if text is None:
            return f"{setting.name} is not set"
        return f"{setting.name}={json.dumps(text if len(text) <= _SHOWN_MAX else text[:_SHOWN_MAX] + '…')}"


def _refusal(setting: Setting[object]) -> str:
    built = " or ".join(_as_text(value) for value in setting.built)
    remove = ", or remove the variable" if _default_is_built(setting) else ""
    return f"{setting.why}; set it to {built}{remove}"


def _default_is_built(setting: Setting[object]) -> bool:
    return setting.kind.parse(setting.default) in setting.built


def _harmless(setting: Setting[object]) -> tuple[object, ...]:
    """Values that need no notice: what this release does anyway, else what manifests usually say."""
    usual = (text for text in (setting.default, setting.manifest) if text)
    return setting.built or tuple(setting.kind.parse(text) for text in usual)


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def effect_free(settings: Iterable[Setting[object]]) -> list[Setting[object]]:
    """Return the settings that the agent accepts without acting on them, in the given order. Pure."""
    return [each for each in settings if each.standing is Standing.NO_EFFECT and each.concerns_agent]
