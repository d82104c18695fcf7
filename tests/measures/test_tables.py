"""Tables of embeddings from files: what is read as what, and that nothing in a file is ever executed."""

import gzip
import io
import json
import pickle
import zipfile

import numpy as np
import pandas
import pytest
import torch
from safetensors.torch import save_file

import geomem as gm

NAMES = ["Paris", "New York", "日本", '"x", y', "#1"]
ROWS = torch.arange(15.0).reshape(5, 3) / 4 - 1


def is_read(path, names=NAMES, **options):
    table = gm.read_table(path, **options)
    assert torch.allclose(table.rows.double(), ROWS.double(), atol=1e-6)
    assert table.names == (None if names is None else tuple(names))
    assert table.source.startswith(path.name) and "5 rows of 3 numbers" in table.source
    return table


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", "<f2", "i8"])
def test_numpy(tmp_path, kind):
    path = tmp_path / "t.npy"
    rows = ROWS.numpy() if kind != "i8" else ROWS.numpy() * 4
    np.save(path, rows.astype(kind))
    table = gm.read_table(path, names=NAMES)
    assert torch.allclose(table.rows.double(), torch.from_numpy(rows).double(), atol=1e-2) and table.names == tuple(NAMES)


def test_archive_finds_its_names(tmp_path):
    np.savez(tmp_path / "t.npz", vectors=ROWS.numpy(), names=np.array(NAMES), counts=np.arange(5))
    is_read(tmp_path / "t.npz")
    np.savez_compressed(tmp_path / "two.npz", a=ROWS.numpy(), b=ROWS.numpy())
    with pytest.raises(ValueError, match=r"must hold one table of numbers, got 2: a 5 x 3, b 5 x 3. Write tensor='a'"):
        gm.read_table(tmp_path / "two.npz")
    is_read(tmp_path / "two.npz", None, tensor="b")


def test_safetensors_reads_the_named_tensor(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"lm_head.weight": torch.ones(9, 4), "embed.weight": ROWS.bfloat16(), "bias": torch.ones(4)}, path)
    with pytest.raises(ValueError, match="tensor='embed.weight'"):
        gm.read_table(path)
    is_read(path, None, tensor="embed.weight")
    with pytest.raises(ValueError, match="must name a table"):
        gm.read_table(path, tensor="bias")


@pytest.mark.parametrize("old", [False, True])
def test_a_state_dict_is_loaded_as_data(tmp_path, old):
    path = tmp_path / "model.pt"
    state = {"model": {"wte": torch.nn.Embedding.from_pretrained(ROWS).state_dict()}, "step": 7}
    torch.save(state, path, _use_new_zipfile_serialization=not old)
    is_read(path, None)
    torch.save(ROWS, tmp_path / "t.bin", _use_new_zipfile_serialization=not old)
    is_read(tmp_path / "t.bin", None)


class Evil:
    def __reduce__(self):
        return (open, ("pwned", "w"))


def test_nothing_in_a_file_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, write in {
        "t.pt": lambda path: torch.save({"weight": ROWS, "evil": Evil()}, path),
        "old.pth": lambda path: path.write_bytes(pickle.dumps({"weight": Evil()})),
        "t.npy": lambda path: np.save(path, np.array([Evil()], dtype=object), allow_pickle=True),
        "t.npz": lambda path: np.savez(path, table=np.array([Evil()], dtype=object)),
        "t.pkl": lambda path: path.write_bytes(pickle.dumps(Evil())),
        "vectors.kv": lambda path: path.write_bytes(pickle.dumps(Evil())),
        "raw.txt": lambda path: path.write_bytes(pickle.dumps(Evil())),
        "raw.bin": lambda path: path.write_bytes(pickle.dumps(Evil())),
    }.items():
        write(tmp_path / name)
        (tmp_path / "pwned").unlink(missing_ok=True)
        with pytest.raises(ValueError, match="must"):
            gm.read_table(tmp_path / name)
        assert not (tmp_path / "pwned").exists(), name


def text_of(head=True, sep=" ", end="\n"):
    lines = [f"{len(NAMES)} 3"] * head
    lines += [sep.join([name, *(f"{x:.6f}" for x in row)]) for name, row in zip(NAMES, ROWS.tolist(), strict=True)]
    return end.join(lines) + end


