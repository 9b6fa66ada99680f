"""Every recogniser on real instruction data made by others: formats, counts, findings, and plain refusals."""

import bz2
import gzip
import lzma
from pathlib import Path

import pytest

from studio.dataset_reading import ReadingRequest, read_file
from studio.dataset_report import Report
from studio.errors import BadInput

# file: (family, container, rows accepted, rows reported, {kind of finding: how many})
READ = {
    "arrow/tinybook_dataset.arrow": ("text", "arrow", 453, 0, {}),
    "axolotl/alpaca.json": ("alpaca", "json", 2, 0, {}),
    "axolotl/conversation.json": ("sharegpt", "json", 1, 0, {"few": 1}),  # one conversation as a top-level object
    "axolotl/conversation.missingturns.json": ("sharegpt", "json", 0, 1, {"empty": 1}),
    "codealpaca/code_alpaca_2k.json": ("alpaca", "json", 2015, 2, {"empty": 2, "placeholder": 2}),
    "codealpaca/new_codealpaca.json": ("alpaca", "json", 4535, 0, {}),
    "codealpaca/seed_tasks.jsonl": ("alpaca", "jsonl", 21, 0, {}),  # nested instances
    "fairytaleqa/valid.json": ("question_answer", "json", 1025, 0, {}),
    "fastchat/data_dummy_conversation.json": ("sharegpt", "json", 500, 0, {}),
    "gpteacher/codegen-instruct.json": ("alpaca", "json", 4535, 0, {}),  # with response
    "gpteacher/roleplay-simple-deduped-roleplay-instruct.json": ("alpaca", "json", 1923, 0, {}),
    "gpteacher/toolformer-similarity-0.6-dataset.json": ("alpaca", "json", 2396, 0, {"column": 1}),
    "gsm8k/train.jsonl": ("question_answer", "jsonl", 7473, 0, {}),
    "llamafactory/README.md": ("text", "text", 3, 0, {}),
    "llamafactory/alpaca_en_demo.json": ("alpaca", "json", 999, 0, {"duplicate": 14}),
    "llamafactory/alpaca_zh_demo.json": ("alpaca", "json", 1000, 0, {"duplicate": 8}),
    "llamafactory/c4_demo.jsonl": ("text", "jsonl", 300, 0, {}),
    "llamafactory/dpo_en_demo.json": ("preference_conversation", "json", 299, 0, {"duplicate": 5}),
    "llamafactory/dpo_zh_demo.json": ("preference_conversation", "json", 300, 0, {"duplicate": 11}),
    "llamafactory/glaive_toolcall_en_demo.json": ("sharegpt", "json", 300, 0, {"tool": 153, "duplicate": 35, "tools": 38}),
    "llamafactory/glaive_toolcall_zh_demo.json": ("sharegpt", "json", 300, 0, {"tool": 159, "tools": 41, "duplicate": 43}),
    "llamafactory/identity.json": ("alpaca", "json", 91, 0, {"placeholder": 85}),
    "llamafactory/kto_en_demo.json": ("kto", "json", 150, 150, {"verdict": 150, "placeholder": 2}),  # the bad answers are reported
    "llamafactory/reason_tool_use_demo_50.jsonl": ("messages", "jsonl", 50, 0, {"tools": 17, "tool": 31}),  # thoughts and calls of tools as parts
    "llamafactory/v1_dpo_demo.jsonl": ("preference_whole", "jsonl", 10, 0, {}),
    "llamafactory/v1_sft_demo.jsonl": ("messages", "jsonl", 500, 0, {"placeholder": 50, "duplicate": 1}),
    "llamafactory/wiki_demo.txt": ("text", "text", 30, 0, {}),  # an article on each line
    "ms_chitchat/chinese_simplified_friendly.qna": ("question_answer", "qna", 18522, 0, {}),
    "ms_chitchat/chit-chat-dataset.md": ("text", "text", 2, 0, {}),
    "ms_chitchat/english_caring.qna": ("question_answer", "qna", 9793, 0, {}),
    "ms_chitchat/english_enthusiastic.qna": ("question_answer", "qna", 9793, 0, {}),
    "ms_chitchat/english_friendly.qna": ("question_answer", "qna", 9793, 0, {}),
    "ms_chitchat/english_professional.qna": ("question_answer", "qna", 9793, 0, {}),
    "ms_chitchat/english_witty.qna": ("question_answer", "qna", 9793, 0, {}),
    "ms_chitchat/french_friendly.qna": ("question_answer", "qna", 16262, 0, {}),
    "ms_chitchat/german_friendly.qna": ("question_answer", "qna", 8803, 0, {}),
    "ms_chitchat/italian_friendly.qna": ("question_answer", "qna", 20027, 0, {}),
    "ms_chitchat/japanese_friendly.qna": ("question_answer", "qna", 15312, 0, {}),
    "ms_chitchat/korean_friendly.qna": ("question_answer", "qna", 6334, 0, {}),
    "ms_chitchat/portuguese_friendly.qna": ("question_answer", "qna", 10018, 0, {}),
    "ms_chitchat/spanish_friendly.qna": ("question_answer", "qna", 19313, 0, {}),
    "ms_swift/alpaca.jsonl": ("alpaca", "jsonl", 3, 0, {}),  # with history and system
    "ms_swift/chatml.jsonl": ("messages", "jsonl", 3, 0, {}),
    "ms_swift/conversations.jsonl": ("sharegpt", "jsonl", 3, 0, {}),
    "ms_swift/multi_modal_1.jsonl": ("prompt_completion", "jsonl", 1, 2, {"picture": 2, "few": 1}),
    "ms_swift/sharegpt.jsonl": ("sharegpt", "jsonl", 3, 0, {}),
    "ms_swift/swift_multi.json": ("prompt_completion", "json", 3, 0, {}),
    "ms_swift/swift_multi.jsonl": ("prompt_completion", "jsonl", 3, 0, {}),
    "oasst/en_100_message.jsonl": ("oasst", "jsonl", 100, 0, {"branches": 100}),
    "oasst/en_100_tree.jsonl": ("oasst", "jsonl", 100, 0, {"branches": 100}),
    "openai_cookbook/toy_chat_fine_tuning.jsonl": ("messages", "jsonl", 4, 1, {"order": 1}),
    "self_instruct/seed_tasks.jsonl": ("alpaca", "jsonl", 175, 0, {}),
    "self_instruct/t0_duorc_SelfRC_movie_director.jsonl": ("prompt_completion", "jsonl", 200, 0, {"control": 200}),
    "self_instruct/t0_gigaword_write_its_sentence.jsonl": ("prompt_completion", "jsonl", 200, 0, {"control": 200, "duplicate": 15}),
    "self_instruct/t0_sciq_Direct_Question.jsonl": ("prompt_completion", "jsonl", 200, 0, {"control": 200}),
    "self_instruct/t0_wiki_hop_original_generate_object.jsonl": ("prompt_completion", "jsonl", 200, 0, {"control": 200}),
    "self_instruct/user_oriented_instructions.jsonl": ("alpaca", "jsonl", 252, 0, {}),
    "torchtune/alpaca_tiny.json": ("alpaca", "json", 100, 0, {}),
    "torchtune/chat_tiny.json": ("sharegpt", "json", 1, 0, {"few": 1}),
    "torchtune/hh_rlhf_tiny.json": ("preference_whole", "json", 1, 0, {"few": 1}),
    "torchtune/instruct_tiny.json": ("alpaca", "json", 2, 0, {}),
    "torchtune/stack_exchange_paired_tiny.json": ("preference", "json", 25, 0, {}),
}  # fmt: skip
ASKED = {  # columns that no format knows: (rows, the suggested mapping)
    "fairytaleqa/valid.csv": (1025, {"prompt": "question", "context": "content", "response": "answer1"}),
}
REFUSED = {
    "axolotl/conversation.tokenized.json": "token numbers",
    "axolotl/conversation.tokenized_llama2chat.json": "token numbers",
    "fastchat/mt_bench_question.jsonl": "questions without answers",
    "fastchat/vicuna_bench_question.jsonl": "questions without answers",
    "gpteacher/roleplay-simple-deduped-roleplay-instruct.yaml": "YAML",
    "llamafactory/dataset_info.json": "only says which data there is",
    "llamafactory/mllm_demo.json": "pictures, sounds or films",
    "negative/lfs_pointer.jsonl": "Git LFS pointer",
    "negative/lfs_pointer.parquet": "Git LFS pointer",
}
PAIRS = {"preference", "preference_conversation", "preference_whole"}


