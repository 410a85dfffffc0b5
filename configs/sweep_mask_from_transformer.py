"""The mask of addition on the Transformer's init for subtraction, on all ordered pairs; beside the own, and shuffled."""

from configs.sweep import Sweep
from configs.ticket import TransformerTicketConfig

base = TransformerTicketConfig(
    fn_name="subtract", is_symmetric_input=False, retrain_num_epochs=15_000, retrain_stop_after_gen=True
)
sweep = Sweep(
    base=base,
    settings=[{}, {"control": "shuffled"}, {"mask_from": "fn_name=add"}, {"mask_from": "seed=5"}],
    seeds=(0, 1, 2),
)
