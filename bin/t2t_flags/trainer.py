"""The flags of t2t-trainer, v1.4.4 and v1.0.x, and the values of its --schedule."""

from collections.abc import Mapping

from t2t_multimodel.bin.t2t_flags.row import (
    LATER,
    LEFT_OUT,
    NOT_YET,
    RENAMED,
    SAME,
    V1_0,
    Fate,
    rows,
)

_TRAINER = "t2t-trainer"
TRAINER_ROWS = (
    rows(
        _TRAINER,
        SAME,
        "hparams_set data_dir output_dir hparams t2t_usr_dir generate_data=False "
        "tmp_dir=t2t_datagen train_steps=250000 local_eval_frequency=1000 "
        "keep_checkpoint_max=20 eval_use_test_set=False random_seed=1234",
    ),
    rows(_TRAINER, SAME, "problems", "several, joined by -, and groups"),
    rows(_TRAINER, SAME, "registry_help=False", "problems, groups and hparams sets"),
    rows(
        _TRAINER, SAME, "eval_steps=10000", "0 takes the whole split (v1.0.x took 10)"
    ),
    rows(
        _TRAINER,
        SAME,
        "schedule=continuous_train_and_eval",
        "fewer values, see the table above",
    ),
    rows(_TRAINER, RENAMED, "problem", "--problems", LATER),
    rows(
        _TRAINER,
        RENAMED,
        "save_checkpoints_secs=0",
        "--save_checkpoints_steps, so that a run can be repeated exactly",
    ),
    rows(
        _TRAINER,
        RENAMED,
        "decode_hparams",
        "--decode_hparams of t2t-mm-decoder, and no flag of the trainer",
    ),
    rows(
        _TRAINER,
        NOT_YET,
        "eval_early_stopping_steps eval_early_stopping_metric=loss "
        "eval_early_stopping_metric_delta=0.1 eval_early_stopping_metric_minimize=True",
        "stop with Ctrl-C when metrics.jsonl shows it, and give the best step to "
        "--checkpoint_path of t2t-mm-decoder",
    ),
    rows(
        _TRAINER,
        SAME,
        "worker_gpu=1",
        "where there is no GPU, logical CPUs; replicas share the problems of a step",
    ),
    rows(
        _TRAINER,
        LEFT_OUT,
        "worker_replicas=1 worker_id=0 worker_job=/job:localhost master",
        "the variable TF_CONFIG tells a trainer of its group; t2t-mm-make-tf-configs "
        "prints one for every host, and t2t-mm-launch starts a group on one machine",
    ),
    rows(
        _TRAINER,
        RENAMED,
        "locally_shard_to_cpu=False",
        "--worker_gpu=NUMBER, which takes logical CPUs where there is no GPU",
    ),
    rows(_TRAINER, RENAMED, "export_saved_model=False", "the program t2t-mm-exporter"),
    rows(_TRAINER, LEFT_OUT, "model", "there is one model, multi_model; leave it out"),
    rows(
        _TRAINER,
        LEFT_OUT,
        "keep_checkpoint_every_n_hours=10000",
        "raise --keep_checkpoint_max, or copy the folder of a checkpoint",
    ),
    rows(
        _TRAINER,
        LEFT_OUT,
        "eval_run_autoregressive=False",
        "--decode_eval_examples decodes and scores examples at every evaluation",
    ),
    rows(
        _TRAINER,
        LEFT_OUT,
        "ps_replicas=0 ps_gpu=0 ps_job=/job:ps sync=False",
        "Keras 3 has no parameter servers, and every step is synchronous; leave it out",
    ),
    rows(
        _TRAINER,
        LEFT_OUT,
        "worker_gpu_memory_fraction=0.95",
        "set the variable TF_FORCE_GPU_ALLOW_GROWTH=true to share a GPU",
    ),
    rows(
        _TRAINER,
        LEFT_OUT,
        "gpu_order",
        "set the variable CUDA_VISIBLE_DEVICES to the GPUs in their order",
    ),
    rows(
        _TRAINER,
        LEFT_OUT,
        "log_device_placement=False enable_graph_rewriter=False profile=False "
        "dbgprofile=False tfdbg=False",
        "it was a tool for TensorFlow 1's sessions, which are gone; leave it out",
    ),
    rows(
        _TRAINER,
        LEFT_OUT,
        "use_tpu=False tpu_num_shards=8 iterations_per_loop=100 tpu_infeed_sleep_secs",
        "there is no code for TPUs; without it, a GPU or the CPU is used",
    ),
    rows(
        _TRAINER,
        LEFT_OUT,
        "cloud_tpu=False cloud_vm_name cloud_tpu_name cloud_delete_on_done=False "
        "cloud_mlengine=False cloud_mlengine_master_type job-dir",
        "starting machines is left to the cloud's own tools; run the program there",
    ),
    rows(
        _TRAINER,
        LEFT_OUT,
        "hparams_range autotune_objective autotune_maximize=True "
        "autotune_max_trials=10 autotune_parallel_trials=1",
        "no search is built in; start a run for each setting with --hparams",
    ),
    *(
        rows(_TRAINER, RENAMED, flag, f"--{flag} of t2t-mm-decoder", V1_0)
        for flag in ("decode_from_file", "decode_to_file")
    ),
    rows(
        _TRAINER,
        RENAMED,
        "decode_interactive=False",
        "--decode_interactive of t2t-mm-decoder",
        V1_0,
    ),
    rows(
        _TRAINER,
        RENAMED,
        "decode_problem_id=0",
        "--problems=NAME of t2t-mm-decoder",
        V1_0,
    ),
    rows(
        _TRAINER,
        RENAMED,
        "decode_extra_length=50",
        "--decode_hparams=extra_length=NUMBER of t2t-mm-decoder",
        V1_0,
    ),
    rows(
        _TRAINER,
        RENAMED,
        "decode_batch_size=32",
        "--decode_hparams=batch_size=NUMBER of t2t-mm-decoder",
        V1_0,
    ),
    rows(
        _TRAINER,
        RENAMED,
        "decode_beam_size=4",
        "--decode_hparams=beam_size=NUMBER of t2t-mm-decoder",
        V1_0,
    ),
    rows(
        _TRAINER,
        RENAMED,
        "decode_alpha=0.6",
        "--decode_hparams=beam_size=NUMBER,alpha=NUMBER of t2t-mm-decoder",
        V1_0,
    ),
    rows(
        _TRAINER,
        RENAMED,
        "decode_return_beams=False",
        "--decode_hparams=beam_size=NUMBER,return_beams=true of t2t-mm-decoder",
        V1_0,
    ),
    rows(
        _TRAINER,
        LEFT_OUT,
        "decode_shards=1",
        "split the file and give each part to a t2t-mm-decoder",
        V1_0,
    ),
    rows(
        _TRAINER,
        LEFT_OUT,
        "decode_use_last_position_only=False",
        "t2t-mm-decoder never computes more than the next position; leave it out",
        V1_0,
    ),
    rows(
        _TRAINER,
        LEFT_OUT,
        "decode_save_images=False decode_endless=False eval_print=False",
        "it was for debugging; t2t-mm-decoder prints inputs, outputs and targets",
        V1_0,
    ),
    rows(
        _TRAINER,
        LEFT_OUT,
        "daisy_chain_variables=True experimental_optimize_placement=False",
        "variables are where they are used, nothing moves them; leave it out",
        V1_0,
    ),
)

SCHEDULES: Mapping[str, tuple[Fate, str]] = {
    "train_and_evaluate": (SAME, "trains, and evaluates on the way"),
    "train": (SAME, "trains only"),
    "evaluate": (SAME, "evaluates the latest checkpoint once"),
    "continuous_train_and_eval": (RENAMED, "train_and_evaluate"),
    "local_run": (RENAMED, "train_and_evaluate, and t2t-mm-decoder afterwards"),
    "test": (RENAMED, "train_and_evaluate with --train_steps=1 --eval_steps=1"),
    "continuous_eval": (LEFT_OUT, "train_and_evaluate evaluates in its own process"),
    "continuous_eval_on_train_data": (
        LEFT_OUT,
        "metrics.jsonl has the training loss of every step",
    ),
    "run_std_server": (LEFT_OUT, "there are no parameter servers"),
}
"""T2T's values of `--schedule`."""
