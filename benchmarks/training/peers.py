"""What all peers on transformers' Trainer are set to: the same arithmetic, optimiser and order of rows as ours.

Gradient checkpointing is off for all. TRL turns it on by default, which saves memory and makes a step half as dear again.
"""

from benchmarks.training.job import Job


def trainer_arguments(job: Job) -> dict:
    return {
        "output_dir": job.scratch, "use_cpu": True, "bf16": False, "per_device_train_batch_size": job.batch_size,
        "num_train_epochs": 1, "learning_rate": job.learning_rate, "lr_scheduler_type": "constant", "warmup_steps": 0,
        "weight_decay": 0.0, "max_grad_norm": 1.0, "optim": "adamw_torch_fused", "gradient_checkpointing": False,
        "seed": 0, "save_strategy": "no", "logging_strategy": "no", "report_to": "none", "disable_tqdm": True,
    }  # fmt: skip


def model_with_adapter(job: Job):
    """The base as transformers loads it by default, with the untrained adapter by plain PEFT."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(job.model, dtype=torch.float32)
    return PeftModel.from_pretrained(base, job.adapter, is_trainable=True)
