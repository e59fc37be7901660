"""The table of T2T's flags: complete, true of our programs, and what they answer."""

import importlib.util
import re

import pytest

from t2t_multimodel.bin.t2t_flags.refusal import refusal
from t2t_multimodel.bin.t2t_flags.row import (
    DIFFERENT,
    LATER,
    LEFT_OUT,
    NOT_YET,
    RENAMED,
    SAME,
)
from t2t_multimodel.bin.t2t_flags.table import STANDS_FOR, TABLE, program_of_ours
from t2t_multimodel.bin.t2t_flags.trainer import SCHEDULES
from t2t_multimodel.decoding.decode_hparams import DecodeHParams

MODULES = {
    ours: importlib.import_module(f"t2t_multimodel.bin.{ours.replace('-', '_')}")
    for ours in STANDS_FOR
}
FLAGS = {ours: module.define_flags() for ours, module in MODULES.items()}
OURS = {row.program: program_of_ours(row.program) for row in TABLE}

# All flags of T2T's programs, from its documentation and sources.
T2T_FLAGS = {
    "t2t-trainer": """
        model hparams_set problems data_dir output_dir hparams hparams_range
        registry_help t2t_usr_dir generate_data tmp_dir train_steps eval_steps schedule
        local_eval_frequency save_checkpoints_secs keep_checkpoint_max
        keep_checkpoint_every_n_hours eval_early_stopping_steps
        eval_early_stopping_metric eval_early_stopping_metric_delta
        eval_early_stopping_metric_minimize eval_run_autoregressive eval_use_test_set
        random_seed worker_gpu worker_gpu_memory_fraction gpu_order worker_replicas
        worker_id worker_job ps_replicas ps_gpu ps_job sync master locally_shard_to_cpu
        log_device_placement enable_graph_rewriter profile dbgprofile tfdbg
        decode_hparams use_tpu tpu_num_shards iterations_per_loop tpu_infeed_sleep_secs
        cloud_tpu cloud_vm_name cloud_tpu_name cloud_delete_on_done cloud_mlengine
        cloud_mlengine_master_type autotune_objective autotune_maximize
        autotune_max_trials autotune_parallel_trials job-dir export_saved_model

        daisy_chain_variables eval_print experimental_optimize_placement
        decode_interactive decode_from_file decode_to_file decode_problem_id
        decode_beam_size decode_alpha decode_extra_length decode_batch_size
        decode_return_beams decode_use_last_position_only decode_shards
        decode_save_images decode_endless""",
    "t2t-datagen": """
        data_dir tmp_dir problem exclude_problems num_shards max_cases only_list
        random_seed task_id task_id_start task_id_end num_concurrent_processes
        t2t_usr_dir timit_paths parsing_path ende_bpe_path""",
    "avg_checkpoints.py": "checkpoints num_last_checkpoints prefix output_path",
    "t2t-avg-all": "model_dir output_dir n min_steps wait_minutes",
    "t2t-bleu": """
        source reference translation translations_dir event_dir bleu_variant tag_suffix
        min_steps wait_minutes report_zero""",
    "t2t-make-tf-configs": "workers masters ps",
    # Of their own; they take the trainer's as well.
    "t2t-exporter": "decode_hparams",
    "t2t-decoder": """
        decode_from_file decode_to_file decode_interactive decode_shards
        checkpoint_path keep_timestamp""",
}
T2T_SCHEDULES = """
    local_run train evaluate train_and_evaluate continuous_train_and_eval
    continuous_eval continuous_eval_on_train_data run_std_server test"""

DROPPED = [row for row in TABLE if row.fate not in (SAME, DIFFERENT)]


def ids(row):
    return f"{row.program} {row.name}"


def answer(capsys, program, *argv):
    """Returns the one line that the program refuses a command with."""
    assert MODULES[program].main(argv) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    return line.removeprefix(f"{program}: ")


@pytest.mark.parametrize("program", T2T_FLAGS)
def test_every_flag_of_t2t_has_one_row(program):
    names = [row.name for row in TABLE if row.program == program]
    assert len(names) == len(set(names))
    assert set(T2T_FLAGS[program].split()) <= set(names)
    if program not in ("t2t-exporter", "t2t-decoder"):
        later = {r.name for r in TABLE if r.program == program and r.releases == LATER}
        assert set(names) - later == set(T2T_FLAGS[program].split())


@pytest.mark.parametrize("row", [r for r in TABLE if r.fate == SAME], ids=ids)
def test_what_is_the_same_is_there(row):
    flag = FLAGS[OURS[row.program]][row.name]
    assert flag.boolean == row.is_boolean or not row.default
    if row.default not in ("", str(flag.default)):  # A path, or with a reason.
        assert row.text or str(flag.default).endswith(row.default)


@pytest.mark.parametrize("row", [r for r in TABLE if r.fate == DIFFERENT], ids=ids)
def test_what_means_something_else_is_there_and_says_so(row):
    flags = FLAGS[OURS[row.program]]
    assert row.name in flags
    assert any(f"--{name}" in row.text for name in flags if name != row.name)


