"""A Helm chart made from the renderer's objects. Pure: returns the text of each file.

The objects of one profile are rendered with this project's images, and the places that users may change become
template expressions; all else in the chart is what the renderer says. Values have the shape of configuration values,
so what works in one place works in the other.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vpc_cni.manifests.access import ANNOTATE_RULE, ROLE_ANNOTATION
from vpc_cni.manifests.definitions import Manifest
from vpc_cni.manifests.helm_values import chart_schema, chart_values, env_comment
from vpc_cni.manifests.images import AGENT_REPOSITORY, INIT_REPOSITORY, ImageSet, plan_images
from vpc_cni.manifests.privileges import TRUE_TEXTS
from vpc_cni.manifests.profile import Profile
from vpc_cni.manifests.registries import Registry
from vpc_cni.manifests.render import RenderOptions, render
from vpc_cni.manifests.schema import CONFIG_MAP_OPTIONS
from vpc_cni.manifests.yaml_text import encode_document

CHART_NAME = "vpc-cni"
_FILES = {
    "ServiceAccount": "templates/serviceaccount.yaml",
    "ConfigMap": "templates/configmap.yaml",
    "ClusterRole": "templates/clusterrole.yaml",
    "ClusterRoleBinding": "templates/clusterrolebinding.yaml",
    "DaemonSet": "templates/daemonset.yaml",
}
_GENERATED = "# Made by `make docs` from src/vpc_cni/manifests; do not edit.\n"
_NO_REGISTRY = "set image.registry to the registry that holds the images, such as mirror.example.com:5000/team"


@dataclass(slots=True)
class _Holes:
    """Marks in an object where an expression is to stand.

    A mark is a word that YAML prints as it is; :meth:`fill` puts the expressions into the printed text.
    """

    expressions: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def mark(self, *lines: str) -> str:
        """Return a mark: for one line an expression in its place, for several a block with its indent."""
        name = f"HOLE{len(self.expressions):03}X"
        self.expressions[name] = lines
        return name

    def fill(self, text: str) -> str:
        return "".join(self._fill_line(line) for line in text.splitlines(keepends=True))

    def _fill_line(self, line: str) -> str:
        for name, lines in self.expressions.items():
            if name not in line:
                continue
            head, indent = line.partition(name)[0], " " * (len(line) - len(line.lstrip()))
            if len(lines) == 1:
                return line.replace(name, lines[0].replace("INDENT", str(len(indent) + 2)))
            # "key: MARK" holds a block below the key; "- MARK" is replaced by items at its own place.
            below = "" if head.strip() == "-" else f"{head.rstrip()}\n"
            deeper = indent if head.strip() == "-" else indent + "  "
            return below + "".join(f"{deeper}{each}\n" for each in lines)
        return line


def render_chart(profile: Profile, chart_version: str) -> dict[str, str]:
    """Return the files of the chart: path below the chart's folder, and text."""
    images = plan_images(profile, ImageSet.OWN, Registry("registry.invalid"))
    objects = render(profile, RenderOptions(images)).objects
    files = {
        "Chart.yaml": _GENERATED + encode_document(_chart(profile, chart_version)),
        "values.yaml": _values_text(profile),
        "values.schema.json": json.dumps(chart_schema(profile), indent=2) + "\n",
    }
    for manifest in objects:
        if manifest["kind"] == "CustomResourceDefinition":
            files[f"crds/{manifest['metadata']['name'].partition('.')[0]}.yaml"] = _GENERATED + encode_document(
                manifest
            )
        else:
            files[_FILES[manifest["kind"]]] = _template(manifest)
    return files


def _chart(profile: Profile, chart_version: str) -> Manifest:
    return {
        "apiVersion": "v2",
        "name": CHART_NAME,
        "description": "VPC-native pod networking for Kubernetes on AWS: node agent and CNI plugin",
        "type": "application",
        "version": chart_version,
        "appVersion": str(profile.version),
    }


def _values_text(profile: Profile) -> str:
    """Print the values, with what each variable means above it."""
    lines = [_GENERATED]
    for line in encode_document(chart_values(profile)).splitlines():
        name = line.strip().partition(":")[0]
        comment = env_comment(name)
        indent = " " * (len(line) - len(line.lstrip()))
        lines += [f"{indent}# {comment}\n"] if comment else []
        lines.append(f"{line}\n")
    return "".join(lines)


