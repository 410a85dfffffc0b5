"""The Transformer's ticket for every operation; those that are not symmetric on all ordered pairs."""

from configs.sweep import Sweep
from configs.ticket import TransformerTicketConfig
from data.modular import OPERATIONS

sweep = Sweep(
    base=TransformerTicketConfig(retrain_num_epochs=15_000, retrain_stop_after_gen=True),
    settings=[
        {"fn_name": name, "is_symmetric_input": operation.symmetric}
        for name, operation in OPERATIONS.items()
        if name != "rand"
    ],
    seeds=(0,),
)
