"""Masks of other tickets on the MLP's init: of another seed, and of addition for other operations; beside the own, and shuffled."""

from configs.sweep import Sweep
from configs.ticket import MLPTicketConfig

own = [{}, {"control": "shuffled"}]
others = [{"mask_from": "seed=5"}, {"mask_from": "seed=6"}]
of_addition = [
    {"fn_name": name} | one for name in ("multiply", "x2y2", "x2xyy2") for one in (*own, {"mask_from": "fn_name=add"})
]
sweep = Sweep(
    base=MLPTicketConfig(retrain_stop_after_gen=True), settings=[*own, *others, *of_addition], seeds=(0, 1, 2)
)
