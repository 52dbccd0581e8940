"""A Ray cluster of two nodes on loopback: `python nodes.py` prints its address.

Each line on standard input kills one more node without warning; the end of it ends the cluster.
"""

import logging
import sys

from ray.cluster_utils import Cluster


def main() -> None:
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "include_dashboard": False},
        shutdown_at_exit=False,
    )
    others = [cluster.add_node(num_cpus=1)]
    print(cluster.address, flush=True)
    for _ in sys.stdin:
        cluster.remove_node(others.pop(), allow_graceful=False)
        print("killed", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    main()
