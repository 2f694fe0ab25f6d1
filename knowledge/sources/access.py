"""Who may see a file: the source's default, the nearest `.access.yaml`, and what the file itself says."""

import fnmatch
from dataclasses import dataclass
from typing import Any

from knowledge.contracts import AccessRule
from signalbox.errors import UserFault

ACCESS_FILE = ".access.yaml"
_EVERYONE = "everyone"
NOBODY = AccessRule()


def narrow(rule: AccessRule, further: AccessRule | None) -> AccessRule:
    """Those of `rule` that `further` also allows, without those that either denies.

    Labels are unions of subjects, so "in both groups" cannot be said; what cannot be said is not allowed.
    """
    if further is None:
        return rule
    if _EVERYONE in further.allow:
        allow = rule.allow
    elif _EVERYONE in rule.allow:
        allow = further.allow
    else:
        allow = rule.allow & further.allow
    return AccessRule(allow=allow, deny=rule.deny | further.deny)


@dataclass(frozen=True, slots=True)
class AccessFile:
    """The rules of one `.access.yaml`: globs relative to its folder, the first that fits counts."""

    rules: tuple[tuple[str, AccessRule], ...]

    def rule_for(self, path: str) -> AccessRule | None:
        """The rule for a path relative to the file's folder."""
        name = path.rsplit("/", maxsplit=1)[-1]
        for pattern, rule in self.rules:
            if fnmatch.fnmatchcase(path, pattern) or ("/" not in pattern and fnmatch.fnmatchcase(name, pattern)):
                return rule
        return None


def read_access_file(content: str, where: str) -> AccessFile:
    """The rules in `glob: [subjects]` or `glob: {allow: […], deny: […]}` form; raises `UserFault` when malformed."""
    import yaml

    try:
        loaded: Any = yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise UserFault(f"{where!r} is not valid YAML.", hint="Correct it; nothing was ingested.") from error
    if not isinstance(loaded, dict):
        raise UserFault(f"{where!r} must map globs to subjects.", hint='Example: "salaries/*": [group:people]')
    return AccessFile(tuple((str(glob), _rule(value, where)) for glob, value in loaded.items()))


def read_subjects(text: str, where: str) -> frozenset[str]:
    """The subjects in a comma-separated list; raises `UserFault` when one is malformed."""
    return _subjects([name.strip() for name in text.split(",") if name.strip()], where)


def _rule(value: Any, where: str) -> AccessRule:
    if isinstance(value, list | str):
        value = {"allow": value}
    if not isinstance(value, dict) or not set(value) <= {"allow", "deny"}:
        raise UserFault(f"{where!r} has a rule that is neither a list of subjects nor allow/deny.")
    return AccessRule(allow=_subjects(value.get("allow"), where), deny=_subjects(value.get("deny"), where))


def _subjects(value: Any, where: str) -> frozenset[str]:
    names = [value] if isinstance(value, str) else value or []
    for name in names:
        if not isinstance(name, str) or (name != _EVERYONE and not name.startswith(("user:", "group:"))):
            raise UserFault(
                f"{where!r} names {name!r}, which is no subject.", hint="Write everyone, user:NAME or group:NAME."
            )
    return frozenset(names)
