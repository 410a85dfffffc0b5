"""The Transformer's ticket for every operation; those that are not symmetric on all ordered pairs. Where the paper's setting does not
learn one and another does, the ticket of that as well."""

from configs.sweep import Sweep
from configs.ticket import TransformerTicketConfig
from data.modular import OPERATIONS

settings = [
    {"fn_name": name, "is_symmetric_input": operation.symmetric}
    for name, operation in OPERATIONS.items()
    if name != "rand"
]
settings.append({"fn_name": "only_add", "frac_train": 0.8, "lr": 0.003, "num_epochs": 10_000, "prune_at": "8000"})
base = TransformerTicketConfig(retrain_num_epochs=15_000, retrain_stop_after_gen=True)
sweep = Sweep(base=base, settings=settings, seeds=(0,))
