"""A small generated world in which all eight tasks of the paper are real.

Scenes of coloured shapes are drawn, described in English, German and French, parsed,
and spoken. `world` is the way in; `problems` registers the tasks.
"""
