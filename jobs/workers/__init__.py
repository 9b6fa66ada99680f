"""Processes that import torch: each is started for one folder, and never opens the database."""

import logging

# peft imports bitsandbytes, which warns of a kernel for inference that we do not use, and at every product in 8 bits
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
