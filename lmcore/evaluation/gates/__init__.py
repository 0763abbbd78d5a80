"""Gates: per-document evidence in, PASS, FAIL or INCONCLUSIVE with one plain sentence out.

One module a gate, named after it; each states its statistic, its rule and its source.  A
further gate is a module here, its limits in `lmcore.evaluation.config` and
`configs/gates.yaml`, its evidence in `lmcore.evaluation.evidence`, and an entry in
`lmcore.evaluation.judging.judge`.
"""