def read(shared_data: Path, name: str, **request) -> Report:
    path = shared_data / "instruct" / name
    return read_file(ReadingRequest(file=path, file_name=path.name, **request), None)


@pytest.mark.parametrize("name", READ)
def test_real_data_is_recognised_and_every_row_is_accepted_or_reported(shared_data, name):
    family, container, accepted, reported, kinds = READ[name]
    report = read(shared_data, name)
    assert (report.format, report.container, report.rows_ready, report.rows_bad) == (
        family,
        container,
        accepted,
        reported,
    )
    assert report.rows_total == accepted + reported
    assert report.kinds == kinds
    assert report.reason.startswith(
        f"Seen as {report.format_title}: {report.rows_total:,} of {report.rows_total:,} row"
    )
    if family in PAIRS:
        assert (report.kind, report.turns) == ("preference", accepted)
    if container not in ("parquet", "arrow"):
        assert all(found.line is not None and found.row is not None for found in report.bad)
    if container == "text":  # nothing is lost but what stands between two documents
        assert report.characters > 0.98 * len((shared_data / "instruct" / name).read_text())


def test_real_data_with_marked_answers_says_so(shared_data):
    assert read(shared_data, "llamafactory/v1_sft_demo.jsonl").marked_rows == 500


@pytest.mark.parametrize("name", ASKED)
def test_real_data_with_columns_of_its_own_asks_for_a_mapping(shared_data, name):
    rows, mapping = ASKED[name]
    report = read(shared_data, name)
    assert report.needs_mapping
    assert (report.rows_total, report.mapping) == (rows, mapping)


