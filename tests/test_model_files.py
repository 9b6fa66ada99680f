"""Weights on disk: what a safetensors header must say, which files belong to a model, and its fingerprint."""

import json
import struct

import pytest

from studio import model_files
from studio.errors import BadInput
from studio.model_files import read_header, read_weights
from tests.model_folders import llama_shapes, safetensors, tiny_llama


def with_header(header: object, data: bytes = b"") -> bytes:
    written = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(written)) + written + data


def test_tensors_are_read_with_their_places(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors({"a": (2, 3), "b": (4,)}))
    found = read_header(path)
    assert {name: (tensor.dtype, tensor.shape, tensor.size) for name, tensor in found.items()} == {
        "a": ("F32", (2, 3), 24),
        "b": ("F32", (4,), 16),
    }
    assert found["b"].start == found["a"].start + 24


WHOLE = safetensors({"a": (2, 3), "b": (4,)})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (WHOLE[:-5], r"cut off: its tensors need \d+ bytes, and \d+ are there"),
        (WHOLE + b"xx", "too long"),
        (WHOLE[:40], "cut off: its header alone needs"),
        (b"", "has 0 bytes"),
        (b"short", "has 5 bytes"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12345\n", "Git LFS pointer"),
        (b"PK\x03\x04" + b"\0" * 100, "pickle under another name"),
        (b"\x80\x02" + b"}q\x00." * 30, "pickle under another name"),
        (b"GGUF" + b"\0" * 100, "GGUF"),
        (b"<!DOCTYPE html><html>not found</html>" * 3, "web page"),
        (struct.pack("<Q", 1 << 60) + b"{}" * 50, "says that its header has 1,152,921,504,606,846,976 bytes"),
        (with_header(b"[" * 100_000), "cannot be read"),
        (with_header(b"nonsense"), "cannot be read"),
        (with_header(b"\xff\xfe\xff"), "cannot be read"),
        (with_header([1, 2]), "no JSON object"),
        (with_header(b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"x"), "stands in it twice"),
        (with_header({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 1]}}, b"x"), "entry for a is wrong"),
        (with_header({"a": {"dtype": "F77", "shape": [1], "data_offsets": [0, 4]}}, b"xxxx"), "entry for a is wrong"),
        (with_header({"a": {"dtype": "U8", "shape": [-1], "data_offsets": [0, -1]}}, b"x"), "entry for a is wrong"),
        (with_header({"a": {"dtype": "U8", "shape": [True], "data_offsets": [0, 1]}}, b"x"), "entry for a is wrong"),
        (with_header({"a": {"dtype": "U8", "shape": [1.0], "data_offsets": [0, 1]}}, b"x"), "entry for a is wrong"),
        (with_header({"a": {"dtype": "U8", "shape": [1] * 99, "data_offsets": [0, 1]}}, b"x"), "entry for a is wrong"),
        (with_header({"a": {"dtype": ["U8"], "shape": [1], "data_offsets": [0, 1]}}, b"x"), "entry for a is wrong"),
        (with_header({"a": "U8"}, b"x"), "entry for a is wrong"),
        (with_header({"a": {"dtype": "U8", "shape": [10**30], "data_offsets": [0, 10**30]}}, b"x"), "cut off"),
        (with_header({"a": {"dtype": "U8", "shape": [1], "data_offsets": [1, 2]}}, b"xx"), "does not begin where the one before it ends"),
        (with_header({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}, "b": {"dtype": "U8", "shape": [2], "data_offsets": [1, 3]}}, b"x" * 3),
         "does not begin where"),
    ],
)  # fmt: skip
def test_a_broken_file_is_told_by_its_name_and_with_what_is_wrong(tmp_path, content, said):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=said) as refused:
        read_header(path)
    assert "model.safetensors" in refused.value.problem
    assert refused.value.fix


def shards(folder, count=3, index=True):
    names = list(llama_shapes(100))
    files = [f"model-{number:05d}-of-{count:05d}.safetensors" for number in range(1, count + 1)]
    shapes = llama_shapes(100)
    weight_map = {}
    for number, file in enumerate(files):
        own = names[number::count]
        (folder / file).write_bytes(safetensors({name: shapes[name] for name in own}, seed=number))
        weight_map |= dict.fromkeys(own, file)
    if index:
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return files, weight_map


@pytest.mark.parametrize("index", [True, False], ids=["with index", "without index"])
def test_shards_together_are_one_model(tmp_path, index):
    files, _ = shards(tmp_path, index=index)
    weights = read_weights(tmp_path)
    assert [path.name for path in weights.files] == files
    assert set(weights.tensors) == set(llama_shapes(100))


@pytest.mark.parametrize("index", [True, False], ids=["with index", "without index"])
def test_missing_shards_are_listed(tmp_path, index):
    files, _ = shards(tmp_path, index=index)
    (tmp_path / files[1]).unlink()
    with pytest.raises(BadInput, match=r"Of 3 files of weights 1 are missing: model-00002-of-00003\.safetensors"):
        read_weights(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "../other/model.safetensors",
        "/etc/passwd",
        "sub/model.safetensors",
        "a\\b.safetensors",
        "x.bin",
        "a\0.safetensors",
    ],
)
def test_an_index_cannot_lead_out_of_the_folder(tmp_path, name):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model.safetensors").write_bytes(WHOLE)
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(BadInput, match="no safetensors file of this folder"):
        read_weights(model)


def test_an_index_that_is_at_odds_with_its_shards_is_refused(tmp_path):
    files, weight_map = shards(tmp_path)
    weight_map["model.norm.weight"] = next(file for file in files if file != weight_map["model.norm.weight"])
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(BadInput, match=r"says that model\.norm\.weight is in"):
        read_weights(tmp_path)


