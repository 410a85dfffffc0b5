"""Why is a ticket early: because a few waves are strong at its start?

A dense network that adds ends with about six frequencies k: its neurons see a number a as waves cos(2 pi k a / p + phase). What they
see at the start is the product W_inproj W_E. Does a network generalize early as soon as few waves are strong there, whoever made them
so: the ticket's mask, a mask made without training, or no mask at all?
"""

from itertools import pairwise

import pandas
import torch
from torch import Tensor

from common.waves import Waves, project, strongest, waves_of
from configs.base import MLPConfig, TransformerConfig
from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig
from figures.dots import Dots
from models.starts import StartSetting, input_product, with_share
from pruning.controls import Setting, Start
from pruning.scores import Network, Scores, toward
from reporting.columns import brief_columns, median_of, t_gen
from reporting.results import found_in, records
from reporting.tables import DENSE, cells_of, dot_of, dots_of, in_order, seeds_table, table, threshold_of, with_dense
from reporting.verdicts import Verdict, claim, epochs_of, how_many, judged, median_of_setting, runs_of

INPUTS, OUTPUTS = ("W_E", "W_inproj"), ("W_outproj", "W_U")
NUMBER = 6  # of waves

# ---- what a ticket's mask does, taken apart: controls


def only(setting: Setting, names: tuple[str, ...]) -> Start:
    mask = {name: kept if name in names else torch.ones_like(kept) for name, kept in setting.mask.items()}
    return Start(mask, setting.init)


def input_masks(setting: Setting) -> Start:
    """The ticket's masks on W_E and W_inproj alone."""
    return only(setting, INPUTS)


def output_masks(setting: Setting) -> Start:
    """The ticket's masks on W_outproj and W_U alone."""
    return only(setting, OUTPUTS)


def zeros_may_grow(setting: Setting) -> Start:
    """The pruned weights begin at 0, and no mask is held."""
    return Start(None, setting.ticket())


def input_zeros_may_grow(setting: Setting) -> Start:
    """The same of W_E and W_inproj alone."""
    return Start(None, setting.init | {name: setting.ticket()[name] for name in INPUTS})


def seen_as(setting: Setting, product: Tensor) -> Start:
    """The dense init with W_E changed as little as possible so that W_inproj W_E is ``product``."""
    into = setting.init["W_inproj"].double()
    change = torch.linalg.pinv(into) @ (product.double() - into @ setting.init["W_E"].double())
    embedding = setting.init["W_E"] + change.to(setting.init["W_E"].dtype)
    return Start(None, setting.init | {"W_E": embedding})


def keys_of(setting: Setting) -> Tensor:
    """The planes of the frequencies that the dense run ends with."""
    return strongest(input_product(setting.weights), setting.waves, NUMBER)


def tickets_product(setting: Setting) -> Start:
    """No mask; the neurons see the numbers as the ticket's do."""
    return seen_as(setting, input_product(setting.ticket()))


def tickets_keys(setting: Setting) -> Start:
    """No mask; of what the ticket's neurons see only the frequencies that the dense run ends with."""
    return seen_as(setting, project(input_product(setting.ticket()), keys_of(setting)))


def all_but_tickets_keys(setting: Setting) -> Start:
    """No mask; what the ticket's neurons see without these frequencies."""
    product = input_product(setting.ticket()).double()
    return seen_as(setting, product - project(product, keys_of(setting)))


# ---- masks that are made at the init, without training: pruners


def planes_for(network: Network, numbers: list[int]) -> Tensor:
    return network.waves.planes[[number % len(network.waves.planes) for number in numbers]]


def mask_of_random_waves(network: Network, generator: torch.Generator) -> Scores:
    """As the pruner ``waves``, of frequencies drawn at random."""
    return toward(
        network, planes_for(network, torch.randperm(len(network.waves.planes), generator=generator)[:NUMBER].tolist())
    )


def mask_of_random_planes(network: Network, generator: torch.Generator) -> Scores:
    """The same of random planes."""
    drawn = torch.randn(network.waves.planes.shape[-1], 2 * NUMBER, generator=generator, dtype=torch.float64)
    return toward(network, torch.linalg.qr(drawn).Q.T.unflatten(0, (NUMBER, 2)))


