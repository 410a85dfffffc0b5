"""The dense run on sparse parity."""

from configs.base import paper

config = paper("parity", "image_mlp")
