"""What a training survives: kills, preemption, damaged files, bad batches, other processes."""
