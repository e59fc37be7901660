"""The flags of T2T's other programs, v1.4.4 and v1.0.x."""

from t2t_multimodel.bin.t2t_flags.row import (
    DIFFERENT,
    LATER,
    LEFT_OUT,
    RENAMED,
    SAME,
    V1_0,
    rows,
)

_DATAGEN = "t2t-datagen"
DATAGEN_ROWS = (
    rows(
        _DATAGEN,
        SAME,
        "data_dir tmp_dir=t2t_datagen exclude_problems max_cases=0 only_list=False "
        "random_seed=429459 t2t_usr_dir",
    ),
    rows(_DATAGEN, SAME, "problem", "several, joined by -; --problems is the same"),
    rows(_DATAGEN, SAME, "num_concurrent_processes=10", "for every problem"),
    rows(
        _DATAGEN,
        LEFT_OUT,
        "num_shards=0",
        "num_shards of a Problem class or of a --problem_file says it",
    ),
    rows(
        _DATAGEN,
        LEFT_OUT,
        "task_id=-1 task_id_start=-1 task_id_end=-1",
        "--num_concurrent_processes divides the work, and a broken run is continued",
    ),
    rows(
        _DATAGEN,
        LEFT_OUT,
        "timit_paths",
        "TIMIT is no problem here; its shards, if T2T wrote them, can be read",
    ),
    rows(
        _DATAGEN,
        LEFT_OUT,
        "parsing_path",
        "parsing_english_ptb8k finds its trees in --tmp_dir (treebank_3, or "
        "NAME_train.trees); a --problem_file takes any others",
    ),
    rows(
        _DATAGEN,
        LEFT_OUT,
        "ende_bpe_path",
        "byte pairs are not read; a --problem_file takes texts and builds sub-words",
        V1_0,
    ),
)

_DECODER = "t2t-decoder"
DECODER_ROWS = (
    rows(
        _DECODER,
        SAME,
        "decode_from_file decode_to_file decode_interactive=False decode_hparams "
        "t2t_usr_dir",
    ),
    rows(_DECODER, SAME, "output_dir", "nothing else has to be given"),
    rows(_DECODER, SAME, "problems", "some of the run's; all, if it is not given"),
    rows(_DECODER, SAME, "data_dir", "for splits, if the data was moved"),
    rows(_DECODER, SAME, "checkpoint_path", "the folder model.ckpt-STEP"),
    rows(_DECODER, SAME, "registry_help=False", "problems, groups and hparams sets"),
    rows(_DECODER, RENAMED, "problem", "--problems", LATER),
    rows(
        _DECODER,
        RENAMED,
        "eval_use_test_set=False",
        "--decode_split, whose default is test already",
    ),
    rows(
        _DECODER,
        LEFT_OUT,
        "decode_shards=1",
        "split the file and start a t2t-mm-decoder for each part",
    ),
    rows(
        _DECODER,
        LEFT_OUT,
        "keep_timestamp=False",
        "touch -r CHECKPOINT FILE gives a file the time of the checkpoint",
    ),
    rows(
        _DECODER,
        LEFT_OUT,
        "score_file",
        "--decode_split scores what is in the data folder",
        LATER,
    ),
    rows(
        _DECODER,
        LEFT_OUT,
        "decode_in_memory=False",
        "outputs go to the file as they come; leave it out",
        LATER,
    ),
)

_EXPORTER = "t2t-exporter"
EXPORTER_ROWS = (
    rows(_EXPORTER, SAME, "t2t_usr_dir"),
    rows(_EXPORTER, SAME, "output_dir", "--export_dir says where the export goes"),
    rows(_EXPORTER, SAME, "problems", "several; all of the run, if it is not given"),
    rows(_EXPORTER, SAME, "decode_hparams", "but for batch_size, which is any"),
    rows(_EXPORTER, SAME, "registry_help=False", "problems, groups and hparams sets"),
    rows(
        _EXPORTER,
        LEFT_OUT,
        "data_dir",
        "the vocabularies are in --output_dir; leave it out",
    ),
)

_AVERAGE_ALL = "t2t-avg-all"
_AVERAGE = "avg_checkpoints.py"
AVERAGE_ROWS = (
    rows(_AVERAGE, SAME, "checkpoints", "steps of the run, or folders"),
    rows(_AVERAGE, SAME, "num_last_checkpoints=0", "8 without --checkpoints"),
    rows(_AVERAGE, RENAMED, "output_path", "--averaged_dir"),
    rows(_AVERAGE, LEFT_OUT, "prefix", "--output_dir says whose checkpoints they are"),
    rows(
        _AVERAGE_ALL,
        DIFFERENT,
        "output_dir=avg/",
        "the run, T2T's --model_dir; the mean goes to --averaged_dir",
    ),
    rows(_AVERAGE_ALL, RENAMED, "model_dir", "--output_dir"),
    rows(_AVERAGE_ALL, RENAMED, "n=8", "--num_last_checkpoints"),
    rows(
        _AVERAGE_ALL,
        LEFT_OUT,
        "min_steps=0",
        "a call writes one mean; --checkpoints says of which steps",
    ),
    rows(
        _AVERAGE_ALL,
        LEFT_OUT,
        "wait_minutes=0",
        "nothing is waited for; call it when the checkpoints are there",
    ),
)

_BLEU = "t2t-bleu"
BLEU_ROWS = (
    rows(_BLEU, SAME, "translation"),
    rows(_BLEU, SAME, "reference", "may be repeated"),
    rows(_BLEU, SAME, "bleu_variant=both", "of T2T's BLEU; sacreBLEU is printed too"),
    rows(
        _BLEU,
        LEFT_OUT,
        "source translations_dir event_dir tag_suffix min_steps=-1 wait_minutes=0 "
        "report_zero",
        "a call scores one --translation; --decode_eval_examples of t2t-mm-trainer "
        "scores every evaluation",
    ),
)

_TF_CONFIGS = "t2t-make-tf-configs"
TF_CONFIGS_ROWS = (
    rows(
        _TF_CONFIGS,
        SAME,
        "workers",
        "host:port,host:port; the trainer's arguments follow after --",
        V1_0,
    ),
    rows(_TF_CONFIGS, RENAMED, "masters", "--workers=HOST:PORT,HOST:PORT"),
    rows(
        _TF_CONFIGS,
        LEFT_OUT,
        "ps",
        "Keras 3 has no parameter servers: workers add up their gradients among "
        "themselves; name all hosts in --workers",
    ),
)
