"""All faces of one cloud together: what a lab daemon makes once and serves."""

from vpc_cni.lab.cloud.cloud import Cloud
from vpc_cni.lab.cloud.ec2.service import EC2
from vpc_cni.lab.cloud.identity.oidc import OidcIssuer
from vpc_cni.lab.cloud.identity.pod_identity import PodIdentity
from vpc_cni.lab.cloud.metadata.service import Identify, MetadataService
from vpc_cni.lab.cloud.query.dispatcher import Dispatcher
from vpc_cni.lab.cloud.sts.service import STS


class Faces:
    """EC2, STS, instance metadata, container credentials, and an issuer of web identity tokens.

    The account trusts the issuer from the start; which of its tokens may assume a role is in each role's ``Trust``.

    Args:
        identify: which instance a metadata request comes from, by its peer address; see ``MetadataService``.
    """

    def __init__(self, cloud: Cloud, *, identify: Identify | None = None) -> None:
        self.cloud = cloud
        self.ec2 = Dispatcher(cloud, EC2)
        self.sts = Dispatcher(cloud, STS)
        self.metadata = MetadataService(cloud, identify)
        self.pod_identity = PodIdentity(cloud)
        self.issuer = OidcIssuer(f"https://oidc.eks.{cloud.settings.region}.amazonaws.com/id/LAB", cloud.clock)
        cloud.providers.add(self.issuer.url, self.issuer.jwks())

    def query_face(self, version: str) -> Dispatcher:
        """Return the API that a request's Version names; EC2 answers for unknown ones."""
        return self.sts if version == STS.version else self.ec2
