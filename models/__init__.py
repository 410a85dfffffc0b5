"""What learns: one file a network. A new network is a class in a file of its own, and a place in this list."""

from models.mlp import MLP, ImageMLP
from models.model import Model
from models.transformer import Transformer

MODELS: dict[str, type[Model]] = {model.name: model for model in (MLP, ImageMLP, Transformer)}
