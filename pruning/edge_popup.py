"""Edge-popup: which weights to keep is learned, and the weights stay as they are (Ramanujan et al., arXiv 1911.13299)."""

import copy

import torch
from torch import Tensor, nn
from torch.func import functional_call

LEARNED, HELD = "scores.", "weights."  # before the names of what a state holds besides the network itself


class EdgePopup(nn.Module):
    """``network`` without all but the weights with the largest scores, and what is learned are the scores.

    Of each matrix exactly ``round(pruning_rate * N)`` weights are 0; the others act as they are, without rescaling. Scores are
    ranked by ``|s|``, as the reference has it, or, with ``by_value``, by ``s``, as the appendix of arXiv 2310.19470 has it. The step
    from ranks to the mask is straight-through: a score's gradient is dL/dw_eff * w, times sign(s) where |s| is ranked
    (arXiv 1911.13299, eq. 5 and 6). Scores start uniform in +- 1 / sqrt(columns of the matrix), as the reference's.

    ``learn_weights``: the weights are trained as well, by the same optimizer: the paper's "edge-popup + WD", which is no longer a
    mask of given weights. A state holds the network as it acts, so that whatever reads a checkpoint sees that, and the scores as
    ``scores.<name>``.
    """

    def __init__(
        self,
        network: nn.Module,
        pruning_rate: float,
        generator: torch.Generator,
        by_value: bool = False,
        learn_weights: bool = False,
    ):
        super().__init__()
        self.pruning_rate, self.by_value, self.learn_weights = pruning_rate, by_value, learn_weights
        self.scores = copy.deepcopy(network)
        with torch.no_grad():
            for score in self.scores.parameters():
                score.copy_((2 * torch.rand(score.shape, generator=generator) - 1) / score.shape[-1] ** 0.5)
        if learn_weights:
            self.weights = network
        self.held = [network]  # in a list: not to be trained, saved or moved as a part of this module

    @property
    def network(self) -> nn.Module:
        return self.held[0]

    def _apply(self, function, *given):
        super()._apply(function, *given)
        if not self.learn_weights:
            self.network._apply(function, *given)
        return self

    def mask(self) -> dict[str, Tensor]:
        """What acts now, ``{name: 0 or 1 as float}``, with the gradient of a rank in the place of its own."""
        masks = {}
        for name, score in self.scores.named_parameters():
            rank = score if self.by_value else score.abs()
            num_kept = score.numel() - round(self.pruning_rate * score.numel())
            largest = rank.detach().flatten().topk(num_kept, sorted=False).indices
            kept = torch.zeros_like(score).flatten().index_fill_(0, largest, 1.0).view_as(score)
            masks[name] = kept + (rank - rank.detach())
        return masks

    def effective(self) -> dict[str, Tensor]:
        """The weights of the network as it acts, ``{name: (out, in)}``."""
        mask = self.mask()
        weights = dict(self.network.named_parameters())
        return {name: (w if self.learn_weights else w.detach()) * mask[name] for name, w in weights.items()}

    def encode(self, x: Tensor) -> Tensor:
        return self.network.encode(x)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, as the network's."""
        return functional_call(self.network, self.effective(), (x,))

    def state_dict(self, *given, **named) -> dict[str, Tensor]:
        state = {name: weight.detach() for name, weight in self.effective().items()}
        state |= {LEARNED + name: score.detach() for name, score in self.scores.named_parameters()}
        if self.learn_weights:
            state |= {HELD + name: weight.detach() for name, weight in self.network.named_parameters()}
        return state

    def load_state_dict(self, state: dict[str, Tensor], *given, **named) -> None:
        own = {LEARNED + name: score for name, score in self.scores.named_parameters()}
        if self.learn_weights:
            own |= {HELD + name: weight for name, weight in self.network.named_parameters()}
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(state[name])
