"""Systems Manager."""

from __future__ import annotations

import base64

from cases import IDS, NO_COMMAND, NOWHERE, SHELL, Params, bad, good
from world import World


def shell(**more: object) -> Params:
    return {"DocumentName": SHELL, "Parameters": IDS, **more}


good(
    "ssm.SendCommand",
    lambda w: shell(InstanceIds=w.linux[:2], Comment="judged", TimeoutSeconds=60, MaxConcurrency="50%", MaxErrors="1"),
    lambda w, a: a["Command"]["TargetCount"] == 2 and a["Command"]["Status"] == "Pending",
)
good(
    "ssm.SendCommand",
    shell(
        Targets=[{"Key": "tag:role", "Values": ["web"]}],
        OutputS3BucketName="herder-output",
        OutputS3KeyPrefix="x",
        CloudWatchOutputConfig={"CloudWatchLogGroupName": "judged", "CloudWatchOutputEnabled": True},
    ),
    lambda w, a: a["Command"]["Targets"] == [{"Key": "tag:role", "Values": ["web"]}],
)
good(
    "ssm.SendCommand",
    lambda w: {"DocumentName": "Judged-Restart", "Parameters": {"Service": ["web"]}, "InstanceIds": w.linux[:1]},
)
bad(
    "ssm.SendCommand",
    "InvalidInstanceId",
    shell(InstanceIds=[NOWHERE]),
    lambda w: shell(InstanceIds=w.stopped[:1]),
)
bad("ssm.SendCommand", "InvalidDocument", lambda w: {"DocumentName": "No-Such", "InstanceIds": w.linux[:1]})
bad("ssm.SendCommand", "InvalidDocument", lambda w: {"DocumentName": "AWS-StartSSHSession", "InstanceIds": w.linux[:1]})
bad("ssm.SendCommand", "InvalidDocumentVersion", lambda w: shell(InstanceIds=w.linux[:1], DocumentVersion="7"))
bad(
    "ssm.SendCommand",
    "InvalidParameters",
    lambda w: {"DocumentName": SHELL, "Parameters": {"colour": ["blue"]}, "InstanceIds": w.linux[:1]},
    lambda w: {"DocumentName": SHELL, "InstanceIds": w.linux[:1]},
    lambda w: {"DocumentName": SHELL, "Parameters": {"commands": ["{{ssm:nope}}"]}, "InstanceIds": w.linux[:1]},
)
bad("ssm.SendCommand", "DuplicateInstanceId", lambda w: shell(InstanceIds=w.linux[:1] * 2))
bad("ssm.SendCommand", "UnsupportedPlatformType", lambda w: shell(InstanceIds=[w.windows]))
bad(
    "ssm.SendCommand",
    "MaxDocumentSizeExceeded",
    lambda w: {"DocumentName": SHELL, "Parameters": {"commands": ["x" * 200_000]}, "InstanceIds": w.linux[:1]},
)
bad(
    "ssm.SendCommand",
    "ValidationException",
    shell(),
    lambda w: shell(InstanceIds=w.linux[:1], Targets=[{"Key": "tag:role", "Values": ["web"]}]),
    shell(InstanceIds=[NOWHERE] * 51),
    shell(Targets=[{"Key": "colour", "Values": ["blue"]}]),
    shell(Targets=[{"Key": "resource-groups:Name", "Values": ["env-prod", "env-dev"]}]),
)

# A member of the wrong type never gets to the service's own checks.
bad("ssm.SendCommand", "SerializationException", lambda w: {**shell(InstanceIds=w.linux[:1]), "Parameters": {"commands": [3]}})

good("ssm.ListCommands", lambda w: {"CommandId": w.executed}, lambda w, a: a["Commands"][0]["CompletedCount"] == 2)
good("ssm.ListCommands", lambda w: {"InstanceId": w.linux[0]}, lambda w, a: a["Commands"])
good(
    "ssm.ListCommands",
    lambda w: {"CommandId": w.executed, "Filters": [{"key": "Status", "value": "Success"}]},
    lambda w, a: len(a["Commands"]) == 1,
)
bad("ssm.ListCommands", "InvalidCommandId", {"CommandId": NO_COMMAND})
bad("ssm.ListCommands", "InvalidInstanceId", {"InstanceId": NOWHERE})
bad("ssm.ListCommands", "InvalidFilterKey", {"Filters": [{"key": "InvokedAfter", "value": "yesterday"}]})
bad("ssm.ListCommands", "InvalidNextToken", {"NextToken": "nonsense"})

