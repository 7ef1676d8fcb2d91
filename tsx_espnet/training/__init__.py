"""ESPnet's training for our model: preempted, killed, fed with bad batches, it goes on."""
