"""How fast this is, measured on the machine at hand: ``python -m benchmark perf``.

``steps`` times training steps against their floor, ``counts`` says what a step and what the machine can do,
``suite`` measures methods one after another, ``pipeline`` everything around training, ``plates`` makes what is
measured on, ``tables`` and ``page`` show it.
"""
