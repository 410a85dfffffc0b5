"""Small networks for the tests, and the same ones as a population."""

import torch
from torch import nn

from common.randomness import generator
from models import MODELS

SIZES = {
    "mlp": {"p": 7, "num_classes": 7, "d_emb": 9, "d_model": 6, "num_layers": 1},
    "transformer": {"p": 7, "num_classes": 7, "d_model": 8, "d_mlp": 10, "num_heads": 2, "num_layers": 2},
    "image": {"num_pixels": 11, "num_classes": 5, "d_model": 6, "num_layers": 1},
}
KINDS = tuple(SIZES)


def build(kind: str, seed: int = 0, **sizes) -> nn.Module:
    """A network at its init, in float32; ``sizes`` replace the ones in SIZES."""
    fields = SIZES[kind] | sizes
    num_inputs, num_classes = fields.pop("num_pixels" if kind == "image" else "p"), fields.pop("num_classes")
    model = MODELS["image_mlp" if kind == "image" else kind](**fields)
    return model.build(num_inputs, num_classes, generator(seed, "init"))


def stack(models: list[nn.Module]) -> nn.Module:
    """The first of the models, its parameters now those of all models along a leading axis."""
    named = [dict(model.named_parameters()) for model in models]
    for name, weight in named[0].items():
        weight.data = torch.stack([weights[name].detach() for weights in named])
    return models[0]


def weights_of(model: nn.Module) -> dict[str, torch.Tensor]:
    """Copies of the weights."""
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}
