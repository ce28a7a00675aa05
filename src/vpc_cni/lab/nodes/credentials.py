"""Where the agents of a lab get their EC2 credentials from: what AWS offers to pods of a node.

A token lives as long as most labs; nothing renews it.
"""

from pathlib import Path

from vpc_cni.lab.cloud.faces import Faces
from vpc_cni.lab.cloud.identity import pod_identity
from vpc_cni.lab.cloud.identity.roles import Trust
from vpc_cni.lab.options import CredentialSource

SUBJECT = "system:serviceaccount:kube-system:aws-node"
WEB_IDENTITY_AUDIENCE = "sts.amazonaws.com"
TOKEN_SECONDS = 86_400.0


def grant_credentials(
    source: CredentialSource, faces: Faces, role_name: str, folder: Path, container_url: str
) -> dict[str, str]:
    """Let the agent's service account have a role; return the environment by which an SDK finds it.

    Writes a token file into the folder, but for the instance's own role.
    """
    if source is CredentialSource.INSTANCE:
        return {}
    token_file = folder / "token"
    if source is CredentialSource.WEB_IDENTITY:
        role = faces.cloud.identities.create_role(role_name, Trust(faces.issuer.url, subjects=(SUBJECT,)))
        _write_token(token_file, faces, WEB_IDENTITY_AUDIENCE)
        return {"AWS_ROLE_ARN": role.arn, "AWS_WEB_IDENTITY_TOKEN_FILE": str(token_file)}
    faces.pod_identity.associate(SUBJECT, role_name)
    _write_token(token_file, faces, pod_identity.AUDIENCE)
    return {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": container_url,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token_file),
    }


def _write_token(path: Path, faces: Faces, audience: str) -> None:
    path.touch(mode=0o600)
    path.write_text(faces.issuer.token(SUBJECT, [audience], TOKEN_SECONDS))
