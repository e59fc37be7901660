"""Learning: losses, the joint step, the loop, checkpoints and evaluation."""