@pytest.mark.parametrize("row", DROPPED, ids=ids)
def test_what_is_not_the_same_is_refused_with_its_row(capsys, row):
    program = OURS[row.program]
    assert row.name not in FLAGS[program]
    forms = [[f"--{row.name}=1"], [f"--{row.name}", "1"], [f"-{row.name}"]]
    if row.is_boolean:
        forms.append([f"--no{row.name}"])
    is_what = "now" if row.fate == RENAMED else f"{row.fate}:"
    for form in forms:
        line = answer(capsys, program, *form)
        assert line == f"T2T's --{row.name} is {is_what} {row.text}"


@pytest.mark.parametrize("row", DROPPED, ids=ids)
def test_what_a_row_advises_exists(row):
    known = {name for flags in FLAGS.values() for name in flags}
    for name in re.findall(r"--([a-z_]+)", row.text):
        of_other = re.search(rf"--{name}\S* of (t2t-mm-[a-z-]+)", row.text)
        # A renamed flag is one of the same program, if no other one is named.
        flags = FLAGS[of_other[1] if of_other else OURS[row.program]]
        assert name in (flags if row.fate == RENAMED else known)
    for program in re.findall(r"t2t-mm-[a-z-]+", row.text):
        module = f"t2t_multimodel.bin.{program.replace('-', '_')}"
        assert importlib.util.find_spec(module)
    for text in re.findall(r"--decode_hparams=(\S+)", row.text):
        assert DecodeHParams.parse(text.replace("NUMBER", "3"))
    assert row.text and row.fate in (RENAMED, LEFT_OUT, NOT_YET)


@pytest.mark.parametrize(
    "program, argv, said",
    [
        (
            "t2t-mm-trainer",
            ["--hp_dropout", "0.1"],
            "T2T's --hp_dropout is now --hparams=dropout=VALUE",
        ),
        (
            "t2t-mm-decoder",
            ["--hp_dropout=0.1"],
            "T2T's --hp_dropout is left out: it is read back from the run",
        ),
        (
            "t2t-mm-decoder",
            ["--hparams_set=multimodel_tiny"],
            "T2T's --hparams_set is left out: it is read back from the run in --output",
        ),
        (
            "t2t-mm-decoder",
            ["--save_checkpoints_secs=3"],
            "T2T's --save_checkpoints_secs is left out: it is read back from the run",
        ),
        (
            "t2t-mm-decoder",
            ["--decode_batch_size=3"],
            "T2T's --decode_batch_size is now --decode_hparams=batch_size=NUMBER",
        ),
        (
            "t2t-mm-exporter",
            ["--hparams_set=multimodel_tiny"],
            "T2T's --hparams_set is left out: it is read back from the run in --output",
        ),
        (
            "t2t-mm-exporter",
            ["--decode_beam_size=4"],
            "T2T's --decode_beam_size is now --decode_hparams=beam_size=NUMBER of t2t-",
        ),
        ("t2t-mm-decoder", ["--nouse_tpu"], "T2T's --use_tpu is left out: there is no"),
        (
            "t2t-mm-datagen",
            ["--hp_dropout=1"],
            "Unknown command line flag 'hp_dropout'",
        ),
        (
            "t2t-mm-datagen",
            ["--worker_gpu=1"],
            "Unknown command line flag 'worker_gpu'",
        ),
        ("t2t-mm-trainer", ["--nooutput_dir"], "Unknown command line flag 'nooutput_d"),
        (
            "t2t-mm-trainer",
            ["--data_dri=x"],
            "Unknown command line flag 'data_dri'. Did you mean: data_dir",
        ),
    ],
)
def test_each_program_answers_for_itself(capsys, program, argv, said):
    assert answer(capsys, program, *argv).startswith(said)


def test_all_flags_of_an_old_command_are_answered_at_once(capsys):
    old = (
        "--model=multi_model --problems=mini8 --worker_gpu 4 --nosync --hp_dropout 0.1"
    )
    line = answer(capsys, "t2t-mm-trainer", *old.split(), "--model=transformer")
    for name in ("model", "sync", "hp_dropout"):
        assert line.count(f"T2T's --{name} is ") == 1
    assert "problems" not in line and "worker_gpu" not in line


def test_what_follows_two_dashes_is_no_flag():
    assert refusal("t2t-mm-trainer", ["a", "--", "--model=x"], set()) == ""


def test_every_schedule_of_t2t_has_a_row():
    assert set(SCHEDULES) == set(T2T_SCHEDULES.split())


@pytest.mark.parametrize("schedule", [*SCHEDULES, "nonsense"])
def test_schedules_are_taken_or_answered(capsys, schedule):
    fate, text = SCHEDULES.get(schedule, (LEFT_OUT, "it should be one of train"))
    line = answer(capsys, "t2t-mm-trainer", f"--schedule={schedule}")
    if fate == SAME:
        assert "schedule" not in line  # but what else is missing
        return
    assert line.startswith(f"flag --schedule={schedule}: ")
    assert text in line and "train_and_evaluate" in line
