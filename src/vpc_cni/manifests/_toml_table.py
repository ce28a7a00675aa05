"""A table of a TOML file, read by name and strictly. Pure."""

from datetime import date, datetime
from typing import Any

from vpc_cni.errors import CallerError, ConfigurationError
from vpc_cni.manifests.versions import (
    AddonVersion,
    KubernetesVersion,
    parse_addon_version,
    parse_kubernetes_version,
)


class Table:
    """One table of the file, read by name; messages say which table. Fields that nobody asked for are errors."""

    def __init__(self, where: str, content: object) -> None:
        if not isinstance(content, dict):
            raise ConfigurationError(f"{where} is no table")
        self.where = where
        self._content: dict[str, Any] = content
        self._asked: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._content

    def take(self, name: str, kind: type | tuple[type, ...], what: str, default: object = None) -> Any:
        self._asked.add(name)
        value = self._content.get(name, default)
        if not isinstance(value, kind):
            raise ConfigurationError(f"{self.where}: {name} must be {what}")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        return str(self.take(name, str, "a text", default))

    def texts(self, name: str) -> tuple[str, ...]:
        items = self.take(name, list, "a list of texts", [])
        if not all(isinstance(item, str) for item in items):
            raise ConfigurationError(f"{self.where}: {name} must be a list of texts")
        return tuple(items)

    def flag(self, name: str, default: bool | None = None) -> bool:
        return bool(self.take(name, bool, "true or false", default))

    def some_texts(self, name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Like ``texts``, with at least one of them unless there is a default; none empty, none twice."""
        items = self._distinct(name) if name in self else default
        if not items or not all(items):
            raise ConfigurationError(f"{self.where}: {name} must be a list of at least one text")
        return items

    def numbers(self, name: str) -> tuple[int, ...]:
        items = self.take(name, list, "a list of numbers", [])
        if not all(type(item) is int and item > 0 for item in items):
            raise ConfigurationError(f"{self.where}: {name} must be a list of numbers from 1 on")
        return tuple(sorted(items))

    def day(self, name: str) -> date:
        value: date = self.take(name, date, "a date such as 2024-02-15")
        return value.date() if isinstance(value, datetime) else value

    def text_table(self, name: str) -> dict[str, str]:
        table = self.take(name, dict, "a table of texts", {})
        if not all(isinstance(value, str) for value in table.values()):
            raise ConfigurationError(f"{self.where}: {name} must be a table of texts")
        return dict(table)

    def names(self) -> list[str]:
        return list(self._content)

    def table(self, name: str) -> "Table":
        return Table(f"{self.where}: {name}", self.take(name, dict, "a table"))

    def tables(self, name: str) -> list["Table"]:
        items = self.take(name, list, "a list of tables", [])
        return [Table(f"{self.where}: {name} {number}", item) for number, item in enumerate(items, 1)]

    def addon_version(self, name: str) -> AddonVersion:
        return self.version_of(self.text(name))

    def kubernetes_version(self, name: str) -> KubernetesVersion:
        return self.kubernetes_of(self.text(name))

    def addon_versions(self, name: str) -> tuple[AddonVersion, ...]:
        return tuple(map(self.version_of, self._distinct(name)))

    def kubernetes_versions(self, name: str) -> tuple[KubernetesVersion, ...]:
        return tuple(sorted(map(self.kubernetes_of, self._distinct(name))))

    def _distinct(self, name: str) -> tuple[str, ...]:
        items = self.texts(name)
        if len(set(items)) < len(items):
            raise ConfigurationError(f"{self.where}: {name} names something twice")
        return items

    def version_of(self, text: str) -> AddonVersion:
        try:
            return parse_addon_version(text)
        except CallerError as err:
            raise ConfigurationError(f"{self.where}: {err.message}") from err

    def kubernetes_of(self, text: str) -> KubernetesVersion:
        try:
            return parse_kubernetes_version(text)
        except CallerError as err:
            raise ConfigurationError(f"{self.where}: {err.message}") from err

    def finish(self) -> None:
        """Refuse fields that mean nothing: most likely typing mistakes."""
        unknown = sorted(set(self._content) - self._asked)
        if unknown:
            raise ConfigurationError(f"{self.where}: unknown field {', '.join(unknown)}")
