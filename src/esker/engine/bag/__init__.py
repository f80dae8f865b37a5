"""How a Bag runs: steps fused into one loop a partition, a task for each, results in the order of partitions."""
