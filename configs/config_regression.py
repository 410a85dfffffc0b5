"""The dense run on polynomial regression."""

from configs.base import paper

config = paper("regression", "image_mlp")
