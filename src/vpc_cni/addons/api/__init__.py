"""The HTTP face: the EKS API, protocol rest-json, signature version 4. The only user of Starlette in the service.

    application = api_application(Service(store, owner, catalogue, images, secret_of))

What a request leaves behind is a record of work in the store; nothing here talks to clusters.
"""

from vpc_cni.addons.api.application import Bounds, api_application
from vpc_cni.addons.api.service import Service
from vpc_cni.addons.images import ImageSource

__all__ = ["Bounds", "ImageSource", "Service", "api_application"]
