"""Alerts about an endpoint: they end when it begins anew, and when it is gone."""

import pytest
from tests.integration.api.running import Api

from pixmill_shared.domain.ids import new_id

PATH = "/api/v1/endpoints"


@pytest.mark.parametrize("how", ["enabled", "deleted"])
def test_alerts_of_an_endpoint_end_when_it_is_enabled_again_or_deleted(api: Api, how: str) -> None:
    made, other = (api.client.post(PATH, json={"url": "https://example.com/h"}).json()["endpoint_id"] for _ in range(2))
    for endpoint in (made, other):
        for rule in ("deliveries_exhausted", "endpoint_disabled"):
            sql = "INSERT INTO alerts (id, rule, subject, state, detail) VALUES (%s, %s, %s, 'firing', '')"
            api.query(sql, str(new_id()), rule, f"endpoint {endpoint}")
    if how == "enabled":
        assert api.client.patch(f"{PATH}/{made}", json={"disabled": False}).status_code == 200
    else:
        assert api.client.delete(f"{PATH}/{made}").status_code == 204
    rows = api.query("SELECT rule, subject FROM alerts WHERE clear_since IS NULL AND subject LIKE 'endpoint %%'")
    rules = ["deliveries_exhausted", "endpoint_disabled"]
    assert sorted(rule for rule, subject in rows if subject == f"endpoint {other}") == rules
    assert [rule for rule, subject in rows if subject == f"endpoint {made}"] == []