def mask_of_noise(network: Network, generator: torch.Generator) -> Scores:
    """Random scores, for the input matrices alone."""
    return {name: torch.rand(weight.shape, generator=generator) for name, weight in network.prunable.items()}


mask_of_random_waves.matrices = mask_of_random_planes.matrices = mask_of_noise.matrices = INPUTS

# ---- other starts


def random_waves(setting: StartSetting) -> dict[str, Tensor]:
    """As the start ``waves``, of frequencies drawn at random."""
    planes = setting.waves.planes
    chosen = planes[torch.randperm(len(planes), generator=setting.generator)[: setting.number]]
    return setting.init | {"W_E": with_share(setting.init["W_E"], chosen, setting.share)}


def adjacent_waves(setting: StartSetting) -> dict[str, Tensor]:
    """The same of frequencies that follow each other."""
    planes = setting.waves.planes
    first = int(torch.randint(len(planes) - setting.number, (), generator=setting.generator))
    return setting.init | {
        "W_E": with_share(setting.init["W_E"], planes[first : first + setting.number], setting.share)
    }


def waves_of_addition(setting: StartSetting) -> dict[str, Tensor]:
    """Waves of the additive group, whatever the operation is."""
    return waves_of_group(setting, waves_of(torch.arange(setting.init["W_E"].shape[1]), setting.init["W_E"].shape[1]))


def waves_of_multiplication(setting: StartSetting) -> dict[str, Tensor]:
    """Waves of the multiplicative group of 67, whatever the operation is."""
    powers = torch.tensor([pow(2, exponent, 67) for exponent in range(66)])  # 2 is a primitive root
    return waves_of_group(setting, waves_of(powers, 67))


def waves_of_group(setting: StartSetting, waves: Waves) -> dict[str, Tensor]:
    planes = strongest(input_product(setting.init), waves, setting.number)
    return setting.init | {"W_E": with_share(setting.init["W_E"], planes, setting.share)}


# ---- the runs

TICKET, WAVES, PLANES = "the ticket", "start of six waves", "start of six random planes"
MASK = "mask at the init, of six waves"
APART = {
    TICKET: {},
    "its masks of the input matrices alone": {"control": input_masks},
    "its masks of the output matrices alone": {"control": output_masks},
    "pruned weights begin at 0 and may grow": {"control": zeros_may_grow},
    "pruned input weights begin at 0 and may grow": {"control": input_zeros_may_grow},
    "no mask, sees what the ticket sees": {"control": tickets_product},
    "no mask, of that only the dense run's frequencies": {"control": tickets_keys},
    "no mask, of that all but these frequencies": {"control": all_but_tickets_keys},
}
AT_INIT = {"pruner": "waves", "prune_at": "init"}
MASKS = {
    MASK: AT_INIT,
    "the same, frequencies at random": AT_INIT | {"pruner": mask_of_random_waves},
    "the same, random planes": AT_INIT | {"pruner": mask_of_random_planes},
    "the same, noise": AT_INIT | {"pruner": mask_of_noise},
    "the same, shuffled in each matrix": AT_INIT | {"control": "shuffled"},
    "the same, on another init": AT_INIT | {"control": "reinit"},
}
NO_MASKS = [name for name in MASKS if name.endswith(("planes", "noise", "matrix", "another init"))]
COUNTS = {f"mask of {count} waves": AT_INIT | {"mask_waves": count} for count in (2, 3, 4, 5, 8, 12, 33)}
RATES = {
    f"mask of six waves, {rate:.0%} removed".replace("%", " %"): AT_INIT | {"pruning_rate": rate}
    for rate in (0.2, 0.4, 0.8, 0.9)
}
STARTS = {
    WAVES: {"start": "waves"},
    "start of six waves, frequencies at random": {"start": random_waves},
    "start of six waves, frequencies that follow each other": {"start": adjacent_waves},
    PLANES: {"start": "random_planes"},
}
DOSES = (0.25, 0.3, 0.4, 0.5, 0.6, 0.8)
DOSE = {f"share {share:g} in six waves": {"start": "waves", "wave_share": share} for share in DOSES}
DOSE |= {
    f"share {share:g} in six random planes": {"start": "random_planes", "wave_share": share} for share in (0.4, 0.8)
}
START_COUNTS = {f"start of {count} waves": {"start": "waves", "waves": count} for count in (1, 2, 3, 4, 8, 12, 33)}
BOTH = {DENSE: {}, WAVES: {"start": "waves"}}
READS = {"seeds": (0, 1, 2), "reads": ("waves_", "dense waves_")}
STOPS = {"retrain_num_epochs": 6_000, "retrain_stop_after_gen": True}