def _template(manifest: Manifest) -> str:
    holes = _Holes()
    edit = {"ServiceAccount": _edit_account, "ConfigMap": _edit_config_map, "ClusterRole": _edit_role}
    changed = edit[manifest["kind"]](manifest, holes) if manifest["kind"] in edit else manifest
    if manifest["kind"] == "DaemonSet":
        changed = _edit_daemon_set(manifest, holes)
    return holes.fill(_GENERATED + encode_document(changed))


def _edit_account(manifest: Manifest, holes: _Holes) -> Manifest:
    annotations = holes.mark(
        "{{- with .Values.serviceAccount.roleArn }}", f"{ROLE_ANNOTATION}: {{{{ . | quote }}}}", "{{- end }}"
    )
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": annotations}}


def _edit_config_map(manifest: Manifest, holes: _Holes) -> Manifest:
    expressions = {
        option.target: holes.mark(f"{{{{ .Values.{option.name} | quote }}}}") for option in CONFIG_MAP_OPTIONS
    }
    return {**manifest, "data": {key: expressions[key] for key in manifest["data"]}}


def _edit_role(manifest: Manifest, holes: _Holes) -> Manifest:
    rule = {"apiGroups": [""], "resources": list(ANNOTATE_RULE.resources), "verbs": list(ANNOTATE_RULE.verbs)}
    lines = encode_document([rule]).rstrip("\n").splitlines()
    extra = holes.mark(_if_true(".Values.env.ANNOTATE_POD_IP"), *lines, "{{- end }}")
    return {**manifest, "rules": [*manifest["rules"], extra]}


def _edit_daemon_set(manifest: Manifest, holes: _Holes) -> Manifest:
    pod = manifest["spec"]["template"]["spec"]
    (init,), (agent,) = pod["initContainers"], pod["containers"]
    changed_pod = {
        **pod,
        "tolerations": holes.mark("{{- toYaml .Values.tolerations | nindent INDENT }}"),
        "affinity": holes.mark("{{- toYaml .Values.affinity | nindent INDENT }}"),
        "initContainers": [_edit_init(init, holes)],
        "containers": [_edit_agent(agent, holes)],
    }
    spec = {**manifest["spec"], "template": {**manifest["spec"]["template"], "spec": changed_pod}}
    return {**manifest, "spec": spec}


def _edit_init(init: Manifest, holes: _Holes) -> Manifest:
    confined = encode_document(init["securityContext"]).rstrip("\n").splitlines()
    context = holes.mark(
        _if_true(".Values.init.env.DISABLE_TCP_EARLY_DEMUX"),
        "privileged: true",
        "{{- else }}",
        *confined,
        "{{- end }}",
    )
    return {
        **init,
        "image": holes.mark(_image(INIT_REPOSITORY, "initDigest")),
        "env": [holes.mark(*_env_lines(".Values.init.env"))],
        "securityContext": context,
    }


def _edit_agent(agent: Manifest, holes: _Holes) -> Manifest:
    downward = [each for each in agent["env"] if "valueFrom" in each]
    return {
        **agent,
        "image": holes.mark(_image(AGENT_REPOSITORY, "digest")),
        "livenessProbe": _edit_probe(agent["livenessProbe"], "livenessProbeTimeoutSeconds", holes),
        "readinessProbe": _edit_probe(agent["readinessProbe"], "readinessProbeTimeoutSeconds", holes),
        "env": [holes.mark(*_env_lines(".Values.env")), *downward],
        "resources": holes.mark("{{- toYaml .Values.resources | nindent INDENT }}"),
    }


def _edit_probe(probe: Mapping[str, Any], value: str, holes: _Holes) -> Manifest:
    return {**probe, "timeoutSeconds": holes.mark(f"{{{{ .Values.{value} }}}}")}


def _if_true(value: str) -> str:
    spellings = " ".join(f'"{each}"' for each in sorted(TRUE_TEXTS))
    return f'{{{{- if has ({value} | default "") (list {spellings}) }}}}'


def _env_lines(values: str) -> tuple[str, ...]:
    return (
        f"{{{{- range $name, $value := {values} }}}}",
        "- name: {{ $name }}",
        "  value: {{ $value | quote }}",
        "{{- end }}",
    )


def _image(repository: str, digest: str) -> str:
    registry = f'{{{{ required "{_NO_REGISTRY}" .Values.image.registry }}}}'
    pinned = f"{{{{ with .Values.image.{digest} }}}}@{{{{ . }}}}{{{{ end }}}}"
    return f'"{registry}/{repository}:{{{{ .Values.image.tag }}}}{pinned}"'
