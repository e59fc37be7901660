"""Decoding: from a trained run to texts and labels, scored or on demand."""
