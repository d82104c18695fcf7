import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from geomem.training import checkpoints

INFO = {"history": [{"step": 3, "share": 0.1}], "name": "a star, naïve", "nothing": None}


def tensors():
    return {
        "empty": torch.zeros(0, dtype=torch.int64),
        "scalar": torch.tensor(2.5, dtype=torch.float64),
        "whole": torch.arange(6).reshape(2, 3),
        "bytes": torch.arange(200, 210, dtype=torch.uint8),
        "turned": torch.arange(6.0).reshape(2, 3).T,
        "low": torch.tensor([1.5, -2.0]).bfloat16(),
        "part": torch.arange(10)[7:],
        "lost": torch.tensor([float("nan"), float("inf")]),
    }


def same(found, wanted):
    return found.keys() == wanted.keys() and all(
        found[name].dtype == tensor.dtype and found[name].shape == tensor.shape and as_bytes(found[name]) == as_bytes(tensor)
        for name, tensor in wanted.items()
    )


def as_bytes(tensor):
    return tensor.contiguous().flatten().view(torch.uint8).tolist()


def test_what_is_written_is_read_bit_for_bit(tmp_path):
    checkpoints.write(tmp_path, tensors(), INFO)
    found, info = checkpoints.read(tmp_path)
    assert same(found, tensors()) and info == INFO
    assert os.listdir(tmp_path) == [checkpoints.NAME]
    checkpoints.write(tmp_path, {}, {})
    assert checkpoints.read(str(tmp_path)) == ({}, {})


def damaged(folder):
    with pytest.raises(ValueError, match=f"{checkpoints.NAME} is damaged: it was cut off or changed .* Remove it"):
        checkpoints.read(folder)
    return True


def test_others_may_read_what_is_written(tmp_path):
    checkpoints.write(tmp_path, tensors(), INFO)
    assert (tmp_path / checkpoints.NAME).stat().st_mode & 0o777 == 0o644


def test_a_file_that_was_cut_off_is_refused_wherever_it_ends(tmp_path):
    checkpoints.write(tmp_path, tensors(), INFO)
    whole = (tmp_path / checkpoints.NAME).read_bytes()
    for kept in (*range(0, 64), *range(64, len(whole), 7), len(whole) - 1):
        (tmp_path / checkpoints.NAME).write_bytes(whole[:kept])
        assert damaged(tmp_path)
    (tmp_path / checkpoints.NAME).write_bytes(whole + b"\0")
    assert damaged(tmp_path)


def test_a_changed_byte_is_refused_wherever_it_is(tmp_path):
    small = {"a": torch.arange(3), "b": torch.tensor([1.0])}
    checkpoints.write(tmp_path, small, {"step": 10})
    whole = (tmp_path / checkpoints.NAME).read_bytes()
    refused = 0
    for place in range(len(whole)):
        for flip in (0x01, 0x80):
            (tmp_path / checkpoints.NAME).write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
            try:
                found, info = checkpoints.read(tmp_path)
            except ValueError as error:
                refused += "is damaged" in str(error)
            else:  # blanks that fill the header up say nothing
                assert same(found, small) and info == {"step": 10} and whole[place] == ord(" ")
    assert refused > 2 * len(whole) - 20


def test_an_edited_file_is_refused_although_it_is_well_formed(tmp_path):
    checkpoints.write(tmp_path, tensors(), INFO)
    path = tmp_path / checkpoints.NAME
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    parts = {name: tensor.clone() for name, tensor in checkpoints.read(tmp_path)[0].items()}  # some stay in the file
    other = {
        "the JSON": (parts, header | {"info": header["info"].replace('"step": 3', '"step": 4')}),
        "a number": (parts | {"scalar": parts["scalar"] + 1}, header),
        "a name": ({name + "s": tensor for name, tensor in parts.items()}, header),
        "a shape": (parts | {"whole": parts["whole"].reshape(3, 2)}, header),
        "a type": (parts | {"bytes": parts["bytes"].view(torch.int8)}, header),
        "one less": ({name: tensor for name, tensor in parts.items() if name != "part"}, header),
        "no digest": (parts, {"info": header["info"]}),
        "nothing beside tensors": (parts, None),
    }
    for changed, metadata in other.values():
        save_file(changed, path, metadata=metadata)
        assert damaged(tmp_path)
    save_file(parts, path, metadata=header)
    assert same(checkpoints.read(tmp_path)[0], tensors())


def test_a_pickle_is_not_loaded(tmp_path):
    torch.save({"a": torch.arange(3)}, tmp_path / checkpoints.NAME)
    assert damaged(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    (tmp_path / "inner" / checkpoints.NAME).mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "none", tmp_path / "inner"):
        with pytest.raises(ValueError, match=f"folder must hold run.safetensors, got '{folder}': there is none"):
            checkpoints.read(folder)


def test_a_folder_is_made_and_one_that_cannot_be_written_is_refused(tmp_path):
    made = checkpoints.folder_of(str(tmp_path / "a" / "b"))
    assert made.is_dir() and not list(made.iterdir())
    file = tmp_path / "file"
    file.write_text("here first")
    for folder in (file, file / "below", "/proc/geomem"):
        with pytest.raises(ValueError, match=f"folder must be one that can be written to, got '{folder}': "):
            checkpoints.folder_of(folder)
    assert file.read_text() == "here first"
    with pytest.raises(ValueError, match="folder must have a name, got ''. Write '.'"):
        checkpoints.folder_of("")


@pytest.mark.parametrize("name", ["os.replace", "geomem.training.checkpoints.save_file", "os.fsync"])
def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(tmp_path, monkeypatch, name):
    checkpoints.write(tmp_path, tensors(), INFO)

    def full(*args, **options):
        raise (SafetensorError if "save_file" in name else OSError)("No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(name, full)
        checkpoints.write(tmp_path, {"new": torch.ones(3)}, {"step": 9})
    assert os.listdir(tmp_path) == [checkpoints.NAME]
    assert same(checkpoints.read(tmp_path)[0], tensors())


def test_info_that_is_no_json_is_refused_before_anything_is_written(tmp_path):
    checkpoints.write(tmp_path, tensors(), INFO)
    with pytest.raises(TypeError, match="not JSON serializable"):
        checkpoints.write(tmp_path, {}, {"step": torch.tensor(3)})
    assert json.dumps(checkpoints.read(tmp_path)[1], sort_keys=True) == json.dumps(INFO, sort_keys=True)


def test_a_written_file_is_on_the_disk_before_it_takes_the_name(tmp_path, monkeypatch):
    order, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append(("sync", os.fstat(fd).st_ino)), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append(("name", os.stat(a).st_ino)), replace(a, b)))
    checkpoints.write(tmp_path, tensors(), INFO)
    assert [what for what, _ in order] == ["sync", "name"] and order[0][1] == order[1][1]


def test_threads_may_write_one_path_at_once(tmp_path):
    path, texts = tmp_path / "one.json", [str(number) * 10_000 for number in range(8)]

    def write(text):
        for _ in range(8):
            checkpoints.write_whole(path, text)
            assert path.read_text() in texts

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, texts))
    assert os.listdir(tmp_path) == ["one.json"]
    (tmp_path / "other").touch()
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode
