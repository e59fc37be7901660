"""Which allocator TensorFlow takes the memory of its tensors from on CPUs."""

import os


def keep_freed_memory() -> None:
    """Has TensorFlow keep the memory of freed tensors for the next ones.

    For use before TensorFlow is loaded. Otherwise large tensors go back to the system
    when they are freed, and each of their pages is cleared when the next step asks for
    it again: with 240 experts, whose gradients are large, that was over a third of the
    processor time of a layer. An environment that already says which allocator to use
    is left as it is.
    """
    if "TF_CPU_ALLOCATOR_USE_BFC" in os.environ:
        return
    os.environ["TF_CPU_ALLOCATOR_USE_BFC"] = "1"
    if hasattr(os, "sysconf"):  # not on Windows
        # TensorFlow's own limit is 64 GiB, whatever the machine has.
        total_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        os.environ.setdefault("TF_CPU_BFC_MEM_LIMIT_IN_MB", str(total_bytes >> 20))