def data(**given) -> dict:
    """Dense runs on less data or with another modulus."""
    return {"base": MLPConfig(num_epochs=10_000, stop_after_gen=True, **given), "settings": BOTH}


GROUPS = {
    "waves of addition": {"start": waves_of_addition},
    "waves of multiplication": {"start": waves_of_multiplication},
}


# {what the dense run had done by then: the epochs of its masks}, at the paper's setting
EFFECTS = {"memorized": (2_000, 6_000, 10_000), "generalized": (24_000, 26_000, 28_000)}
HELD, FREE = "mask of epoch {:,}, held", "mask of epoch {:,}, its start alone"
TWO_EFFECTS = {
    name.format(epoch): {"prune_at": str(epoch)} | change
    for epochs in EFFECTS.values()
    for epoch in epochs
    for name, change in ((HELD, {}), (FREE, {"control": zeros_may_grow}))
}
FAST = {"retrain_lr": 1e-2, "retrain_weight_decay": 3.0, "retrain_num_epochs": 3_000, "retrain_stop_after_gen": True}


def group(fn_name: str) -> Sweep:
    return Sweep(
        MLPConfig(fn_name=fn_name, num_epochs=10_000, stop_after_gen=True),
        {DENSE: {}} | GROUPS,
        **READS,
    )


runs = {
    "masks": Sweep(MLPTicketConfig(**STOPS), APART | MASKS | COUNTS | RATES, **READS),
    "starts": Sweep(MLPConfig(num_epochs=6_000, stop_after_gen=True), STARTS | DOSE | START_COUNTS, **READS),
    "two effects": Sweep(MLPTicketConfig(**FAST), TWO_EFFECTS, seeds=(0, 1, 2), reads=("waves_", "mask_test_acc")),
    "a * b": group("multiply"),
    "a - b": group("subtract"),
    "30 % of the pairs": Sweep(**data(frac_train=0.3), **READS),
    "25 % of the pairs": Sweep(**data(frac_train=0.25), **READS),
    "p = 97": Sweep(**data(p=97), **READS),
    "Transformer": Sweep(
        TransformerConfig(num_epochs=5_000, stop_after_gen=True),
        {WAVES: {"start": "waves"}, PLANES: {"start": "random_planes"}},
        seeds=(0, 1, 2),
        reads=("waves_", 0.5),
    ),
}
LESS_DATA = ("30 % of the pairs", "25 % of the pairs")
RIGHT_GROUP = {"a - b": "waves of addition", "a * b": "waves of multiplication"}
WRONG_GROUP = {"a - b": "waves of multiplication", "a * b": "waves of addition"}

# ---- the verdicts: their rules were written before the runs


@claim("A dense network that starts from six waves generalizes within some hundred epochs.", rank=1)
def few_waves_are_enough(rows) -> Verdict:
    """The MLP that starts from six waves, without a mask, is compared with the dense network of the same seeds. Two parts: its median
    t_gen is at most a tenth of the dense network's; and no start of six random planes generalizes."""
    dense, own = median_of_setting(with_dense(rows["masks"]), DENSE), median_of_setting(rows["starts"], WAVES)
    planes = how_many(rows["starts"], PLANES)
    told = f"{epochs_of(rows['starts'], WAVES)} against {epochs_of(with_dense(rows['masks']), DENSE)} epochs. "
    told += f"Of the starts of random planes {planes} of {len(runs_of(rows['starts'], PLANES))} generalize."
    return judged([own <= dense / 10, planes == 0]), told


