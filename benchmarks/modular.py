"""Epochs per second on modular addition: a whole run, against a textbook implementation and against the floor.

textbook  modules in the written order, masks in the forward pass, default AdamW, both evaluations every epoch
floor     the same matrix products including the lookup, the float64 softmax loss and its gradient, and one fused AdamW
          pass over as many weights: nothing else
run       a run as the scripts make it: recording, checkpoints, wandb offline

    python -m benchmarks.modular --model mlp
    python -m benchmarks.modular --model transformer --threads 1
"""

import argparse
import os

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.common import alternate, fused_pass, print_times, repeat, whole_run
from configs.base import MLPConfig, TransformerConfig
from experiments.build import build_model, build_split, set_threads_and_denormals


class TextbookMLP(nn.Module):
    """Embed each token, add, project in, relu, project out, unembed; every weight times its mask."""

    def __init__(self, config, num_classes):
        super().__init__()
        self.W_E = nn.Parameter(torch.randn(config.d_emb, config.p) / config.p**0.5)
        self.W_inproj = nn.Parameter(torch.randn(config.d_model, config.d_emb) / config.d_emb**0.5)
        self.W_outproj = nn.Parameter(torch.randn(config.d_emb, config.d_model) / config.d_model**0.5)
        self.W_U = nn.Parameter(torch.randn(config.d_emb, num_classes) / config.d_emb**0.5)
        self.masks = {name: torch.ones_like(weight) for name, weight in self.named_parameters()}

    def forward(self, x):
        W_E, W_inproj, W_outproj, W_U = (weight * self.masks[name] for name, weight in self.named_parameters())
        embedded = W_E[:, x[:, 0]].T + W_E[:, x[:, 1]].T
        hidden = F.relu(embedded @ W_inproj.T)
        return hidden @ W_outproj.T @ W_U


class TextbookTransformer(nn.Module):
    """Every token through every matrix; the answer is read at the last token; every weight times its mask."""

    def __init__(self, config, num_classes):
        super().__init__()
        d, m = config.d_model, config.d_mlp
        self.heads = config.num_heads
        for name, rows, columns, fan_in in (
            ("W_E", d, config.p, config.p), ("W_Q", d, d, d), ("W_K", d, d, d), ("W_V", d, d, d), ("W_O", d, d, d),
            ("W_in", m, d, d), ("W_out", d, m, d), ("W_U", d, num_classes, d),
        ):  # fmt: skip
            self.register_parameter(name, nn.Parameter(torch.randn(rows, columns) / fan_in**0.5))
        self.masks = {name: torch.ones_like(weight) for name, weight in self.named_parameters()}

    def forward(self, x):
        W_E, W_Q, W_K, W_V, W_O, W_in, W_out, W_U = (w * self.masks[name] for name, w in self.named_parameters())
        residual = W_E.T[x]
        q, k, v = (torch.stack((residual @ w.T).chunk(self.heads, -1), 1) for w in (W_Q, W_K, W_V))
        scores = q @ k.mT / q.shape[-1] ** 0.5
        causal = torch.ones(2, 2, dtype=torch.bool, device=x.device).triu(1)
        mixed = scores.masked_fill(causal, -torch.inf).softmax(-1) @ v
        residual = residual + mixed.transpose(1, 2).flatten(-2) @ W_O.T
        residual = residual + F.relu(residual @ W_in.T) @ W_out.T
        return residual[:, -1] @ W_U


def textbook_step(config, device="cpu"):
    """One epoch of the textbook implementation."""
    split = build_split(config).to(device)
    model = (TextbookMLP if config.kind == "mlp" else TextbookTransformer)(config, split.num_classes).to(device)
    model.masks = {name: mask.to(device) for name, mask in model.masks.items()}
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.lr, betas=config.betas, weight_decay=config.weight_decay
    )

    def step():
        optimizer.zero_grad()
        logits = model(split.train_x)
        loss = F.cross_entropy(logits.double(), split.train_y)
        loss.backward()
        optimizer.step()
        (logits.argmax(-1) == split.train_y).float().mean().item()
        with torch.no_grad():
            logits = model(split.test_x)
            F.cross_entropy(logits.double(), split.test_y).item()
            (logits.argmax(-1) == split.test_y).float().mean().item()

    return step


def floor_step(config):
    """One epoch of the bare arithmetic: the model's own products, the loss and one fused AdamW pass, each in its least form."""
    split = build_split(config)
    model = build_model(config, split)
    weights = list(model.parameters())
    x, update = model.encode(split.train_x), fused_pass(sum(weight.numel() for weight in weights), config.weight_decay)

    def step():
        loss = F.cross_entropy(model(x).double(), split.train_y)
        torch.autograd.grad(loss, weights)
        update()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=("mlp", "transformer"), default="mlp")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1, as in a run)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each takes its turn")
    parser.add_argument("--num_epochs", type=int, default=30_000, help="epochs of the whole run")
    parser.add_argument("--steps", type=int, default=500, help="epochs of textbook and floor in a round")
    args = parser.parse_args()
    os.environ.setdefault("WANDB_MODE", "offline")
    config = (MLPConfig if args.model == "mlp" else TransformerConfig)(threads=args.threads, device="cpu")
    set_threads_and_denormals(config)
    floor, textbook = floor_step(config), textbook_step(config)
    for step in (floor, textbook):
        repeat(step, 50)()
    steps = args.steps
    times = alternate(
        {"floor": repeat(floor, steps), "textbook": repeat(textbook, steps), "run": whole_run(config, args.num_epochs)},
        args.rounds,
    )
    print(f"{args.model}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print_times(times, "floor")


if __name__ == "__main__":
    main()
