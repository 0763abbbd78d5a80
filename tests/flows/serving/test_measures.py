from prometheus_client.parser import text_string_to_metric_families

from flows.serving.measures import Measures, Present


def test_what_is_so_now_is_asked_for_when_somebody_reads() -> None:
    now = [Present(model="a", version=3, alias="champion", running=2, waiting=1)]
    measures = Measures(lambda: now)

    def read() -> dict[tuple[str, ...], float]:
        families = text_string_to_metric_families(measures.text().decode())
        return {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
        }

    found = read()
    assert found["lmcore_version_in_use", "champion", "a"] == 3
    assert found["lmcore_requests_running", "a", "3"] == 2
    assert found["lmcore_requests_waiting", "a", "3"] == 1
    # One that is pinned is followed by no alias.
    now[:] = [Present(model="a", version=4, alias="", running=0, waiting=0)]
    assert "lmcore_version_in_use" not in {name for name, *_ in read()}
    measures.tokens.labels("a", "prompt").inc(5)
    assert read()["lmcore_tokens_total", "prompt", "a"] == 5
    assert read()["process_resident_memory_bytes",] > 1e6