def test_real_data_with_columns_of_its_own_is_read_with_the_suggested_mapping(shared_data):
    name = "fairytaleqa/valid.csv"
    report = read(shared_data, name, mapping=read(shared_data, name).mapping)
    assert (report.rows_ready, report.rows_bad) == (1025, 0)
    assert report.unused_columns == ["story_name", "answer2", "local_or_sum", "attribute", "ex_or_im", "ex_or_im2"]


@pytest.mark.parametrize("name", REFUSED)
def test_real_data_that_cannot_be_learned_from_is_refused_plainly(shared_data, name):
    with pytest.raises(BadInput) as refused:
        read(shared_data, name)
    assert REFUSED[name] in refused.value.problem
    assert refused.value.fix


def test_every_real_file_has_its_expectation(shared_data):
    files = {
        str(path.relative_to(shared_data / "instruct"))
        for path in (shared_data / "instruct").rglob("*")
        if path.is_file()
    }
    assert files == READ.keys() | ASKED.keys() | REFUSED.keys()


def test_whatever_real_data_is_compressed_with_it_is_read_the_same(shared_data, tmp_path):
    plain = (shared_data / "instruct/torchtune/alpaca_tiny.json").read_bytes()
    for name, pack in {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}.items():
        path = tmp_path / "packed"
        path.write_bytes(pack(plain))
        report = read_file(ReadingRequest(file=path, file_name="packed"), None)
        assert (report.packed, report.format, report.rows_ready) == (name, "alpaca", 100)


def test_the_first_bad_row_of_real_data_is_where_it_stands_in_the_file(shared_data):
    found = read(shared_data, "codealpaca/code_alpaca_2k.json").bad[0]
    lines = (shared_data / "instruct/codealpaca/code_alpaca_2k.json").read_text().splitlines()
    assert lines[found.line - 1].strip() == "{"
    assert any('"output": ""' in line for line in lines[found.line : found.line + 4])
