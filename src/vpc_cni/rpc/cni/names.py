"""Character rules of the CNI specification for the names that make up a sandbox key.

Pure. Source: containernetworking/cni SPEC.md, "Parameters" and "Network configuration format". The plugin checks the
same rules first; the agent repeats them because its socket may be written to by other programs of the same user.
"""

import re

from vpc_cni.errors import CallerError, ConfigurationError

_WORD = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*", re.ASCII)
# IFNAMSIZ of linux/if.h less its terminator.
IFNAME_MAX_BYTES = 15
# No limit in the specification; names of files and links are made of them, and Linux file names end at 255.
WORD_MAX_BYTES = 255


def is_word(text: str) -> bool:
    """Tell whether ``text`` starts alphanumeric and goes on with alphanumerics, ``_``, ``.`` and ``-``."""
    return len(text) <= WORD_MAX_BYTES and _WORD.fullmatch(text) is not None


def is_ifname(text: str) -> bool:
    """Tell whether ``text`` may name an interface.

    Source: SPEC.md, and the kernel's dev_valid_name, for which the byte 0xa0 is white space too; a ``%`` would make
    the kernel choose a number.
    """
    data = text.encode(errors="replace")
    if not data or len(data) > IFNAME_MAX_BYTES or text in (".", ".."):
        return False
    return not any(byte <= 0x20 or byte in b"/:%\x7f\xa0" for byte in data) and not any(c.isspace() for c in text)


def check_container_id(text: str) -> str:
    """Return a valid CNI_CONTAINERID. Raises CallerError (code 4) otherwise."""
    if not is_word(text):
        raise CallerError(
            f"CNI_CONTAINERID {text[:64]!r} is not valid",
            hint=f"start with a letter or digit, go on with those, '_', '.' or '-', at most {WORD_MAX_BYTES}",
        )
    return text


def check_ifname(text: str) -> str:
    """Return a valid CNI_IFNAME. Raises CallerError (code 4) otherwise."""
    if not is_ifname(text):
        raise CallerError(
            f"CNI_IFNAME {text[:64]!r} is not a valid interface name",
            hint=f"use 1 to {IFNAME_MAX_BYTES} bytes without '/', ':', '%' and white space, not '.' or '..'",
        )
    return text


def check_network_name(text: str) -> str:
    """Return a valid network name. Raises ConfigurationError (code 7) otherwise."""
    if not is_word(text):
        raise ConfigurationError(
            f"network name {text[:64]!r} is not valid",
            hint="set 'name' in the conflist to letters, digits, '_', '.' and '-', beginning with a letter or digit",
        )
    return text