@claim("A mask that is made at the init from six waves, without training, is a ticket.", rank=2)
def mask_without_training(rows) -> Verdict:
    """Two parts: the mask that is made at the init from six waves has a median t_gen of at most twice the ticket's; and none of its
    controls (random planes, noise, the mask shuffled or on another init) generalizes in more than half of the seeds."""
    own = rows["masks"]
    numbers = {name: how_many(own, name) for name in NO_MASKS}
    told = f"{epochs_of(own, MASK)} against the ticket's {epochs_of(own, TICKET)} epochs. "
    told += f"Of its controls {sum(numbers.values())} of {sum(len(runs_of(own, name)) for name in numbers)} runs generalize."
    right = median_of_setting(own, MASK) <= 2 * median_of_setting(own, TICKET)
    return judged([right, all(2 * numbers[name] <= len(runs_of(own, name)) for name in numbers)]), told


@claim("The more of the embedding lies in six waves, the sooner the network generalizes.", rank=3)
def the_more_the_sooner(rows) -> Verdict:
    """We compare the medians of t_gen for shares of 0.3, 0.4, 0.5, 0.6, 0.8 and 1 of the embedding's power in six waves. It holds if
    each is smaller than the one before."""
    names = [f"share {share:g} in six waves" for share in DOSES[1:]] + [WAVES]
    medians = [median_of_setting(rows["starts"], name) for name in names]
    falls = all(later < earlier for earlier, later in pairwise(medians))
    return judged([falls]), f"{', '.join(epochs_of(rows['starts'], name) for name in names)} epochs."


@claim("A ticket's start works through the frequencies that its dense run ends with.", rank=4)
def tickets_work_through_waves(rows) -> Verdict:
    """No mask is held; the embedding is changed so that the neurons see what the ticket's see. Two parts: with only the frequencies
    that the dense run ends with, the median t_gen is at most half of that with all of it; without these frequencies, at most one seed
    generalizes."""
    own = rows["masks"]
    whole, keys, rest = (name for name in APART if name.startswith("no mask"))
    told = f"All that the ticket sees: {epochs_of(own, whole)} epochs; only these frequencies: {epochs_of(own, keys)}; "
    told += f"without them {how_many(own, rest)} of {len(runs_of(own, rest))} seeds generalize."
    return judged([median_of_setting(own, keys) <= median_of_setting(own, whole) / 2, how_many(own, rest) <= 1]), told


@claim("The waves must be those of the operation's own group.", rank=5)
def the_right_group(rows) -> Verdict:
    """For an operation the claim is right if the start of waves of its own group has at most a tenth of the dense network's median
    t_gen, and that of the other group more than the dense network's. It is asked of a - b and a * b."""
    answers, told = [], []
    for part, right in RIGHT_GROUP.items():
        own, wrong = rows[part], WRONG_GROUP[part]
        dense = min(median_of_setting(own, DENSE), own["budget"].max())  # where it has none, its budget
        answers.append(median_of_setting(own, right) <= dense / 10 and median_of_setting(own, wrong) >= dense)
        told.append(
            f"{part}: dense {epochs_of(own, DENSE)}, {right} {epochs_of(own, right)}, {wrong} {epochs_of(own, wrong)}"
        )
    return judged(answers), f"{'; '.join(told)}."


@claim("From six waves, networks generalize on data that are too few for the dense network.", rank=6)
def less_data(rows) -> Verdict:
    """At a fraction of the pairs the claim is right if the dense network generalizes in no seed and the start of six waves in all. It
    is asked of 30 and 25 %."""
    answers, told = [], []
    for part in LESS_DATA:
        counts = [how_many(rows[part], name) for name in BOTH]
        answers.append(counts == [0, len(runs_of(rows[part], WAVES))])
        told.append(f"{part}: dense {counts[0]}, six waves {counts[1]}")
    return judged(answers), f"Seeds of three that generalize: {'; '.join(told)}."


