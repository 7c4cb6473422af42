# The benchmark with both cluster engines. A GPU needs nothing more here: torch brings CUDA, the host its driver.
#   docker build -t plate-sr:0.1.0 .
#   docker run --gpus all --shm-size 2g -v "$PWD/results:/work/results" plate-sr:0.1.0 run --methods all
FROM python:3.11-slim-bookworm

# What OpenCV loads: libGL and GLib. Their versions are those of the Debian release above.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

COPY . /opt/plate-sr
RUN pip install --no-cache-dir "/opt/plate-sr[ray,slurm]"

WORKDIR /work
ENTRYPOINT ["python", "-m", "benchmark"]
CMD ["--help"]
