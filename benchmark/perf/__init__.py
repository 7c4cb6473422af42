"""How fast training steps are on the machine at hand: ``python -m benchmark perf``.

``suite`` measures methods one after another: ``steps`` times their training steps against a floor, ``counts`` says
what a step and what the machine can do. ``plates`` makes what is measured on, ``tables`` and ``page`` show it. What is
around training (packing, scoring, memory, whole commands) is measured by scripts in ``tests/perf``.
"""
