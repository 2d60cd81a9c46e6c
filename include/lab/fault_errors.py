"""The error that a service answers for a throttle, a failure of its own or a refusal: codes differ by service.

Sources: the services' models (error shapes), their pages of common errors, and for EC2
docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html, for S3
docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html.
"""

from __future__ import annotations

from lab.accounts import principal_arn
from lab.calls import Call
from lab.wire_errors import AwsError

Entry = tuple[str, int, str]

_THROTTLES: dict[str, Entry] = {
    "ec2": ("RequestLimitExceeded", 503, "Request limit exceeded."),
    "s3": ("SlowDown", 503, "Please reduce your request rate."),
    "sns": ("Throttled", 429, "Rate exceeded"),
    "sqs": ("RequestThrottled", 400, "Rate exceeded"),
    "lambda": ("TooManyRequestsException", 429, "Rate Exceeded."),
    "organizations": ("TooManyRequestsException", 400, "Rate exceeded"),
    "sts": ("Throttling", 400, "Rate exceeded"),
    "iam": ("Throttling", 400, "Rate exceeded"),
    "cloudwatch": ("Throttling", 400, "Rate exceeded"),
}
_UNAVAILABLE: dict[str, Entry] = {
    "ec2": ("Unavailable", 503, "The service is unavailable. Please try again shortly."),
    "s3": ("ServiceUnavailable", 503, "Please reduce your request rate."),
}
_DENIALS: dict[str, Entry] = {
    "ec2": ("UnauthorizedOperation", 403, "You are not authorized to perform this operation."),
    "s3": ("AccessDenied", 403, "Access Denied"),
    "sns": ("AuthorizationError", 403, "{caller} is not authorized to perform: {name} on resource: *"),
    "sqs": ("AccessDenied", 403, "Access to the resource is denied."),
}
_EXPIRIES: dict[str, Entry] = {
    "ec2": ("RequestExpired", 400, "Request has expired."),
    "s3": ("ExpiredToken", 400, "The provided token has expired."),
}
_OWN_FAILURES = ("InternalServerError", "InternalServiceError", "InternalErrorException", "InternalServerException")


def error_for(kind: str, call: Call) -> AwsError:
    """The error of a `throttle`, `server_error`, `unavailable`, `access_denied` or `expired_token` at this call."""
    xml = call.protocol in ("query", "rest-xml")
    if kind == "throttle":
        code, status, message = _THROTTLES.get(call.service, ("ThrottlingException", 400, "Rate exceeded"))
    elif kind == "server_error":
        return internal_error(call)
    elif kind == "unavailable":
        code, status, message = _UNAVAILABLE.get(
            call.service, ("ServiceUnavailable", 503, "Service is unavailable. Please try again.")
        )
    elif kind == "access_denied":
        text = "User: {caller} is not authorized to perform: {name} on resource: *"
        usual = ("AccessDenied", 403, text) if xml else ("AccessDeniedException", 400, text)
        code, status, message = _DENIALS.get(call.service, usual)
    else:
        text = "The security token included in the request is expired"
        usual = ("ExpiredToken", 403, text) if xml else ("ExpiredTokenException", 400, text)
        code, status, message = _EXPIRIES.get(call.service, usual)
    caller = principal_arn(call.account, call.access_key)
    return AwsError(code, message.format(caller=caller, name=call.name), status)


def internal_error(call: Call) -> AwsError:
    """A failure of the service itself, under the name that the operation declares for it, where it does."""
    declared = [shape.name for shape in call.model.error_shapes] if call.model else []
    code = next((name for name in _OWN_FAILURES if name in declared), None)
    if code is None:
        code = "InternalError" if call.service in ("ec2", "s3") else "InternalFailure"
    return AwsError(code, "We encountered an internal error. Please try again.", 500)
