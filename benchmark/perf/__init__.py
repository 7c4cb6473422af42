"""How fast this is, measured on the machine at hand: ``python -m benchmark perf``.

``suite`` measures training steps of methods, one after another: ``steps`` times them against their floor, ``counts``
says what a step and what the machine can do. ``memory``, ``prepare``, ``scoring`` and ``commands`` measure what is
around training. ``plates`` makes what is measured on, ``tables`` and ``page`` show it.
"""
