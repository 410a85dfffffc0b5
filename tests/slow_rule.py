"""The rule for t_gen, written anew: epoch by epoch, without vectors, straight from its words."""


def slow_rule(epochs, accuracies, threshold, diverged_of=None):
    """``(t_gen, first, status, known_until, below_after)``."""
    above = {}  # every epoch of which something is known -> whether the accuracy is at or above the threshold
    for place, (epoch, accuracy) in enumerate(zip(epochs, accuracies, strict=True)):
        until = epochs[place + 1] if place + 1 < len(epochs) else epoch + 1
        for e in range(epoch, until):
            above[e] = accuracy >= threshold
    if diverged_of is not None:
        for e in range(max(above, default=-1) + 1, diverged_of + 1):
            above[e] = False
    last = max(above, default=0)
    verdicts = {}
    for t in epochs:
        if not above[t]:
            continue
        window = max(t // 4, 1000)
        seen = [above[e] for e in range(t, t + window) if e <= last]
        below = seen.count(False)
        if last >= t + 1000:
            verdicts[t] = "holds" if below * 100 <= 5 * len(seen) else "refuted"
        else:
            verdicts[t] = "refuted" if below * 100 > 5 * window else "undecided"
        if verdicts[t] == "holds":
            break  # it is the first that does
    first = min(verdicts, default=None)
    t_gen = min((t for t, verdict in verdicts.items() if verdict == "holds"), default=None)
    undecided = min((t for t, verdict in verdicts.items() if verdict == "undecided"), default=None)
    if t_gen is not None:
        status, known_until = "holds", t_gen
    else:
        status = "never" if not verdicts else "does not hold" if "refuted" in verdicts.values() else "too short"
        known_until = last if undecided is None else undecided
    start = first if t_gen is None else t_gen
    later = [] if start is None else [above[e] for e in range(start, last + 1)]
    return t_gen, first, status, known_until, later.count(False) / len(later) if later else None
