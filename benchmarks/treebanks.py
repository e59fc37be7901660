"""Reads whole treebanks and shows that no tree is lost on the way to tags and back.

    python -m benchmarks.treebanks ../shared/data/penn_treebank_sample my_treebank

For each folder, with the files that the declared kind `trees` takes: how many trees
there are, how many cannot be read, how many the normalisation changes and by which of
its rules, whether words and tags give back every normalised tree, and how many trees a
second are read, normalised and turned into words and tags (seconds of the processor,
so that other work on the machine does not count; the median of some rounds).
"""

import argparse
import collections
import pathlib
import statistics
import time

from t2t_multimodel.data.raw_example import BadExample
from t2t_multimodel.data.tree_repair import legal_tree
from t2t_multimodel.data.treebank import (
    normalise,
    parsing_examples,
    read_trees,
    treebank_files,
)
from t2t_multimodel.data.trees import ROOT, Tree, linearise


def changes(before: Tree, after: Tree) -> set[str]:
    """Returns what the normalisation of a tree did."""
    labels = [node.label for node, closes in before.walk() if not closes]
    words = [leaf.children[0] for leaf in before.leaves() if leaf.label != "-NONE-"]
    done = set()
    if "-NONE-" in labels:
        done.add("traces removed")
    if words != after.words:
        done.add("white space in words")
    if any(set(label[1:]) & set("-=|") for label in labels if label[0] != "-"):
        done.add("function tags removed")
    if before.label != ROOT:
        done.add("outermost bracket renamed")
    return done


def check(folder: pathlib.Path) -> collections.Counter[str]:
    """Returns counts of a treebank's trees.

    Raises:
        AssertionError: If a tree does not come back.
    """
    counts: collections.Counter[str] = collections.Counter()
    for path in treebank_files(folder):
        counts["files"] += 1
        for entry in read_trees(path):
            counts["trees"] += 1
            if isinstance(entry, BadExample):
                counts["skipped"] += 1
                print(f"  skipped {entry.place}: {entry.reason}")
                continue
            place, tree = entry
            normal = normalise(tree)
            if normal is None:
                counts["skipped"] += 1
                print(f"  skipped {place}: nothing but traces")
                continue
            done = changes(tree, normal)
            counts.update(done)
            counts["changed" if done else "unchanged"] += 1
            words, tags = " ".join(normal.words), " ".join(linearise(normal))
            if legal_tree(tags.split(), words.split()) != normal:
                raise AssertionError(f"{place}: {normal} does not come back")
            counts["come back"] += 1
            counts["words"] += len(normal.words)
    return counts


def trees_a_second(folder: pathlib.Path, rounds: int) -> float:
    """Returns the median speed of making examples, in seconds of the processor."""
    speeds = []
    for _ in range(rounds):
        began = time.process_time()
        count = sum(1 for p in treebank_files(folder) for _ in parsing_examples(p))
        speeds.append(count / (time.process_time() - began))
    return statistics.median(speeds)


def main() -> None:
    """Prints the counts of each folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    total: collections.Counter[str] = collections.Counter()
    for folder in arguments.folders:
        counts = check(folder)
        total += counts
        print(f"{folder.name}: " + ", ".join(f"{n:,} {k}" for k, n in counts.items()))
        if counts["trees"]:
            speed = trees_a_second(folder, arguments.rounds)
            print(f"  {speed:,.0f} trees/s to words and tags")
    print("all: " + ", ".join(f"{n:,} {k}" for k, n in total.items()))


if __name__ == "__main__":
    main()
