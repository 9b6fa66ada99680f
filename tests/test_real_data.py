"""Every recogniser on real instruction data made by others: formats, counts, findings, and plain refusals."""

from pathlib import Path

import pytest

from studio.dataset_reading import ReadingRequest, read_file
from studio.dataset_report import Report
from studio.errors import BadInput

# file: (format, container, rows, bad rows, {kind of finding: how many})
READ = {
    "axolotl/alpaca.json": ("alpaca", "json", 2, 0, {}),
    "axolotl/conversation.json": ("sharegpt", "json", 1, 0, {"few": 1}),  # one conversation as a top-level object
    "axolotl/conversation.missingturns.json": ("sharegpt", "json", 1, 1, {"empty": 1}),
    "codealpaca/code_alpaca_2k.json": ("alpaca", "json", 2017, 2, {"empty": 2, "placeholder": 2}),
    "codealpaca/new_codealpaca.json": ("alpaca", "json", 4535, 0, {}),
    "codealpaca/seed_tasks.jsonl": ("alpaca", "jsonl", 21, 0, {}),  # nested instances
    "fairytaleqa/valid.json": ("question_answer", "json", 1025, 0, {}),
    "fastchat/data_dummy_conversation.json": ("sharegpt", "json", 500, 0, {}),
    "gpteacher/codegen-instruct.json": ("alpaca", "json", 4535, 0, {}),  # with response
    "gpteacher/roleplay-simple-deduped-roleplay-instruct.json": ("alpaca", "json", 1923, 0, {}),
    "gpteacher/toolformer-similarity-0.6-dataset.json": ("alpaca", "json", 2396, 0, {"column": 1}),
    "gsm8k/train.jsonl": ("question_answer", "jsonl", 7473, 0, {}),
    "llamafactory/alpaca_en_demo.json": ("alpaca", "json", 999, 0, {"duplicate": 14}),
    "llamafactory/alpaca_zh_demo.json": ("alpaca", "json", 1000, 0, {"duplicate": 8}),
    "llamafactory/glaive_toolcall_en_demo.json": ("sharegpt", "json", 300, 153, {"tool": 153, "duplicate": 20}),
    "llamafactory/glaive_toolcall_zh_demo.json": ("sharegpt", "json", 300, 159, {"tool": 159, "duplicate": 21}),
    "llamafactory/identity.json": ("alpaca", "json", 91, 0, {"placeholder": 85}),
    "llamafactory/reason_tool_use_demo_50.jsonl": ("messages", "jsonl", 50, 50, {"type": 50}),
    "llamafactory/v1_sft_demo.jsonl": ("messages", "jsonl", 500, 0, {"placeholder": 50, "duplicate": 1}),
    "ms_swift/alpaca.jsonl": ("alpaca", "jsonl", 3, 0, {}),  # with history and system
    "ms_swift/chatml.jsonl": ("messages", "jsonl", 3, 0, {}),
    "ms_swift/conversations.jsonl": ("sharegpt", "jsonl", 3, 0, {}),
    "ms_swift/multi_modal_1.jsonl": ("prompt_completion", "jsonl", 3, 2, {"picture": 2, "few": 1}),
    "ms_swift/sharegpt.jsonl": ("sharegpt", "jsonl", 3, 0, {}),
    "ms_swift/swift_multi.json": ("prompt_completion", "json", 3, 0, {}),
    "ms_swift/swift_multi.jsonl": ("prompt_completion", "jsonl", 3, 0, {}),
    "openai_cookbook/toy_chat_fine_tuning.jsonl": ("messages", "jsonl", 5, 1, {"order": 1}),
    "self_instruct/seed_tasks.jsonl": ("alpaca", "jsonl", 175, 0, {}),
    "self_instruct/t0_duorc_SelfRC_movie_director.jsonl": ("prompt_completion", "jsonl", 200, 0, {"control": 200}),
    "self_instruct/t0_gigaword_write_its_sentence.jsonl": ("prompt_completion", "jsonl", 200, 0, {"control": 200, "duplicate": 15}),
    "self_instruct/t0_sciq_Direct_Question.jsonl": ("prompt_completion", "jsonl", 200, 0, {"control": 200}),
    "self_instruct/t0_wiki_hop_original_generate_object.jsonl": ("prompt_completion", "jsonl", 200, 0, {"control": 200}),
    "self_instruct/user_oriented_instructions.jsonl": ("alpaca", "jsonl", 252, 0, {}),
    "torchtune/alpaca_tiny.json": ("alpaca", "json", 100, 0, {}),
    "torchtune/chat_tiny.json": ("sharegpt", "json", 1, 0, {"few": 1}),
    "torchtune/instruct_tiny.json": ("alpaca", "json", 2, 0, {}),
}  # fmt: skip
TEXTS = {  # file: (container, documents)
    "llamafactory/README.md": ("text", 3),
    "llamafactory/c4_demo.jsonl": ("jsonl", 300),
    "llamafactory/wiki_demo.txt": ("text", 30),  # an article on each line
    "ms_chitchat/chit-chat-dataset.md": ("text", 2),
    "ms_chitchat/english_witty.qna": ("text", 35),
}
PAIRS = {  # file: (format, pairs, {kind of finding: how many})
    "llamafactory/dpo_en_demo.json": ("preference_conversation", 299, {"duplicate": 5}),
    "llamafactory/dpo_zh_demo.json": ("preference_conversation", 300, {"duplicate": 11}),
    "llamafactory/v1_dpo_demo.jsonl": ("preference_whole", 10, {}),
    "torchtune/hh_rlhf_tiny.json": ("preference_whole", 1, {"few": 1}),
    "torchtune/stack_exchange_paired_tiny.json": ("preference", 25, {}),
}
ASKED = {  # columns that no format knows: the suggested mapping
    "fairytaleqa/valid.csv": {"prompt": "question", "context": "content", "response": "answer1"},
    "fastchat/mt_bench_question.jsonl": {},
    "fastchat/vicuna_bench_question.jsonl": {},
    "llamafactory/dataset_info.json": {},
}
REFUSED = {
    "arrow/tinybook_dataset.arrow": "Arrow stream",
    "axolotl/conversation.tokenized.json": "token numbers",
    "axolotl/conversation.tokenized_llama2chat.json": "token numbers",
    "gpteacher/roleplay-simple-deduped-roleplay-instruct.yaml": "YAML",
    "llamafactory/kto_en_demo.json": "verdict (KTO",
    "llamafactory/mllm_demo.json": "pictures, sounds or films",
    "negative/lfs_pointer.jsonl": "Git LFS pointer",
    "negative/lfs_pointer.parquet": "Git LFS pointer",
    "oasst/en_100_message.jsonl": "trees of alternative messages",
    "oasst/en_100_tree.jsonl": "trees of alternative messages",
}
PLAIN_TEXT = ".qna"  # fifteen of them, all alike: questions and answers in a Markdown of their own