@pytest.mark.parametrize(
    "value", ["[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": 1}}', "{", '{"weight_map": {}}']
)
def test_an_index_without_a_map_is_refused(tmp_path, value):
    (tmp_path / "model.safetensors.index.json").write_text(value)
    with pytest.raises(BadInput, match=r"model\.safetensors\.index\.json"):
        read_weights(tmp_path)


def test_a_tensor_in_two_shards_is_refused(tmp_path):
    for number in (1, 2):
        (tmp_path / f"model-0000{number}-of-00002.safetensors").write_bytes(WHOLE)
    with pytest.raises(
        BadInput, match=r"The tensor a is in model-00001-of-00002\.safetensors and in model-00002-of-00002\.safetensors"
    ):
        read_weights(tmp_path)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], r"There is no model\.safetensors"),
        (["pytorch_model.bin"], r"only there as pytorch_model\.bin"),
        (["model.gguf"], r"only there as model\.gguf"),
        (["adapter_config.json", "adapter_model.safetensors"], "holds an adapter"),
        (["one.safetensors", "two.safetensors"], "several safetensors files and no index"),
        (["model-00001-of-00000.safetensors"], "holds no weights|no weights"),
    ],
)
def test_a_folder_without_usable_weights_says_what_it_has_instead(tmp_path, files, said):
    for name in files:
        (tmp_path / name).write_bytes(with_header({}) + b"")
    with pytest.raises(BadInput, match=said):
        read_weights(tmp_path)


def test_the_only_safetensors_file_is_taken_under_any_name(tmp_path):
    (tmp_path / "story model.safetensors").write_bytes(WHOLE)
    assert set(read_weights(tmp_path).tensors) == {"a", "b"}


def test_links_may_lead_within_the_models_folder_but_not_out_of_it(tmp_path):
    root, elsewhere = tmp_path / "models", tmp_path / "elsewhere"
    (root / "blobs").mkdir(parents=True)
    (root / "snapshot").mkdir()
    elsewhere.mkdir()
    (root / "blobs" / "1234").write_bytes(WHOLE)
    (elsewhere / "secret").write_bytes(WHOLE)
    link = root / "snapshot" / "model.safetensors"
    link.symlink_to("../blobs/1234")
    assert set(read_weights(root / "snapshot", root).tensors) == {"a", "b"}
    link.unlink()
    link.symlink_to(elsewhere / "secret")
    with pytest.raises(BadInput, match=r"model\.safetensors is a link that leads out of the models folder"):
        read_weights(root / "snapshot", root)


def test_the_fingerprint_is_that_of_the_weights_however_they_are_cut_and_ordered(tmp_path):
    for name in ("one", "two", "turned"):
        (tmp_path / name).mkdir()
    shapes = {"a": (2, 3), "b": (2, 3)}
    same = {name: safetensors({name: shape})[-24:] for name, shape in shapes.items()}
    one = {
        "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "b": {"dtype": "F32", "shape": [2, 3], "data_offsets": [24, 48]},
    }
    (tmp_path / "one" / "model.safetensors").write_bytes(with_header(one, same["a"] + same["b"]))
    turned = {
        "b": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [24, 48]},
    }
    (tmp_path / "turned" / "model.safetensors").write_bytes(
        with_header({"__metadata__": {"x": "y"}, **turned}, same["b"] + same["a"])
    )
    for number, name in enumerate(shapes, 1):
        (tmp_path / "two" / f"model-0000{number}-of-00002.safetensors").write_bytes(safetensors({name: (2, 3)}))
    prints = {read_weights(tmp_path / name).fingerprint() for name in ("one", "two", "turned")}
    assert len(prints) == 1


def test_one_changed_byte_one_renamed_tensor_or_another_shape_changes_the_fingerprint(tmp_path):
    path = tmp_path / "model.safetensors"
    prints = set()
    changed = bytearray(WHOLE)
    changed[-1] ^= 1
    for content in (
        WHOLE,
        bytes(changed),
        safetensors({"a": (2, 3), "c": (4,)}),
        safetensors({"a": (3, 2), "b": (4,)}),
        safetensors({"a": (2, 3), "b": (8,)}, "F16"),
    ):
        path.write_bytes(content)
        prints.add(read_weights(tmp_path).fingerprint())
    assert len(prints) == 5


def test_a_large_model_is_sampled_from_its_first_byte_to_its_last(tmp_path, monkeypatch):
    monkeypatch.setattr(model_files, "WHOLE_BYTES", 1000)
    monkeypatch.setattr(model_files, "BLOCK", 16)
    path = tmp_path / "model.safetensors"
    content = bytearray(safetensors({"a": (1000,)}))
    prints = []
    for place in (None, -4000, -1, -2000):  # the first, the last and a middle byte are looked at
        if place is not None:
            content[place] ^= 1
        path.write_bytes(bytes(content))
        prints.append(read_weights(tmp_path).fingerprint())
    assert len(set(prints[:3])) == 3
    monkeypatch.setattr(model_files, "WHOLE_BYTES", 1 << 30)
    assert read_weights(tmp_path).fingerprint() not in prints


def test_a_model_folder_says_how_large_it_is(tmp_path):
    folder = tiny_llama(tmp_path / "model")
    assert read_weights(folder).size_bytes == (folder / "model.safetensors").stat().st_size


def test_a_git_lfs_pointer_that_somebody_published_is_recognised(shared_data):
    pointers = [path for path in (shared_data / "adapters").rglob("*.safetensors") if path.stat().st_size < 200]
    assert pointers
    for path in pointers:
        with pytest.raises(BadInput, match="Git LFS pointer"):
            read_header(path)
