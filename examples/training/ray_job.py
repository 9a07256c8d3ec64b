"""Training on several machines of a Ray cluster, one process per GPU (or per machine without them).

    ray job submit --working-dir . -- python examples/training/ray_job.py configs/quickstart.yaml runs/quickstart 2

Ray finds the machines and starts the processes; among themselves they talk by JAX's own runtime. The folder of the run
lies on a file system that all machines share.
"""

import socket
import sys

import ray


@ray.remote(max_restarts=0)
class Worker:
    """One of the processes."""

    def address(self) -> str:
        """Returns a free port of the machine of this process, for the coordinator."""
        with socket.socket() as found:
            found.bind(("", 0))
            return f"{ray.util.get_node_ip_address()}:{found.getsockname()[1]}"

    def train(self, config: str, out: str, settings: dict[str, object]) -> dict[str, float]:
        """Trains with the others; returns the scores on the dev data."""
        from spago_jax.train import fit, load_experiment

        given = ", ".join(f"{name}: {value}" for name, value in settings.items())
        overrides = [f"train.distributed={{{given}}}", "train.mesh={data: -1}"]
        result = fit(load_experiment(config, overrides), out, resume=True, command=" ".join(sys.argv))
        return dict(result.scores["dev"].values) if "dev" in result.scores else {}


def main(config: str, out: str, processes: int) -> None:
    """Starts the processes and waits for them; when one fails, all end, and the next submission resumes."""
    ray.init()
    needs = {"num_gpus": 1} if ray.cluster_resources().get("GPU") else {"num_cpus": 1}
    workers = [Worker.options(**needs).remote() for _ in range(processes)]
    coordinator = ray.get(workers[0].address.remote())
    running = [
        worker.train.remote(config, out, {"coordinator": coordinator, "processes": processes, "process": number})
        for number, worker in enumerate(workers)
    ]
    waiting, scores = list(running), {}
    try:
        while waiting:  # the first to fail raises here, whichever it is
            done, waiting = ray.wait(waiting)
            scores = ray.get(done[0])
    finally:
        for worker in workers:
            ray.kill(worker)
    print(scores)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
