"""What book/own_model.md shows runs as it stands, on a tiny model that is made here."""

import re

import pytest

from tools import book

PAGE = (book.ROOT / "book/own_model.md").read_text(encoding="utf8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
WHOLE = "france spain italy germany poland austria hungary romania ukraine russia".split()
HUB = '"sentence-transformers/all-MiniLM-L6-v2"'


def test_examples_have_at_most_twenty_lines_that_fit_and_name_one_model():
    for block in BLOCKS:
        lines = [line for line in block.splitlines() if line.strip()]
        assert len(lines) <= 20 and max(map(len, lines)) <= 88
    assert PAGE.count(HUB) == 1 and len(BLOCKS) == 3


def tiny_model(folder):
    """Write a BERT of one layer with a vocabulary of the alphabet and some whole names, as transformers saves it."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    letters = list("abcdefghijklmnopqrstuvwxyz?.'-")
    special = {
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    words = [*special.values(), *letters, *(f"##{letter}" for letter in letters), *WHOLE]
    whole = Tokenizer(models.WordPiece({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    whole.normalizer, whole.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    whole.post_processor = processors.BertProcessing(("[SEP]", words.index("[SEP]")), ("[CLS]", words.index("[CLS]")))
    PreTrainedTokenizerFast(tokenizer_object=whole, **special).save_pretrained(folder)
    sizes = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    BertModel(BertConfig(vocab_size=len(words), **sizes)).save_pretrained(folder)


@pytest.mark.filterwarnings("default")  # of transformers, which is not ours
def test_the_page_runs_on_a_tiny_model(tmp_path, monkeypatch, capsys):
    pytest.importorskip("transformers", reason="no test needs it but this one: pip install transformers")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "model").mkdir()
    tiny_model(tmp_path / "model")
    namespace = {}
    for block in BLOCKS:
        exec(compile(block.replace(HUB, repr(str(tmp_path / "model"))), "book/own_model.md", "exec"), namespace)
    out = capsys.readouterr().out
    assert "158 nodes, 317 edges, 16 columns" in out
    assert "untrained twin: " in out and "10 names are one piece: " in out
    assert out.count("strict order") >= 5
