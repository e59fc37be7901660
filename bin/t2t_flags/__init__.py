"""Every flag of T2T's programs, v1.0.x and v1.4.4, and what became of it here.

The programs refuse what is not the same with the text of its row, a test holds the
rows against the programs, and docs/from_tensor2tensor.md prints them. What a program
learns to do changes the fate of a row, and nothing else.
"""