good(
    "ssm.ListCommandInvocations",
    lambda w: {"CommandId": w.executed, "Details": True},
    lambda w, a: "line 3" in a["CommandInvocations"][0]["CommandPlugins"][0]["Output"],
)
good("ssm.ListCommandInvocations", lambda w: {"InstanceId": w.linux[0]}, lambda w, a: a["CommandInvocations"])
bad("ssm.ListCommandInvocations", "InvalidCommandId", {"CommandId": NO_COMMAND})
bad("ssm.ListCommandInvocations", "InvalidNextToken", {"NextToken": "nonsense"})
bad("ssm.ListCommandInvocations", "InvalidInstanceId", {"InstanceId": NOWHERE})
bad("ssm.ListCommandInvocations", "InvalidFilterKey", {"Filters": [{"key": "InvokedBefore", "value": "never"}]})

good(
    "ssm.GetCommandInvocation",
    lambda w: {"CommandId": w.executed, "InstanceId": w.linux[0]},
    lambda w, a: (a["ResponseCode"], a["StandardErrorContent"]) == (0, "oops\n"),
)
bad("ssm.GetCommandInvocation", "InvocationDoesNotExist", lambda w: {"CommandId": NO_COMMAND, "InstanceId": w.linux[0]})
bad("ssm.GetCommandInvocation", "InvocationDoesNotExist", lambda w: {"CommandId": w.executed, "InstanceId": w.linux[9]})
bad(
    "ssm.GetCommandInvocation",
    "InvalidPluginName",
    lambda w: {"CommandId": w.executed, "InstanceId": w.linux[0], "PluginName": "aws:nothing"},
)
bad("ssm.GetCommandInvocation", "ValidationException", lambda w: {"CommandId": "short", "InstanceId": w.linux[0]})

good("ssm.CancelCommand", lambda w: {"CommandId": w.send("sleep 600")})
good("ssm.CancelCommand", lambda w: {"CommandId": w.send("sleep 600"), "InstanceIds": w.linux[:1]})
bad("ssm.CancelCommand", "InvalidCommandId", {"CommandId": NO_COMMAND})
bad("ssm.CancelCommand", "InvalidInstanceId", lambda w: {"CommandId": w.executed, "InstanceIds": [w.linux[9]]})
bad("ssm.CancelCommand", "DuplicateInstanceId", lambda w: {"CommandId": w.executed, "InstanceIds": w.linux[:1] * 2})

good(
    "ssm.DescribeInstanceInformation",
    lambda w: {"Filters": [{"Key": "InstanceIds", "Values": [w.linux[0], w.hybrid]}]},
    lambda w, a: {node["InstanceId"] for node in a["InstanceInformationList"]} == {w.linux[0], w.hybrid},
)
good("ssm.DescribeInstanceInformation", {"InstanceInformationFilterList": [{"key": "PingStatus", "valueSet": ["Online"]}]})
good("ssm.DescribeInstanceInformation", {"MaxResults": 50}, lambda w, a: len(a["InstanceInformationList"]) == 50)
bad("ssm.DescribeInstanceInformation", "InvalidFilterKey", {"Filters": [{"Key": "Colour", "Values": ["blue"]}]})
bad("ssm.DescribeInstanceInformation", "InvalidNextToken", {"NextToken": "nonsense"})
bad("ssm.DescribeInstanceInformation", "ValidationException", {"MaxResults": 4}, {"MaxResults": 51})
bad(
    "ssm.DescribeInstanceInformation",
    "ValidationException",
    {"Filters": [{"Key": "tag:role", "Values": ["web"]}, {"Key": "PingStatus", "Values": ["Online"]}]},
)

good("ssm.DescribeInstanceProperties", {"MaxResults": 1000}, lambda w, a: len(a["InstanceProperties"]) > 50)
good(
    "ssm.DescribeInstanceProperties",
    {"FiltersWithOperator": [{"Key": "AgentVersion", "Values": ["1.0"], "Operator": "GreaterThan"}]},
    lambda w, a: a["InstanceProperties"],
)
good("ssm.DescribeInstanceProperties", {"InstancePropertyFilterList": [{"key": "PlatformTypes", "valueSet": ["Windows"]}]})
bad("ssm.DescribeInstanceProperties", "InvalidFilterKey", {"FiltersWithOperator": [{"Key": "Colour", "Values": ["x"]}]})
bad("ssm.DescribeInstanceProperties", "InvalidNextToken", {"NextToken": "nonsense"})

good("ssm.GetCalendarState", {"CalendarNames": ["release"]}, lambda w, a: a["State"] == "OPEN")
good(
    "ssm.GetCalendarState",
    {"CalendarNames": ["release", "freeze"]},
    lambda w, a: a["State"] == "CLOSED" and a["NextTransitionTime"] > a["AtTime"],
)
bad("ssm.GetCalendarState", "InvalidDocument", {"CalendarNames": ["nowhere"]})
bad("ssm.GetCalendarState", "InvalidDocumentType", {"CalendarNames": [SHELL]})
bad("ssm.GetCalendarState", "ValidationException", {"CalendarNames": ["release"], "AtTime": "tomorrow"})