@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize("sep", [" ", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", " \n"])
def test_word2vec_and_glove(tmp_path, head, sep, end):
    for name, data in {
        "v.vec": text_of(head, sep, end).encode(),
        "v.txt.gz": gzip.compress(text_of(head, sep, end).encode()),
    }.items():
        (tmp_path / name).write_bytes(data)
        assert "word vectors as text" in is_read(tmp_path / name).source


def test_binary_word2vec(tmp_path):
    body = b"".join(
        name.replace(" ", "_").encode() + b" " + row.numpy().astype("<f4").tobytes() + b"\n"
        for name, row in zip(NAMES, ROWS, strict=True)
    )
    (tmp_path / "v.bin").write_bytes(b"5 3\n" + body)
    is_read(tmp_path / "v.bin", [name.replace(" ", "_") for name in NAMES[:3]] + ['"x",_y', "#1"])


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize(
    ("suffix", "sep", "decimal"), [(".csv", ",", "."), (".csv", ";", "."), (".csv", ";", ","), (".tsv", "\t", ".")]
)
def test_csv_with_names_in_a_column(tmp_path, index, suffix, sep, decimal):
    frame = pandas.DataFrame(ROWS.numpy(), columns=["x", "y", "z"])
    frame.insert(0, "city", NAMES)
    path = tmp_path / f"t{suffix}"
    frame.to_csv(path, sep=sep, decimal=decimal, index=index)
    is_read(path)
    frame.set_index("city").to_csv(path, sep=sep, decimal=decimal, header=index)
    is_read(path)


def test_csv_of_r_has_no_title_over_its_names(tmp_path):
    rows = [",".join([json.dumps(name), *map(str, row)]) for name, row in zip("abcde", ROWS.tolist(), strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(['"x","y","z"', *rows]))
    is_read(tmp_path / "t.csv", list("abcde"))


def test_numbers_are_names_where_their_column_says_so(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("id,x,y\n7,0.5,1\n3,2.5,2\n")
    assert gm.read_table(path).names == ("7", "3")
    path.write_text("7,0.5,1.5\n3,2.5,2.5\n")
    table = gm.read_table(path)
    assert table.names == ("7", "3") and "names in column 0" in table.source and table.rows.shape == (2, 2)
    path.write_text("0.7,0.5,1.5\n0.3,2.5,2.5\n")
    assert gm.read_table(path).names is None and gm.read_table(path).rows.shape == (2, 3)


def test_json(tmp_path):
    (tmp_path / "t.json").write_text(json.dumps(dict(zip(NAMES, ROWS.tolist(), strict=True))))
    is_read(tmp_path / "t.json")


def test_names_from_a_file_must_be_as_many(tmp_path):
    np.save(tmp_path / "t.npy", ROWS.numpy())
    (tmp_path / "names.txt").write_text("\ufeff" + "\n".join(NAMES), encoding="utf8")
    assert gm.read_table(tmp_path / "t.npy", names=tmp_path / "names.txt").names == tuple(NAMES)
    with pytest.raises(ValueError, match="names must be as many as the 5 rows of t.npy, got 4"):
        gm.read_table(tmp_path / "t.npy", names=NAMES[:4])
    with pytest.raises(ValueError, match="names must be a file"):
        gm.read_table(tmp_path / "t.npy", names="nowhere.txt")


def zipped(text):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as whole:
        whole.writestr("x", text)
    return data.getvalue()


@pytest.mark.parametrize(("name", "data", "match"), [
    ("t.npy", b"", "numpy array"),
    ("t.npy", b"\x93NUMPY\x01\x00", "numpy array"),
    ("t.npz", b"PK\x03\x04", "numpy arrays"),
    ("t.npz", zipped("x"), "must hold"),
    ("t.safetensors", b"", "safetensors"),
    ("t.safetensors", b"\x08\0\0\0\0\0\0\0{}      ", "one table"),
    ("t.pt", b"", "tensors alone"),
    ("t.pt", zipped("x"), "tensors alone"),
    ("t.pt", b"\x80\x02}q\x00.", "must hold"),
    ("t.json", b"[1, 2", "JSON"),
    ("t.json", b'{"a": [1], "b": [1, 2]}', "JSON"),
    ("t.json", b"3", "must hold a table"),
    ("t.csv", b"", "one length"),
    ("t.csv", b"a,b\n", "column of names"),
    ("t.csv", b"a,1\nb,1,2\n", "one length"),
    ("t.csv", b"a,b,1\nc,d,2\n", r"columns \[0, 1\], such as 'd'|columns \[0, 1\], such as 'b'"),
    ("t.vec", b"", "word2vec and GloVe"),
    ("t.vec", b"\n\n", "word2vec and GloVe"),
    ("t.txt", b"only words here\n", "a row must be a name and 2 numbers"),
    ("t.vec", b"2 3\na 1 2 3\nb 1 2\n", "line 3"),
    ("t.vec", b"\xff\xfea", "."),
    ("t.parquet", b"PAR1\0\0", "a Parquet file"),
])  # fmt: skip
def test_what_cannot_be_read_is_refused_in_a_sentence(tmp_path, name, data, match):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=match) as error:
        gm.read_table(tmp_path / name)
    assert name in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("path", "match"),
    [("nowhere.npy", "there is none"), (".", "there is a folder"), (3, "string or Path"), ("a\0b", "none")],
)
def test_paths(path, match):
    with pytest.raises((ValueError, TypeError), match=match):
        gm.read_table(path)
