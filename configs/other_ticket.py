"""The ticket that another one takes its mask from."""

import ast
from pathlib import Path

from common.errors import UserError
from configs.base import PARTS, Dense

OWN = ("mask_from", "control", "dense_run")  # of the one that asks


def other_ticket(ticket: Dense, mask_from: str) -> Dense:
    """What ``mask_from`` names: the ticket in a folder, or how it differs from ``ticket``, ``seed=1,fn_name=subtract``.

    Raises UserError where it names none.
    """
    own = dict.fromkeys(OWN) | {"control_per_matrix": False, "rewind_to": 0}
    if "=" in mask_from and not Path(mask_from).exists():
        different = dict(part.split("=", 1) if "=" in part else (part, "") for part in mask_from.split(","))
        if unknown := [name for name in different if name not in ticket.as_dict() or name in (*PARTS, *own)]:
            raise UserError(f"mask_from {mask_from}: {unknown[0]} is no field in which a ticket with a mask can differ")
        other = ticket.but(**own | {name: _value(text) for name, text in different.items()})
    else:
        from configs.load import stored_config  # which needs this module

        other = stored_config(mask_from)
        if not (Path(mask_from) / "mask.pth").exists():
            raise UserError(f"mask_from {mask_from} is no ticket with a mask")
    if not other.parents() or not other.use_mask or other.learn:
        raise UserError(f"mask_from {mask_from} is no ticket with a mask")
    this, where = ticket.but(**own), ("prune_at", "memorization_epoch", "generalization_epoch")
    if other.identity(0) == this.identity(0) and all(getattr(other, name) == getattr(this, name) for name in where):
        raise UserError(f"mask_from {mask_from} is this very ticket; leave it out")
    return other


def _value(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
