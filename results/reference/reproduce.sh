#!/bin/sh
# Makes a reference run anew, from training to the tables committed here. From the top of the repository:
#
#   sh results/reference/reproduce.sh quick-synthetic --iterations 600 --set train.learning_rate=1e-3 \
#       --set data.val_plates=8 --set train.validations=6
#   sh results/reference/reproduce.sh standard-ccpd --preset standard --data /data/CCPD2019 --set pecl.embedder_init=plates
#
# NAME is the run's, and the folder's in results/reference; what follows are options of `python -m benchmark run`.
# Stopped, it goes on where it was. A second terminal shares the trainings out, with the first `benchmark run` below.
# $RESULTS is where weights and pictures stay, which are not for committing. On two CPU cores the first of these, which
# has the settings that `quick` had then, takes an hour and a quarter; `standard` takes hours on one GPU.
set -eu
name=${1:?usage: reproduce.sh NAME [options of benchmark run]}
shift
results=${RESULTS:-results}
reference=$(dirname "$0")/$name

python -m benchmark run --results "$results" --run "$name" --methods table1,readings,ablation --seeds 2 "$@"
python -m benchmark run --results "$results" --run "$name" --methods table1,readings --seeds 3 "$@"
python -m benchmark verify "$results" --run "$name"
python -m benchmark report --results "$results" --run "$name" --no-pictures

# Scores, histories and provenance of every training, and the report's tables and plots. No picture of a plate.
rm -rf "$reference"
mkdir -p "$reference/report"
(cd "$results/$name" && find . -name result.json -o -name history.csv -o -name plates.csv) | while read -r file; do
  mkdir -p "$reference/$(dirname "$file")"
  cp "$results/$name/$file" "$reference/$file"
done
for kind in md csv tex png; do
  cp "$results/$name/report/"*."$kind" "$reference/report/"
done
python -m benchmark verify "$reference"
