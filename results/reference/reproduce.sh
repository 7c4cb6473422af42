#!/bin/sh
# Makes a reference run, from training to the tables committed here. From the top of the repository:
#
#   sh results/reference/reproduce.sh standard-ccpd --preset standard --data /data/CCPD2019 --methods table1 --seeds 3
#
# NAME is the run's, and the folder's in results/reference; what follows are options of `python -m benchmark run`.
# Stopped, it goes on where it was. Without options nothing is trained: what the run holds is stored here.
# $RESULTS is where the run itself stays, with its weights and pictures, which are not for committing. $WEIGHTS names the
# methods whose weights are shipped: by default those of Table 1 and PECL's pixel loss, and with WEIGHTS= none.
set -eu
name=${1:?usage: reproduce.sh NAME [options of benchmark run]}
shift
results=${RESULTS:-results}
weights=${WEIGHTS-table1,pecl-mse}
here=$(dirname "$0")

if [ $# -gt 0 ]; then
  python -m benchmark run --results "$results" --run "$name" "$@"
fi

# As a bundle has it: scores, histories and provenance of every training; no picture, and no name of a plate.
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
python -m benchmark bundle "$results/$name" --out "$temporary/$name.bundle.zip"
rm -rf "${here:?}/$name"
python -m zipfile -e "$temporary/$name.bundle.zip" "$here/$name"

if [ -n "$weights" ]; then
  python -m benchmark weights export --results "$results" --run "$name" --methods "$weights" --limit 16 \
    --out "$here/$name/weights"
fi

# Its report, drawn from that.
python -m benchmark report --results "$here" --run "$name" --no-pictures
rm -f "$here/$name/report/"*.pdf "$here/$name/report/"*.html
python -m benchmark verify "$here/$name"
