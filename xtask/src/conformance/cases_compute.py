"""EC2, Auto Scaling, Elastic Load Balancing, CloudWatch's alarms."""

from __future__ import annotations

from cases import NOWHERE, bad, good
from world import World

good(
    "ec2.DescribeInstances",
    lambda w: {"InstanceIds": w.linux[:2]},
    lambda w, a: sorted(r["Instances"][0]["InstanceId"] for r in a["Reservations"]) == sorted(w.linux[:2]),
)
good("ec2.DescribeInstances", {"MaxResults": 5}, lambda w, a: len(a["Reservations"]) == 5 and a["NextToken"])
good(
    "ec2.DescribeInstances",
    {"Filters": [{"Name": "tag:role", "Values": ["w*"]}, {"Name": "instance-state-name", "Values": ["running"]}]},
    lambda w, a: a["Reservations"],
)
good(
    "ec2.DescribeInstances", {"Filters": [{"Name": "platform", "Values": ["windows"]}]}, lambda w, a: len(a["Reservations"]) == 4
)
good("ec2.DescribeInstances", lambda w: {"InstanceIds": w.stopped[:1]})
bad(
    "ec2.DescribeInstances",
    "InvalidInstanceID.NotFound",
    {"InstanceIds": [NOWHERE]},
    {"InstanceIds": [NOWHERE, NOWHERE[:-1] + "1"]},
)
bad("ec2.DescribeInstances", "InvalidInstanceID.Malformed", {"InstanceIds": ["i-xyz"]})
bad("ec2.DescribeInstances", "InvalidParameterCombination", lambda w: {"InstanceIds": w.linux[:1], "MaxResults": 5})
bad("ec2.DescribeInstances", "InvalidParameterValue", {"MaxResults": 4}, {"MaxResults": 1001}, {"NextToken": "nonsense"})
bad("ec2.DescribeInstances", "InvalidParameterValue", {"Filters": [{"Name": "colour", "Values": ["blue"]}]})
bad("ec2.DescribeInstances", "FilterLimitExceeded", {"Filters": [{"Name": "tag-key", "Values": [str(n) for n in range(201)]}]})
bad("ec2.DescribeInstances", "DryRunOperation", {"DryRun": True})

good("ec2.DescribeRegions", {"AllRegions": True}, lambda w, a: "not-opted-in" in [r["OptInStatus"] for r in a["Regions"]])
good("ec2.DescribeRegions", {"RegionNames": ["us-east-1"]}, lambda w, a: len(a["Regions"]) == 1)
bad("ec2.DescribeRegions", "InvalidParameterValue", {"RegionNames": ["mars-1"]})
bad("ec2.DescribeRegions", "DryRunOperation", {"DryRun": True})

good(
    "ec2.DescribeTags",
    lambda w: {"Filters": [{"Name": "resource-id", "Values": w.linux[:1]}]},
    lambda w, a: {tag["ResourceId"] for tag in a["Tags"]} == {w.linux[0]},
)
bad("ec2.DescribeTags", "InvalidParameterValue", {"Filters": [{"Name": "colour", "Values": ["x"]}]}, {"NextToken": "nonsense"})
good("ec2.CreateTags", lambda w: {"Resources": w.linux[4:5], "Tags": [{"Key": "judged", "Value": "yes"}]})
bad("ec2.CreateTags", "InvalidParameterValue", lambda w: {"Resources": w.linux[4:5], "Tags": [{"Key": "aws:x", "Value": "y"}]})
bad("ec2.CreateTags", "InvalidInstanceID.NotFound", {"Resources": [NOWHERE], "Tags": [{"Key": "a", "Value": "b"}]})
bad(
    "ec2.CreateTags",
    "TagLimitExceeded",
    lambda w: {"Resources": w.linux[4:5], "Tags": [{"Key": f"k{n}", "Value": "v"} for n in range(51)]},
)
bad(
    "ec2.CreateTags",
    "DryRunOperation",
    lambda w: {"Resources": w.linux[4:5], "Tags": [{"Key": "a", "Value": "b"}], "DryRun": True},
)
good("ec2.DeleteTags", lambda w: {"Resources": w.linux[4:5], "Tags": [{"Key": "judged"}]})
bad("ec2.DeleteTags", "InvalidInstanceID.NotFound", {"Resources": [NOWHERE], "Tags": [{"Key": "a"}]})

changed = lambda key, name: lambda w, a: a[key][0]["CurrentState"]["Name"] in name
good("ec2.StartInstances", lambda w: {"InstanceIds": w.stopped[1:]}, changed("StartingInstances", ["pending", "running"]))
good("ec2.StopInstances", lambda w: {"InstanceIds": w.linux[-1:]}, changed("StoppingInstances", ["stopping", "stopped"]))
good("ec2.RebootInstances", lambda w: {"InstanceIds": w.linux[-2:-1]})
good(
    "ec2.TerminateInstances",
    lambda w: {"InstanceIds": w.linux[-3:-2]},
    changed("TerminatingInstances", ["shutting-down", "terminated"]),
)
for operation in ["StartInstances", "StopInstances", "RebootInstances", "TerminateInstances"]:
    bad(f"ec2.{operation}", "InvalidInstanceID.NotFound", {"InstanceIds": [NOWHERE]})
    bad(f"ec2.{operation}", "InvalidInstanceID.Malformed", {"InstanceIds": ["web-1"]})
    bad(f"ec2.{operation}", "MissingParameter", {})
    bad(f"ec2.{operation}", "DryRunOperation", lambda w: {"InstanceIds": w.linux[:1], "DryRun": True})
