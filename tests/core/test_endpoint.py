"""`endpoint: aws` lets nothing else through."""

from __future__ import annotations

import pytest

from sluice.core.endpoint import check_endpoint
from sluice.core.errors import EndpointError


@pytest.mark.parametrize(
    "url",
    [
        "https://ssm.eu-west-3.amazonaws.com",
        "https://s3.cn-north-1.amazonaws.com.cn/",
        "https://ssm.eu-west-3.api.aws:443",
    ],
)
def test_awss_own_endpoints_are_taken(url: str) -> None:
    check_endpoint("ssm", url)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:5000",
        "https://amazonaws.com.example.com",
        "https://ssm.eu-west-3.amazonaws.com@example.com",
        "https://example.com/.amazonaws.com",
        "https://example.com?.amazonaws.com",
        "https://example.com#.amazonaws.com",
        "https://example.com\\.amazonaws.com",
        "",
    ],
)
def test_whatever_only_looks_like_them_is_refused(url: str) -> None:
    with pytest.raises(EndpointError, match="unset AWS_ENDPOINT_URL"):
        check_endpoint("ssm", url)
