"""Many processes for one training: files of the job, torchrun's agent, and what ends with whom."""
