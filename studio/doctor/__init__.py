"""The doctor over a training's curves: what went wrong or could go better, why, and which one change to try."""
