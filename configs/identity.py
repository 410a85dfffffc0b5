"""Which runs are the same: stored identities compared with those of configs, whose fields may have become more since."""

from dataclasses import fields
from typing import Any

from configs.base import DENSE, NOT_IDENTITY
from configs.ticket import TICKET

# {field: value}: what was true of every run before a field existed, whatever its default is today. Whoever adds a field to a config
# adds it here, or all runs from before are other runs.
BEFORE: dict[str, Any] = {}


def completed(identity: Any) -> Any:
    """A stored identity, a dense run's or a ticket's, with the fields that did not exist yet."""
    if not isinstance(identity, dict) or identity.get("kind") not in DENSE:
        return identity
    if "dense" not in identity:
        return _filled(identity, DENSE[identity["kind"]])
    options = _filled(identity.get("options", {}), TICKET[identity["kind"]], {*_names(DENSE[identity["kind"]])})
    return identity | {"dense": completed(identity["dense"]), "options": options}


def same_run(stored: Any, wanted: dict) -> bool:
    """Whether a stored identity is that of the run that is wanted."""
    return completed(stored) == wanted


def _names(cls: type) -> list[str]:
    return [field.name for field in fields(cls) if field.name not in NOT_IDENTITY]


def _filled(stored: dict, cls: type, without: set[str] = frozenset()) -> dict:
    return {name: BEFORE[name] for name in _names(cls) if name in BEFORE and name not in without} | stored