bad("ec2.RebootInstances", "IncorrectInstanceState", lambda w: {"InstanceIds": w.linux[-3:-2]})
bad("ec2.StopInstances", "IncorrectInstanceState", lambda w: {"InstanceIds": w.linux[-3:-2]})
bad("ec2.StartInstances", "IncorrectInstanceState", lambda w: {"InstanceIds": w.linux[-3:-2]})


def group(w: World) -> str:
    return w.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"][0]["AutoScalingGroupName"]


good(
    "autoscaling.DescribeAutoScalingGroups",
    lambda w: {"AutoScalingGroupNames": [group(w)]},
    lambda w, a: a["AutoScalingGroups"][0]["Instances"],
)
good("autoscaling.DescribeAutoScalingGroups", {"IncludeInstances": False, "Filters": [{"Name": "tag:role", "Values": ["web"]}]})
bad("autoscaling.DescribeAutoScalingGroups", "ValidationError", {"MaxRecords": 101}, {"MaxRecords": 0})
bad("autoscaling.DescribeAutoScalingGroups", "ValidationError", {"Filters": [{"Name": "colour", "Values": ["x"]}]})
bad("autoscaling.DescribeAutoScalingGroups", "InvalidNextToken", {"NextToken": "nonsense"})
good("autoscaling.DescribeAutoScalingInstances", {"MaxRecords": 50}, lambda w, a: a["AutoScalingInstances"])
bad("autoscaling.DescribeAutoScalingInstances", "ValidationError", {"MaxRecords": 51}, {"InstanceIds": [NOWHERE] * 51})
bad("autoscaling.DescribeAutoScalingInstances", "InvalidNextToken", {"NextToken": "nonsense"})

good("elbv2.DescribeTargetGroups", {"Names": ["tg-web"]}, lambda w, a: a["TargetGroups"][0]["TargetType"] == "instance")
good("elbv2.DescribeTargetGroups", lambda w: {"LoadBalancerArn": w.balancer}, lambda w, a: a["TargetGroups"])
good("elbv2.DescribeTargetGroups", lambda w: {"TargetGroupArns": [w.target_group]})
bad("elbv2.DescribeTargetGroups", "TargetGroupNotFound", {"Names": ["nowhere"]})
bad("elbv2.DescribeTargetGroups", "LoadBalancerNotFound", lambda w: {"LoadBalancerArn": w.balancer + "0"})
bad(
    "elbv2.DescribeTargetGroups",
    "ValidationError",
    {"PageSize": 401},
    {"TargetGroupArns": ["tg-web"]},
    lambda w: {"Names": ["tg-web"], "LoadBalancerArn": w.balancer},
    {"Marker": "nonsense"},
)
good("elbv2.DescribeTargetHealth", lambda w: {"TargetGroupArn": w.target_group}, lambda w, a: a["TargetHealthDescriptions"])
good(
    "elbv2.DescribeTargetHealth",
    lambda w: {"TargetGroupArn": w.target_group, "Targets": [{"Id": NOWHERE}]},
    lambda w, a: a["TargetHealthDescriptions"][0]["TargetHealth"]["Reason"] == "Target.NotRegistered",
)
for name in ["tg-detached", "tg-pods", "tg-api"]:
    good(
        "elbv2.DescribeTargetHealth",
        lambda w, name=name: {
            "TargetGroupArn": w.client("elbv2").describe_target_groups(Names=[name])["TargetGroups"][0]["TargetGroupArn"]
        },
        lambda w, a: a["TargetHealthDescriptions"],
    )
bad("elbv2.DescribeTargetHealth", "TargetGroupNotFound", lambda w: {"TargetGroupArn": w.target_group + "0"})
bad("elbv2.DescribeTargetHealth", "ValidationError", {"TargetGroupArn": "tg-web"})
good("elbv2.DescribeLoadBalancers", {"Names": ["alb-main"]}, lambda w, a: a["LoadBalancers"][0]["State"]["Code"] == "active")
bad("elbv2.DescribeLoadBalancers", "LoadBalancerNotFound", {"Names": ["nowhere"]})
bad("elbv2.DescribeLoadBalancers", "ValidationError", {"LoadBalancerArns": ["alb"]}, {"PageSize": 0})

good(
    "cloudwatch.DescribeAlarms",
    {"AlarmTypes": ["MetricAlarm", "CompositeAlarm"]},
    lambda w, a: len(a["MetricAlarms"]) == 4 and a["CompositeAlarms"][0]["AlarmName"] == "anything",
)
good("cloudwatch.DescribeAlarms", {"AlarmNamePrefix": "web", "StateValue": "OK"}, lambda w, a: len(a["MetricAlarms"]) == 1)
good("cloudwatch.DescribeAlarms", {"ChildrenOfAlarmName": "anything"}, lambda w, a: len(a["MetricAlarms"]) == 2)
bad("cloudwatch.DescribeAlarms", "InvalidNextToken", {"NextToken": "nonsense"})
bad(
    "cloudwatch.DescribeAlarms",
    "ValidationError",
    {"AlarmNames": ["a"], "AlarmNamePrefix": "b"},
    {"MaxRecords": 101},
    {"StateValue": "FINE"},
)
setting = {"AlarmName": "errors", "StateValue": "OK", "StateReason": "judged"}
good("cloudwatch.SetAlarmState", setting)
good("cloudwatch.SetAlarmState", {**setting, "StateReasonData": '{"a": 1}'})
bad("cloudwatch.SetAlarmState", "ResourceNotFound", {**setting, "AlarmName": "nowhere"})
bad("cloudwatch.SetAlarmState", "InvalidFormat", {**setting, "StateReasonData": "no json"})
bad("cloudwatch.SetAlarmState", "ValidationError", {**setting, "StateValue": "FINE"})
