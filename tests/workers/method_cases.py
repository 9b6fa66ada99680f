"""Settings of every method and variant that the shared tests go through: (title, method, training)."""

CASES: list[tuple[str, dict, dict]] = [
    ("LoRA", {"name": "lora"}, {}),
    ("rank and alpha patterns", {"name": "lora", "rank_pattern": {"q_proj": 2, "layers.1.mlp.up_proj": 6}, "alpha_pattern": {"v_proj": 64}}, {}),
    ("rsLoRA", {"name": "lora", "rslora": True}, {}),
    ("DoRA", {"name": "lora", "dora": True}, {}),
    ("LoRA+", {"name": "lora", "loraplus_ratio": 16.0}, {}),
    ("gaussian start", {"name": "lora", "init": "gaussian"}, {}),
    ("orthogonal start", {"name": "lora", "init": "orthogonal"}, {}),
    ("PiSSA", {"name": "lora", "init": "pissa"}, {}),
    ("PiSSA with rsLoRA and patterns", {"name": "lora", "init": "pissa", "rslora": True, "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 64}}, {}),
    ("OLoRA", {"name": "lora", "init": "olora"}, {}),
    ("EVA", {"name": "lora", "init": "eva"}, {}),
    ("embedding, output layer and norms in full", {"name": "lora", "modules_to_save": ["embed_tokens", "lm_head", "norm"]}, {}),
    ("trained tokens", {"name": "lora", "new_tokens": ["<think>", "<|user|>"]}, {}),
    ("nf4", {"name": "lora"}, {"quantization": "nf4"}),
    ("int8", {"name": "lora"}, {"quantization": "int8"}),
    ("DoRA on nf4", {"name": "lora", "dora": True}, {"quantization": "nf4"}),
    ("DoRA on int8", {"name": "lora", "dora": True}, {"quantization": "int8"}),
    ("EVA on nf4", {"name": "lora", "init": "eva"}, {"quantization": "nf4"}),
]  # fmt: skip
