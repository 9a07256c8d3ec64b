#!/bin/bash
# Training on several machines under SLURM: sbatch examples/training/slurm.sh configs/ner-wnut17-minilm.yaml runs/ner
#
# One process per GPU. train.distributed=auto lets JAX read SLURM's environment: who the coordinator is, how many
# processes there are, and which one this is. The config, the data and the folder of the run lie on a file system that
# all machines share; process 0 writes the run, and all write the checkpoints.
#SBATCH --job-name=spago-jax
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
# SLURM sends SIGTERM two minutes before the end of the time: training ends with a checkpoint.
#SBATCH --signal=TERM@120
# After a machine has failed, SLURM starts the job again, which goes on from the last checkpoint.
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

config=${1:?the config}
out=${2:?the folder of the run}

# --resume starts afresh where there is no checkpoint yet. --kill-on-bad-exit ends all processes when one fails.
exec srun --kill-on-bad-exit=1 --label \
  spago-jax train "$config" train.distributed=auto 'train.mesh={data: -1}' train.sharding=fsdp --out "$out" --resume
