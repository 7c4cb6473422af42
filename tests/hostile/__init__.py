"""What a stranger may hand in: names, pictures, files and text, made from good ones; and what must come of them.

The quick tests (``tests/hostile/test_*.py``) try some of everything; ``tests/soak/hostile.py`` tries thousands.
"""
