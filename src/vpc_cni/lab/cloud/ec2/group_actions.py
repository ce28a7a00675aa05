"""Operations on security groups."""

from vpc_cni.lab.cloud import errors, networks
from vpc_cni.lab.cloud.ec2.filters import FilterTable, always
from vpc_cni.lab.cloud.ec2.network_views import group_arn, group_view
from vpc_cni.lab.cloud.ec2.paging import page
from vpc_cni.lab.cloud.ec2.tag_actions import tags_for
from vpc_cni.lab.cloud.ec2.views import tag_set
from vpc_cni.lab.cloud.query.operation import LISTING, Call, operation, require_all
from vpc_cni.lab.cloud.query.xml import Tree
from vpc_cni.lab.cloud.records import SecurityGroup


def create(call: Call) -> Tree:
    parameters = call.parameters
    group = networks.create_group(
        call.cloud,
        parameters.required("VpcId"),
        parameters.required("GroupName"),
        parameters.required("GroupDescription"),
        given=tags_for(parameters, "security-group"),
    )
    return {
        "groupId": group.group_id,
        "tagSet": tag_set(call.at_present().tags_of(group.group_id)),
        "securityGroupArn": group_arn(call, group.group_id),
        "return": True,
    }


def delete(call: Call) -> Tree:
    group_id = call.parameters.required("GroupId")
    networks.delete_group(call.cloud, group_id)
    return {"return": True, "groupId": group_id}


def describe(call: Call) -> Tree:
    found = call.cloud.groups.values_at(call.moment)
    ids, names = call.parameters.texts("GroupId"), call.parameters.texts("GroupName")
    require_all(ids, [group.group_id for group in found], errors.group_not_found)
    require_all(names, [group.name for group in found], errors.group_not_found)
    if ids or names:
        found = [group for group in found if group.group_id in ids or group.name in names]
    matches = _filters(call).parse(call.parameters)
    shown, token = page(call.parameters, filter(matches, found), lambda group: group.group_id, ids_name="GroupId")
    return {"securityGroupInfo": [group_view(call, group) for group in shown], "nextToken": token}


def _filters(call: Call) -> FilterTable[SecurityGroup]:
    """Source: EC2 API reference, DescribeSecurityGroups."""
    return FilterTable(
        {
            "description": lambda group: (group.description,),
            "group-id": lambda group: (group.group_id,),
            "group-name": lambda group: (group.name,),
            "owner-id": always(call.cloud.settings.account_id),
            "vpc-id": lambda group: (group.vpc_id,),
        },
        lambda group: call.tags_of(group.group_id),
    )


OPERATIONS = (
    operation("CreateSecurityGroup", create, "VpcId GroupName GroupDescription TagSpecification"),
    operation("DeleteSecurityGroup", delete, "GroupId"),
    operation("DescribeSecurityGroups", describe, f"GroupId GroupName {LISTING}"),
)