@claim(
    "Zeros that stay help where the mask is of a network that generalizes, and harm where it only memorizes.", rank=8
)
def two_effects(rows) -> Verdict:
    """Tickets at the faster setting. A mask of the dense run is right if it is held with a smaller median t_gen than its start has
    without it, for the epochs 24,000 to 28,000, and with a larger one for the epochs 2,000 to 10,000. It holds if all six masks are
    right, and in part if some are."""
    own, answers, told = rows["two effects"], [], []
    for done, epochs in EFFECTS.items():
        for epoch in epochs:
            held, free = HELD.format(epoch), FREE.format(epoch)
            later = median_of_setting(own, held) - median_of_setting(own, free)
            answers.append(later > 0 if done == "memorized" else later < 0)
            told.append(f"{epoch:,}: {epochs_of(own, held)} against {epochs_of(own, free)}")
    return judged(answers), f"Held, against its start alone, by the mask's epoch: {'; '.join(told)}."


@claim("That pruned weights stay at 0 helps besides.", rank=7)
def zeros_help(rows) -> Verdict:
    """The ticket is compared with the same start without its mask, so that pruned weights may grow. It holds if the ticket's median
    t_gen is at most three quarters of that."""
    own, free = rows["masks"], "pruned weights begin at 0 and may grow"
    right = median_of_setting(own, TICKET) <= 0.75 * median_of_setting(own, free)
    return judged([right]), f"{epochs_of(own, TICKET)} against {epochs_of(own, free)} epochs."


def tables(rows) -> dict[str, str]:
    masks, starts = with_dense(rows["masks"]), rows["starts"]
    share = median_of("waves_strongest", 2, "share of the six strongest waves")
    level = threshold_of(masks)
    columns = brief_columns(level) | share
    shown = {
        "masks": (masks, [DENSE, *APART]),
        "at_init": (masks, [TICKET, *MASKS]),
        "starts": (starts, [*STARTS]),
        "dose": (starts, [*DOSE, WAVES]),
        "counts": (masks, [*COUNTS, MASK]),
        "start_counts": (starts, [*START_COUNTS, WAVES]),
        "rates": (masks, [*RATES, MASK]),
    }
    own = {}
    for name, (part, names) in shown.items():
        own[name] = seeds_table(in_order(part[part["setting"].isin(names)], names), columns)
    for name, parts in (("groups", [*RIGHT_GROUP]), ("data", [*LESS_DATA, "p = 97"])):
        lines = [
            [f"{part}: {setting}", *cells] for part in parts for setting, cells in cells_of(rows[part], columns).items()
        ]
        own[name] = table(["setting", *columns], lines)
    effects = brief_columns(level) | share | median_of("mask_test_acc", 2, "test acc of the dense run")
    own["effects"] = seeds_table(rows["two effects"], effects)
    own["transformer"] = seeds_table(
        rows["Transformer"], t_gen(0.5) | brief_columns(threshold_of(rows["Transformer"])) | share
    )
    return own


def pictures(rows) -> dict[str, Dots]:
    masks, starts = with_dense(rows["masks"]), rows["starts"]
    every = pandas.concat([masks, starts])
    names = [DENSE, TICKET, WAVES, MASK, PLANES, "the same, random planes"]
    groups = {"tickets": [TICKET], "dense, from waves": [*DOSE, WAVES], "masks at the init": [MASK, *COUNTS]}
    dose = []
    for group, settings in groups.items():
        own = every[every["setting"].isin(settings) & ~every["setting"].str.contains("random")]
        dose += [dot_of(found_in(row), row["waves_strongest"], group) for row in records(own)]
    title = "A dense network that starts from six waves is as early as the ticket. Random planes do nothing."
    told = "The larger the share of few waves at the start, the earlier a network generalizes."
    share = "share of the six strongest waves in what the neurons see, at epoch 0"
    shown = in_order(every[every["setting"].isin(names)], names)
    shown = shown.replace({"setting": {names[-1]: "mask at the init, of random planes"}})
    return {
        "waves.png": Dots(title, {"": dots_of(shown)}, "t_gen, epochs"),
        "dose.png": Dots(told, {"": dose}, "t_gen, epochs", share),
    }
