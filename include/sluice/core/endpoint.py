"""Which endpoints are AWS's own: what `endpoint: aws` in the policy allows."""

from __future__ import annotations

import re

from sluice.core.errors import EndpointError

AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".api.amazonwebservices.com.cn")

_URL = re.compile(r"https?://(?P<host>[A-Za-z0-9.-]+)(:[0-9]+)?/?")
"""What boto3 makes of AWS's own endpoints: no user, path or query in it that could stand for another host."""


def check_endpoint(service: str, url: str) -> None:
    """Raise EndpointError for an endpoint that is not AWS's."""
    found = _URL.fullmatch(url)
    if found is None or not found["host"].casefold().endswith(AWS_DOMAINS):
        raise EndpointError(
            f"the policy says `endpoint: aws`, found the endpoint {url} for {service}: unset AWS_ENDPOINT_URL and"
            " endpoint_url in the AWS configuration, or remove `endpoint` from the policy",
            url,
        )
