"""Starts groups of workers: TF_CONFIG, and the supervision of a group on one machine.

Nothing here loads TensorFlow; what the workers run is given as a command.
"""
