"""Putting a node together from its instance: folders, plugins, runtime, pods, agent."""

from concurrent.futures import Executor
from dataclasses import dataclass

from vpc_cni.lab.cloud.records import Instance, Interface, Subnet
from vpc_cni.lab.namespaces import NetnsFolder
from vpc_cni.lab.nodes.agent import AgentProcess
from vpc_cni.lab.nodes.credentials import grant_credentials
from vpc_cni.lab.nodes.environment import AgentSurroundings, agent_environment
from vpc_cni.lab.nodes.node import InstanceFacts, Node, node_runtime, prepare_folders, subnet_interface
from vpc_cni.lab.nodes.pods import PodSet
from vpc_cni.lab.options import CredentialSource, LabOptions
from vpc_cni.lab.paths import LabPaths
from vpc_cni.lab.servers import Servers
from vpc_cni.lab.wiring import link_name
from vpc_cni.plugin import plugin_path


@dataclass(frozen=True, slots=True)
class NodeBuilder:
    """What the nodes of a lab have in common.

    Args:
        threads: where plugin calls of all nodes wait.
    """

    options: LabOptions
    paths: LabPaths
    folder: NetnsFolder
    servers: Servers
    threads: Executor

    def build(self, name: str, instance: Instance, primary: Interface, subnet: Subnet) -> Node:
        """Make the node of a running instance whose primary ENI is wired; its agent is not started.

        Raises:
            HostError: its folders cannot be made, or the plugin is not built.
        """
        paths = self.paths.node(name)
        prepare_folders(paths, None if self.options.awaits_daemonset else plugin_path)
        facts = InstanceFacts(
            instance_id=instance.instance_id,
            instance_type=instance.instance_type,
            subnet_id=subnet.subnet_id,
            primary_link=link_name(0, 0),
            primary=subnet_interface(primary.primary, subnet.cidr),
            gateway=subnet.gateway,
            public_address=primary.public_address,
        )
        netns = self.folder.get(instance.instance_id)
        pods = PodSet(name, netns, self.folder, node_runtime(paths), self.threads)
        agent = self._build_agent(name, instance) if self.options.runs_agents else None
        return Node(name, facts, netns, paths, pods, agent)

    def _build_agent(self, name: str, instance: Instance) -> AgentProcess:
        paths, endpoints = self.paths.node(name), self.servers.endpoints
        credentials = grant_credentials(
            CredentialSource(self.options.credentials),
            self.servers.faces,
            instance.role_name,
            paths.root,
            endpoints.node_container_credentials,
        )
        around = AgentSurroundings(
            node_name=name,
            cluster_name=self.options.name,
            region=self.servers.faces.cloud.settings.region,
            api_endpoint=endpoints.node_api,
            overrides={**credentials, **self.options.env},
        )
        netns_path = self.folder.path(instance.instance_id)
        environment = agent_environment(paths, around)
        return AgentProcess(name, paths, netns_path, environment, supervise=self.options.supervise)
