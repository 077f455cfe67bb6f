"""Does TPE find better points than chance? The quickstart's small LSTM with two continuous axes, sparsity fixed.

    python benchmarks/search.py [--runs 5] [--points 30] [--epochs 8] [--seeds 1] [--samplers tpe random]

Each run is a search of its own, with its own sampler seed, one point after another, over learning rate (log) and
removal rate of Selfish training at sparsity 0.8; trials are trained in two processes, without Ray or a trial store.
Told is the best validation perplexity that each search has found: mean over the runs with its 95 % t interval, and the
difference between two samplers, paired by seed. Of one seed, the first ten points of TPE and GP are those of `random`.
A trial of 8 epochs takes about five seconds of one processor.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import re
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from statistics import fmean

import torch
from scipy import stats

from orchestration.decisions import AnyDecision
from orchestration.search import Search, value_of
from selfish_core.data.corpora import load_once
from selfish_core.records import Record
from selfish_core.training.session import TrialSession
from sweeps import spec
from sweeps.expand import Trial

SHIPPED = spec.shipped()["quickstart-search"]


def chosen_spec(sampler: str, seed: int, points: int, epochs: int, seeds: int) -> spec.Spec:
    """The shipped sweep with another search, and without early stopping."""
    text = SHIPPED.read_text(encoding="utf-8")
    changes = {
        "epochs": str(epochs),
        "search": f"{{sampler: {sampler}, num_trials: {points}, seed: {seed}}}",
        "early_stopping": "",
        "seeds": str(list(range(1, seeds + 1))),
    }
    for key, value in changes.items():
        line = f"{key}: {value}" if value else ""
        text, count = re.subn(rf"^{key}: .*$", line, text, flags=re.MULTILINE)
        assert count == 1, key
    text = text.replace("horizon_epochs: 8", f"horizon_epochs: {epochs}")
    return spec.parse(text.encode(), SHIPPED)


def train(trial: Trial) -> list[Record]:
    """Train a trial and keep nothing."""
    session = TrialSession(trial.config, epochs=trial.epochs, corpus=load_once(trial.config.corpus, None))
    records: list[Record] = []
    while not session.is_finished:
        records.append(session.step())
    return records


def best_of_a_search(sampler: str, seed: int, points: int, epochs: int, seeds: int) -> float:
    """Search to the end and return the best mean over a point's seeds."""
    torch.set_num_threads(1)
    searched = chosen_spec(sampler, seed, points, epochs, seeds)
    decisions: list[AnyDecision] = []
    search = Search(searched, [], decisions.append)
    while (asked := search.ask()) is not None:
        for trial in asked.trials:
            search.over(trial.key, value_of(train(trial), "val_perplexity"))
    return min(point.value for point in search.points if point.value is not None)


def interval(values: Sequence[float]) -> str:
    """The mean with its 95 % t interval."""
    if len(values) < 2:
        return f"{fmean(values):.3f} (one run: no interval)"
    found = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    return f"{fmean(values):.3f} [{found.low:.3f}, {found.high:.3f}]"


def main() -> None:
    """Run the searches, two at a time, and tell what they found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("runs", 5), ("points", 30), ("epochs", 8), ("seeds", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--samplers", nargs="+", default=["tpe", "random"], choices=["tpe", "gp", "random"])
    chosen = parser.parse_args()
    sizes = (chosen.points, chosen.epochs, chosen.seeds)
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as workers:
        running = {
            (sampler, seed): workers.submit(best_of_a_search, sampler, seed, *sizes)
            for seed, sampler in itertools.product(range(chosen.runs), chosen.samplers)
        }
        found = {which: done.result() for which, done in running.items()}
    print(f"{chosen.runs} searches each, {chosen.points} points of {chosen.seeds} seeds, {chosen.epochs} epochs")
    best = {sampler: [found[sampler, seed] for seed in range(chosen.runs)] for sampler in chosen.samplers}
    for sampler, values in best.items():
        print(f"  {sampler:7s} best validation perplexity {interval(values)}")
    for one, other in itertools.combinations(chosen.samplers, 2):
        differences = [left - right for left, right in zip(best[one], best[other], strict=True)]
        wins = sum(difference < 0 for difference in differences)
        print(f"  {one} - {other}: {interval(differences)}; {one} found the better point in {wins} of {chosen.runs}")


if __name__ == "__main__":
    main()
