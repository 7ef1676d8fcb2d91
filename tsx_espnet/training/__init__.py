"""ESPnet's task and trainer for our model; runs survive kills, preemption and bad batches."""
