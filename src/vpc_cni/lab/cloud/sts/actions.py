"""Operations of STS: web identity for keys, and who am I."""

from fnmatch import fnmatchcase

from vpc_cni.lab.cloud.clock import iso8601, iso8601_seconds
from vpc_cni.lab.cloud.errors import CloudApiError
from vpc_cni.lab.cloud.identity.oidc import TokenExpiredError, TokenInvalidError, audiences_of
from vpc_cni.lab.cloud.identity.roles import Credentials, Role, Trust
from vpc_cni.lab.cloud.query.operation import Call, operation
from vpc_cni.lab.cloud.query.parameters import Parameters
from vpc_cni.lab.cloud.query.xml import Tree

SHORTEST_SECONDS, USUAL_SECONDS, LONGEST_SECONDS = 900, 3600, 43200


def assume_role_with_web_identity(call: Call) -> Tree:
    parameters = call.parameters
    arn, session_name = parameters.required("RoleArn"), parameters.required("RoleSessionName")
    token = parameters.required("WebIdentityToken")
    seconds = _duration(parameters)
    claims = _claims(call, token)
    role = call.cloud.identities.role_by_arn(arn)
    if role is None or role.trust is None or not _is_trusted(role.trust, claims):
        raise _not_authorized()
    credentials = call.cloud.identities.issue(role.name, session_name, seconds)
    return {
        "Credentials": _keys(credentials),
        "SubjectFromWebIdentityToken": str(claims["sub"]),
        "AssumedRoleUser": _assumed(call, role, credentials),
        "Provider": _provider_arn(call, role.trust),
        "Audience": next(a for a in audiences_of(claims) if a in role.trust.audiences),
    }


def get_caller_identity(call: Call) -> Tree:
    identities = call.cloud.identities
    return {
        "Arn": identities.arn_of(call.caller),
        "UserId": identities.user_id_of(call.caller),
        "Account": call.cloud.settings.account_id,
    }


def _claims(call: Call, token: str) -> dict[str, object]:
    try:
        return call.cloud.providers.verify(token, call.cloud.clock())
    except TokenExpiredError as expired:
        now = iso8601(call.cloud.clock())
        raise CloudApiError(
            "ExpiredTokenException",
            f"Token expired: current date/time {now} must be before the expiration date/time "
            f"{iso8601(expired.expired_at)}",
        ) from None
    except TokenInvalidError as invalid:
        raise CloudApiError("InvalidIdentityToken", str(invalid)) from None


def _is_trusted(trust: Trust, claims: dict[str, object]) -> bool:
    return (
        claims.get("iss") == trust.issuer
        and bool(set(audiences_of(claims)) & set(trust.audiences))
        and any(fnmatchcase(str(claims["sub"]), pattern) for pattern in trust.subjects)
    )


def _not_authorized() -> CloudApiError:
    return CloudApiError("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", 403)


def _duration(parameters: Parameters) -> int:
    seconds = parameters.integer("DurationSeconds")
    if seconds is None:
        return USUAL_SECONDS
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise CloudApiError(
            "ValidationError",
            f"1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: "
            f"Member must have value between {SHORTEST_SECONDS} and {LONGEST_SECONDS}",
        )
    return seconds


def _keys(credentials: Credentials) -> Tree:
    return {
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_key,
        "SessionToken": credentials.token,
        "Expiration": iso8601_seconds(credentials.expires_at or 0.0),
    }


def _assumed(call: Call, role: Role, credentials: Credentials) -> Tree:
    return {
        "AssumedRoleId": f"{role.role_id}:{credentials.session_name}",
        "Arn": call.cloud.identities.arn_of(credentials),
    }


def _provider_arn(call: Call, trust: Trust) -> str:
    host = trust.issuer.partition("://")[2]
    return f"arn:aws:iam::{call.cloud.settings.account_id}:oidc-provider/{host}"


OPERATIONS = (
    operation(
        "AssumeRoleWithWebIdentity",
        assume_role_with_web_identity,
        "RoleArn RoleSessionName WebIdentityToken DurationSeconds",
        anonymous=True,
    ),
    operation("GetCallerIdentity", get_caller_identity),
)
