"""Networks of this project's own that read plates, trained on its synthetic plates and on nothing else.

``crnn`` is a judge of upscaled plates; ``embedder`` gives the embeddings of PECL (and ESRGAN's perceptual
loss) a network to start from. They are different networks, trained on different plates.
"""
