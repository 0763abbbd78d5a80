"""How a task is learnt: examples, objectives, classifier, counted words, stages."""
