"""From a config to data, model, loss and device: what training needs, before it is known which run it is."""

from pathlib import Path

import torch
from torch import Tensor, nn

from configs.base import RunConfig
from data.mnist import mnist_split
from data.modular import modular_split
from data.split import Split
from errors import UserError
from models.mlp import ImageMLP, ModularMLP
from models.transformer import ModularTransformer
from randomness import generator
from training.checkpoints import load_checkpoint
from training.losses import cross_entropy, squared_error

LOSSES = {"mlp": cross_entropy, "transformer": cross_entropy, "mnist": squared_error}


def build_split(config: RunConfig) -> Split:
    """The training and test set, on the CPU."""
    if config.kind == "mnist":
        return mnist_split(
            config.train_size, config.seed, config.balanced, config.original_split, data_root=config.data_root
        )
    return modular_split(config.p, config.fn_name, config.frac_train, config.is_symmetric_input, config.seed)


def build_model(config: RunConfig, split: Split) -> nn.Module:
    """The model at its init, on the CPU, drawn from the seed."""
    shared = {name: getattr(config, name) for name in ("d_model", "num_layers", "act_type", "weight_scale")}
    shared |= {"num_classes": split.num_classes, "generator": generator(config.seed, "init")}
    if config.kind == "mnist":
        return ImageMLP(num_pixels=split.train_x.shape[-1], **shared)
    if config.kind == "mlp":
        return ModularMLP(p=config.p, d_emb=config.d_emb, **shared)
    return ModularTransformer(p=config.p, d_mlp=config.d_mlp, num_heads=config.num_heads, **shared)


def choose_device(config: RunConfig) -> torch.device:
    """The device that the config names. Raises UserError where it is not there."""
    name = config.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        if torch.device(name).type not in ("cpu", "cuda"):
            raise RuntimeError("only cpu and cuda are supported")
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {name} is not there ({str(error).splitlines()[0]}); use --device cpu") from None


def use_cpu(config: RunConfig) -> None:
    """Set the number of threads, and take denormal floats for 0.

    Once a network fits its training set, gradients of wrong classes are so small that many are denormal, and a product of such
    numbers takes some six times as long. Threads that exist already would not follow, so this comes before the first product.
    """
    torch.set_num_threads(config.threads)
    torch.set_flush_denormal(True)


def load_weights(path: Path, model: nn.Module) -> dict[str, Tensor]:
    """The weights in a checkpoint. Raises UserError where they are not those of such a model, or not finite."""
    weights = load_checkpoint(path)["model"]
    wanted = {name: weight.shape for name, weight in model.state_dict().items()}
    if {name: weight.shape for name, weight in weights.items()} != wanted:
        raise UserError(f"{path} holds another model than its run's config.json says; train that run with --rerun")
    if not all(bool(weight.isfinite().all()) for weight in weights.values()):
        raise UserError(f"{path} holds weights that are not finite; train that run with --rerun")
    return weights