good(
    "ssm.StartSession",
    lambda w: {"Target": w.linux[2], "Reason": "judged"},
    lambda w, a: a["StreamUrl"].startswith("ws") and a["TokenValue"],
)
good(
    "ssm.StartSession",
    lambda w: {
        "Target": w.linux[2],
        "DocumentName": "AWS-StartPortForwardingSession",
        "Parameters": {"portNumber": ["80"], "localPortNumber": ["0"]},
    },
)
bad("ssm.StartSession", "TargetNotConnected", {"Target": NOWHERE}, lambda w: {"Target": w.offline})
bad("ssm.StartSession", "InvalidDocument", lambda w: {"Target": w.linux[0], "DocumentName": "No-Such"})
bad("ssm.StartSession", "InvalidDocument", lambda w: {"Target": w.linux[0], "DocumentName": SHELL})

good("ssm.ResumeSession", lambda w: {"SessionId": w.session()}, lambda w, a: a["TokenValue"])
bad("ssm.ResumeSession", "DoesNotExistException", {"SessionId": "nobody-0123456789abcdef0"})

good("ssm.TerminateSession", lambda w: {"SessionId": w.session()}, lambda w, a: a["SessionId"])

good(
    "ssm.DescribeSessions",
    lambda w: {"State": "Active", "Filters": [{"key": "SessionId", "value": w.session()}]},
    lambda w, a: len(a["Sessions"]) == 1,
)
good(
    "ssm.DescribeSessions",
    lambda w: {"State": "History", "Filters": [{"key": "Owner", "value": ended_owner(w)}]},
    lambda w, a: a["Sessions"],
)
bad("ssm.DescribeSessions", "InvalidNextToken", {"State": "Active", "NextToken": "nonsense"})
bad(
    "ssm.DescribeSessions",
    "ValidationException",
    {"State": "Now"},
    {"State": "Active", "Filters": [{"key": "InvokedAfter", "value": "yesterday"}]},
)


def ended_owner(w: World) -> str:
    w.client("ssm").terminate_session(SessionId=w.session())
    return w.client("sts").get_caller_identity()["Arn"]


good("ssm.GetConnectionStatus", lambda w: {"Target": w.linux[0]}, lambda w, a: a["Status"] == "connected")
good("ssm.GetConnectionStatus", lambda w: {"Target": w.offline}, lambda w, a: a["Status"] == "notconnected")

good("ssm.DescribeDocument", {"Name": SHELL}, lambda w, a: a["Document"]["DocumentType"] == "Command")
good("ssm.DescribeDocument", {"Name": "Judged-Restart"}, lambda w, a: a["Document"]["Parameters"][0]["Name"] == "Service")
good("ssm.DescribeDocument", {"Name": "SSM-SessionManagerRunShell"}, lambda w, a: a["Document"]["DocumentType"] == "Session")
bad("ssm.DescribeDocument", "InvalidDocument", {"Name": "No-Such"})
bad("ssm.DescribeDocument", "InvalidDocumentVersion", {"Name": SHELL, "DocumentVersion": "9"})
good("ssm.GetDocument", {"Name": SHELL}, lambda w, a: "aws:runShellScript" in a["Content"])
bad("ssm.GetDocument", "InvalidDocument", {"Name": "No-Such"})
bad("ssm.GetDocument", "InvalidDocumentVersion", {"Name": SHELL, "DocumentVersion": "9"})
good(
    "ssm.ListDocuments",
    {"Filters": [{"Key": "Owner", "Values": ["Self"]}]},
    lambda w, a: "Judged-Restart" in [document["Name"] for document in a["DocumentIdentifiers"]],
)
bad("ssm.ListDocuments", "InvalidNextToken", {"NextToken": "nonsense"})

hybrid = lambda w: {"ResourceType": "ManagedInstance", "ResourceId": w.hybrid}
good("ssm.AddTagsToResource", lambda w: {**hybrid(w), "Tags": [{"Key": "judged", "Value": "yes"}]})
good("ssm.ListTagsForResource", hybrid, lambda w, a: "Key" in a["TagList"][0])
good("ssm.RemoveTagsFromResource", lambda w: {**hybrid(w), "TagKeys": ["judged"]})
for operation, more in [
    ("AddTagsToResource", {"Tags": [{"Key": "a", "Value": "b"}]}),
    ("ListTagsForResource", {}),
    ("RemoveTagsFromResource", {"TagKeys": ["a"]}),
]:
    bad(f"ssm.{operation}", "InvalidResourceId", {"ResourceType": "ManagedInstance", "ResourceId": "mi-0", **more})
    bad(f"ssm.{operation}", "InvalidResourceType", {"ResourceType": "Colour", "ResourceId": "x", **more})

# An opaque token of another operation is no token here.
bad("ssm.ListDocuments", "InvalidNextToken", {"NextToken": base64.b64encode(b"k:somewhere").decode()})
