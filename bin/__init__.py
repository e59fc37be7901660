"""The programs: thin mains that read flags and call the library."""

if __name__ != "t2t_multimodel.bin":
    raise ImportError("import t2t_multimodel.bin, not bin: see setup.py")
