"""The dense run on several operations of modular arithmetic at once."""

from configs.base import paper

config = paper("operations", "mlp")
