"""CNI specification versions: which ones we speak, and what each of them allows. Pure."""

from vpc_cni.errors import CallerError, CniCode

SUPPORTED_VERSIONS = ("0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
NEWEST_VERSION = SUPPORTED_VERSIONS[-1]
# SPEC.md: a configuration without cniVersion is one of 0.1.0.
IMPLIED_VERSION = "0.1.0"

# First version of a command; those not named are in every version.
_SINCE = {"CHECK": "0.4.0", "GC": "1.1.0", "STATUS": "1.1.0"}


def version_at_least(version: str, other: str) -> bool:
    """Compare two supported versions."""
    return SUPPORTED_VERSIONS.index(version) >= SUPPORTED_VERSIONS.index(other)


def check_version(version: str, command: str) -> str:
    """Return a version that we speak and that has the command. Raises CallerError (code 1) otherwise."""
    if version not in SUPPORTED_VERSIONS:
        raise CallerError(
            f"cniVersion {version[:32]!r} is not supported",
            hint=f"set cniVersion in the conflist to one of {', '.join(SUPPORTED_VERSIONS)}",
            cni_code=CniCode.INCOMPATIBLE_VERSION,
        )
    since = _SINCE.get(command, SUPPORTED_VERSIONS[0])
    if not version_at_least(version, since):
        raise CallerError(
            f"cniVersion {version} has no {command}",
            hint=f"set cniVersion in the conflist to {since} or later",
            cni_code=CniCode.INCOMPATIBLE_VERSION,
        )
    return version
