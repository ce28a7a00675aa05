"""Options that the commands of ``vpc-cni addon`` share."""

from typing import Annotated

import typer

from vpc_cni.cluster.applying import Mode

NameOption = Annotated[str, typer.Option("--cluster-name", metavar="NAME", help="Of the cluster in EKS.")]
RegionOption = Annotated[str, typer.Option("--region", metavar="REGION", help="Else that of the AWS configuration.")]
ProfileOption = Annotated[str, typer.Option("--profile", metavar="NAME", help="Of the AWS configuration.")]
EndpointUrlOption = Annotated[
    str, typer.Option("--endpoint-url", metavar="URL", help="Of EKS; such as an add-on service of your own.")
]
TargetOption = Annotated[
    str, typer.Option("--version", metavar="VERSION", help="A build, a release, `default` or `latest`.")
]
ModeOption = Annotated[
    Mode,
    typer.Option("--resolve-conflicts", case_sensitive=False, help="What happens to live values that others own."),
]
NewRoleOption = Annotated[
    str, typer.Option("--role-arn", metavar="ARN", help="IAM role of the service account; else as it is.")
]
NewValuesOption = Annotated[
    str,
    typer.Option("--values", metavar="FILE", help="Configuration values, JSON or YAML, - for stdin; else as they are."),
]
RecordsOption = Annotated[
    str, typer.Option("--records", metavar="FOLDER", help="Of the records before each change; else in the home folder.")
]
WaitOption = Annotated[float, typer.Option("--timeout", metavar="SECONDS", min=0, help="For EKS to end its work.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
GraceOption = Annotated[
    float, typer.Option("--grace", metavar="SECONDS", min=0, help="For a degraded add-on to heal by itself.")
]