def read(shared_data: Path, name: str, **request) -> Report:
    path = shared_data / "instruct" / name
    return read_file(ReadingRequest(file=path, file_name=path.name, **request), None)


@pytest.mark.parametrize("name", READ)
def test_real_data_is_recognised_and_every_row_counted(shared_data, name):
    format, container, rows, bad, kinds = READ[name]
    report = read(shared_data, name)
    assert (report.format, report.container, report.rows_total, report.rows_bad) == (format, container, rows, bad)
    told = {kind: count for kind, count in report.kinds.items() if kind != "tools"}
    assert told == kinds
    assert report.rows_ready == rows - bad
    assert all(found.line is not None and found.row is not None for found in report.bad)


@pytest.mark.parametrize("name", TEXTS)
def test_real_texts_become_documents(shared_data, name):
    report = read(shared_data, name)
    assert (report.kind, report.container, report.rows_ready, report.rows_bad) == ("text", *TEXTS[name], 0)
    written = (shared_data / "instruct" / name).read_text()
    if report.container == "text":  # nothing is lost but what stands between two documents
        assert report.characters > 0.98 * len(written)


@pytest.mark.parametrize("name", PAIRS)
def test_real_preference_pairs_are_recognised_and_every_pair_counted(shared_data, name):
    report = read(shared_data, name)
    assert (report.kind, report.rows_bad) == ("preference", 0)
    assert (report.format, report.rows_ready, report.kinds) == PAIRS[name]
    assert report.turns == report.rows_ready


def test_real_data_with_marked_answers_says_so(shared_data):
    assert read(shared_data, "llamafactory/v1_sft_demo.jsonl").marked_rows == 500


@pytest.mark.parametrize("name", ASKED)
def test_real_data_with_columns_of_its_own_asks_for_a_mapping(shared_data, name):
    report = read(shared_data, name)
    assert report.needs_mapping
    assert report.mapping == ASKED[name]


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
    questions = {name for name in files if name.endswith(PLAIN_TEXT)}
    assert files - questions == (READ | ASKED | REFUSED | TEXTS | PAIRS).keys() - questions
    for name in questions:
        assert read(shared_data, name).kind == "text"


def test_the_first_bad_row_of_real_data_is_where_it_stands_in_the_file(shared_data):
    found = read(shared_data, "codealpaca/code_alpaca_2k.json").bad[0]
    lines = (shared_data / "instruct/codealpaca/code_alpaca_2k.json").read_text().splitlines()
    assert lines[found.line - 1].strip() == "{"
    assert any('"output": ""' in line for line in lines[found.line : found.line + 4])
