"""Which code trained a run: the hash of what it executes, and whether that is the code of now."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from configs.base import NOT_IDENTITY, Dense
from experiments import components
from experiments.source_hash import SCHEME, source_hash
from pruning.edge_popup import EdgePopup
from training.generalization import is_certain
from training.loop import member_state, train
from training.metrics import MEASURES
from training.population import scale_logits, stack_models, stack_splits, stack_states


def how_executed(config: Dense, population: bool, cuda: bool) -> dict:
    """What config.json says of how a run was trained: in a population or alone, where, and with which formulas it was measured."""
    measures = {name: measure_hash(name, config) for name in MEASURES}
    return {"population": population, "cuda": cuda, "measures": measures}


def measure_hash(name: str, config: Dense) -> str:
    how = {"learns_numbers": config.task.labels == "numbers"}
    return source_hash([("training.metrics", "MEASURES")], how, [name])


def code_of(config: Dense, executed: dict) -> str:
    """The hash of the code that a run of this config executes now; ``executed`` says how, as its config.json has it."""
    trained = config.trained()
    roots = [
        components.use_cpu,
        components.build_split,
        components.build_model,
        components.build_loss,
        components.build_optimizer,
    ]
    roots += [components.build_schedule, components.start_from, components.restore, train, member_state]
    roots += [type(trained.task).split, type(trained.model).build]
    roots += [is_certain] if trained.stop_after_gen else []
    roots += [stack_models, stack_splits, stack_states] if executed["population"] else []
    if config.parents():
        roots += [components.rewind, type(config).retraining, type(config).trained]
        roots += [components.build_mask] if config.mask_run() is not None else []
        roots += [components.next_mask] if config.pruning_iterations else []
        roots += [components.build_control, scale_logits] if config.control else []
        roots += [components.build_edge_popup, EdgePopup] if config.learn else []
    settings = {
        name: value for name, value in config.as_dict().items() if name not in NOT_IDENTITY
    } | trained.identity()
    how = {"is_population": executed["population"], "capturable": executed["cuda"]}
    return source_hash(roots, asdict(components.build_schedule(trained)) | settings | how, config=type(config))


def standing(settings: dict, config: Dense) -> str:
    """Whether a run was trained by the code of now: "current", "other", or "unknown", as it cannot be compared.

    ``settings``: its config.json. A measure that is no longer there, or that the run lacks, says nothing about it. A run with a
    mask is as the run was from which that was taken, if that is worse.
    """
    states = [_state({"code": settings.get("code")}, settings.get("executed"), config)]
    if config.mask_run() is not None and not config.learns_scores:
        source = settings.get("dense_executed")
        states.append(_state(source, source, config.mask_run()))
    return worst(states)


def comparable(settings: dict, config: Dense) -> str:
    """What runs have in common whose hashes must be equal if one code trained them: the hash that they would have now."""
    executed = settings.get("executed")
    executed = executed if isinstance(executed, dict) else {}
    return code_of(config, {name: bool(executed.get(name)) for name in ("population", "cuda")})


def worst(states: Iterable[str]) -> str:
    """Of several standings the one that counts for all together."""
    found = set(states)
    return next(state for state in ("other", "unknown", "current") if state in found)


def _state(stored: dict | None, executed: dict | None, config: Dense) -> str:
    is_known = isinstance(stored, dict) and isinstance(executed, dict) and isinstance(executed.get("measures"), dict)
    if not is_known or not str(stored.get("code")).startswith(f"{SCHEME}:"):
        return "unknown"
    measured = all(
        value == measure_hash(name, config) for name, value in executed["measures"].items() if name in MEASURES
    )
    is_same = stored["code"] == comparable({"executed": executed}, config)
    return "current" if measured and is_same else "other"


def standing_counts(standings: Iterable[str]) -> str | None:
    """How many runs were trained by which code, in a sentence; None where the code of now has trained all."""
    counts = Counter(standings)
    if set(counts) <= {"current"}:
        return None
    said = {
        "current": "{} by the code of now",
        "other": "{} by other code",
        "unknown": "{} by code that cannot be compared with it",
    }
    parts = [text.format(f"{counts[name]:,}") for name, text in said.items() if counts[name]]
    return f"of {counts.total():,} finished runs, trained were {', '.join(parts)}"


def same_code(standings: dict[Path, tuple[str, object, object]]) -> list[Path]:
    """The runs that may stand in one table: not those of other code, unless there is nothing else. Says what is left out.

    ``standings``: ``{run: (standing, what its code can be compared with, its code)}``. Of runs of several other codes those of the
    code that trained most of them are kept, among those that can be compared: an MLP's and a Transformer's always differ.
    """
    if said := standing_counts(state for state, *_ in standings.values()):
        print(said)
    kept = [path for path, (state, *_) in standings.items() if state != "other"]
    if not kept:
        codes: dict[object, Counter] = {}
        for _, group, code in standings.values():
            codes.setdefault(group, Counter())[code] += 1
        most = {group: counts.most_common(1)[0][0] for group, counts in codes.items()}
        kept = [path for path, (_, group, code) in standings.items() if code == most[group]]
    if left_out := [path.name for path in standings if path not in kept]:
        print(f"left out, since other code trained them (--rerun trains again): {', '.join(left_out)}")
    return kept
