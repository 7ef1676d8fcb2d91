"""What a run takes as it is, text vectors and pretrained networks: kept with it, and read."""

import argparse
from pathlib import Path

from tsx_espnet.errors import TSXError
from tsx_espnet.experiment import (
    TEXT_TABLE,
    begun_config,
    check_same_networks,
    check_same_texts,
)
from tsx_espnet.pretrained.store import PRETRAINED, Networks, check_directories, digest_of, keep
from tsx_espnet.pretrained.text_table import TextTable
from tsx_espnet.vocabulary import Vocabulary, find_tokenizer, takes_of


def keep_frozen_parts(args: argparse.Namespace) -> None:
    """Copy text vectors and pretrained networks into the experiment, and use the copies.

    Raises:
        TSXError: if something is missing, or a run that is resumed was begun with something else.
    """
    keep_networks(args)  # refused, it has changed nothing
    keep_texts(args)


def keep_texts(args: argparse.Namespace) -> None:
    """The table of ``--text_embeddings``."""
    table = Path(args.output_dir) / TEXT_TABLE
    if args.text_embeddings is None or args.dry_run or Path(args.text_embeddings) == table:
        return
    texts = TextTable.read(args.text_embeddings)
    if args.resume and "vector" in takes_of(args.conditions).values():
        check_same_texts(args.output_dir, texts)
    texts.write(table)
    args.text_embeddings = str(table)


def keep_networks(args: argparse.Namespace) -> None:
    """The networks of ``--pretrained``; sets ``args.pretrained_digest``.

    A resumed run does not need the place that they came from.
    """
    places = {n: Path(directory) for n, directory in check_directories(args.pretrained).items()}
    kept = {name: Path(args.output_dir) / PRETRAINED / name for name in places}
    if args.resume:
        for name in begun_config(args.output_dir).get("pretrained_digest") or {}:
            if name in places and not places[name].exists():
                places[name] = kept[name]
    args.pretrained_digest = {name: digest_of(place) for name, place in places.items()}
    if args.resume:
        check_same_networks(args.output_dir, args.pretrained_digest)
    if args.dry_run:
        return
    for name, place in places.items():
        keep(place, kept[name])
    args.pretrained = {name: str(path) for name, path in kept.items()}


def read_vocabulary(args: argparse.Namespace) -> Vocabulary:
    """The values of the model's conditions, from the files or lists of the configuration.

    Raises:
        TSXError: if a file is missing.
    """
    classes = args.class_list
    if isinstance(classes, str):
        path = Path(classes)
        if not path.is_file():
            raise TSXError(f"--class_list {path}: no such file; format writes that of labels")
        classes = path.read_text(encoding="utf-8").split()
    takes = takes_of(args.conditions)
    if takes.get("class") == "index" and not classes:
        if not args.dry_run:
            raise TSXError("the class condition needs its labels: --class_list is missing")
        classes = ["any"]  # a dry run needs no labels
    table = None
    if "vector" in takes.values():
        if args.text_embeddings is not None:
            table = TextTable.read(args.text_embeddings)
        elif not args.dry_run:
            names = ", ".join(name for name, kind in takes.items() if kind == "vector")
            raise TSXError(f"the {names} condition needs vectors: --text_embeddings is missing")
    tokenize = find_tokenizer(vars(args), Networks(args.pretrained, {}))
    return Vocabulary(classes or (), table, args.fs, takes=takes, tokenize=tokenize)
