"""STS, Organizations, KMS, Resource Groups, S3, CloudWatch Logs."""

from __future__ import annotations

from cases import bad, good
from world import World

ROLE = "arn:aws:iam::222222222222:role/HerderExec"

good("sts.GetCallerIdentity", {}, lambda w, a: a["Account"] == "123456789012" and a["Arn"].startswith("arn:aws:"))
good(
    "sts.AssumeRole",
    {"RoleArn": ROLE, "RoleSessionName": "judged", "DurationSeconds": 900},
    lambda w, a: a["AssumedRoleUser"]["Arn"] == "arn:aws:sts::222222222222:assumed-role/HerderExec/judged",
)
bad("sts.AssumeRole", "AccessDenied", {"RoleArn": ROLE.replace("Exec", "None"), "RoleSessionName": "judged"})
bad(
    "sts.AssumeRole",
    "AccessDenied",
    {"RoleArn": ROLE, "RoleSessionName": "judged", "SerialNumber": "arn:aws:iam::123456789012:mfa/me", "TokenCode": "000000"},
)
bad(
    "sts.AssumeRole",
    "ValidationError",
    {"RoleArn": "nobody-at-all-of-that-name", "RoleSessionName": "judged"},
    {"RoleArn": ROLE, "RoleSessionName": "j"},
    {"RoleArn": ROLE, "RoleSessionName": "a b"},
    {"RoleArn": ROLE, "RoleSessionName": "judged", "DurationSeconds": 899},
    {"RoleArn": ROLE, "RoleSessionName": "judged", "TokenCode": "12"},
)
good("sts.GetSessionToken", {"DurationSeconds": 900}, lambda w, a: a["Credentials"]["SessionToken"])
bad("sts.GetSessionToken", "ValidationError", {"DurationSeconds": 899})
bad("sts.GetSessionToken", "AccessDenied", {"SerialNumber": "arn:aws:iam::123456789012:mfa/me", "TokenCode": "000000"})


def root(w: World) -> str:
    return w.client("organizations").list_roots()["Roots"][0]["Id"]


good("organizations.DescribeOrganization", {}, lambda w, a: a["Organization"]["MasterAccountId"] == "123456789012")
good("organizations.ListRoots", {}, lambda w, a: len(a["Roots"]) == 1)
good("organizations.ListAccounts", {}, lambda w, a: len(a["Accounts"]) == 4)
good("organizations.ListAccountsForParent", lambda w: {"ParentId": root(w)}, lambda w, a: a["Accounts"])
good("organizations.ListOrganizationalUnitsForParent", lambda w: {"ParentId": root(w)}, lambda w, a: a["OrganizationalUnits"])
for operation in ["ListAccountsForParent", "ListOrganizationalUnitsForParent"]:
    bad(f"organizations.{operation}", "ParentNotFoundException", {"ParentId": "ou-none-12345678"})
    bad(f"organizations.{operation}", "InvalidInputException", {"ParentId": "everybody"})
bad("organizations.ListAccounts", "InvalidInputException", {"MaxResults": 21}, {"NextToken": "nonsense"})
bad("organizations.ListRoots", "InvalidInputException", {"MaxResults": 0})

good("kms.DescribeKey", {"KeyId": "alias/sessions"}, lambda w, a: a["KeyMetadata"]["Enabled"])
good("kms.GenerateDataKey", {"KeyId": "alias/sessions", "KeySpec": "AES_256"}, lambda w, a: len(a["Plaintext"]) in (32, 44))
good("kms.Decrypt", lambda w: {"CiphertextBlob": w.data_key}, lambda w, a: a["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT")
bad("kms.DescribeKey", "NotFoundException", {"KeyId": "alias/nobody"}, {"KeyId": "00000000-0000-4000-8000-000000000000"})
bad("kms.GenerateDataKey", "NotFoundException", {"KeyId": "alias/nobody", "NumberOfBytes": 64})
bad("kms.GenerateDataKey", "ValidationException", {"KeyId": "alias/sessions"}, {"KeyId": "alias/sessions", "NumberOfBytes": 1025})
bad("kms.Decrypt", "InvalidCiphertextException", {"CiphertextBlob": b"nonsense"})
bad("kms.Decrypt", "InvalidCiphertextException", lambda w: {"CiphertextBlob": w.data_key, "EncryptionContext": {"a": "b"}})
bad("kms.Decrypt", "IncorrectKeyException", lambda w: {"CiphertextBlob": w.data_key, "KeyId": "alias/aws/ssm"})

good("resource-groups.ListGroups", {}, lambda w, a: "env-prod" in [group["GroupName"] for group in a["GroupIdentifiers"]])
good("resource-groups.ListGroupResources", {"Group": "env-prod"}, lambda w, a: a["ResourceIdentifiers"])
good(
    "resource-groups.ListGroupResources",
    {"Group": "env-prod", "Filters": [{"Name": "resource-type", "Values": ["AWS::EC2::Instance"]}]},
    lambda w, a: a["Resources"],
)
good("resource-groups.GetGroup", {"GroupName": "env-prod"}, lambda w, a: a["Group"]["Name"] == "env-prod")
good("resource-groups.GetGroupQuery", {"Group": "env-prod"}, lambda w, a: a["GroupQuery"]["ResourceQuery"]["Query"])
for operation in ["ListGroupResources", "GetGroup", "GetGroupQuery"]:
    bad(f"resource-groups.{operation}", "NotFoundException", {"Group": "nobody"})
    bad(f"resource-groups.{operation}", "BadRequestException", {})
bad("resource-groups.ListGroups", "BadRequestException", {"MaxResults": 51}, {"NextToken": "nonsense"})
bad(
    "resource-groups.ListGroupResources",
    "BadRequestException",
    {"Group": "env-prod", "MaxResults": 51},
    {"Group": "env-prod", "NextToken": "x"},
)

good("s3.ListBuckets", {}, lambda w, a: {"audit", "locked", "herder-output"} <= {bucket["Name"] for bucket in a["Buckets"]})
good(
    "s3.CreateBucket", lambda w: {"Bucket": f"judged-{len(w.client('s3').list_buckets()['Buckets'])}"}, lambda w, a: a["Location"]
)
bad("s3.CreateBucket", "BucketAlreadyOwnedByYou", {"Bucket": "locked"})
bad("s3.CreateBucket", "InvalidBucketName", {"Bucket": "UPPER_CASE"})
good("s3.HeadBucket", {"Bucket": "herder-output"}, lambda w, a: a["BucketRegion"] == "us-east-1")
bad("s3.HeadBucket", "404", {"Bucket": "nowhere-at-all"})
good("s3.GetBucketLocation", {"Bucket": "audit"}, lambda w, a: a["LocationConstraint"] == "eu-west-1")
good("s3.GetBucketLocation", {"Bucket": "herder-output"}, lambda w, a: not a.get("LocationConstraint"))
bad("s3.GetBucketLocation", "NoSuchBucket", {"Bucket": "nowhere-at-all"})
good("s3.PutObject", {"Bucket": "herder-output", "Key": "put/a b+c", "Body": b"text"}, lambda w, a: a["ETag"])
good("s3.PutObject", {"Bucket": "herder-output", "Key": "put/d/e"}, lambda w, a: a["ETag"])
bad("s3.PutObject", "NoSuchBucket", {"Bucket": "nowhere-at-all", "Key": "a", "Body": b""})
bad("s3.PutObject", "KeyTooLongError", {"Bucket": "herder-output", "Key": "k" * 1025, "Body": b""})
good(
    "s3.ListObjectsV2",
    lambda w: {"Bucket": "herder-output", "Prefix": f"judged/{w.executed}/"},
    lambda w, a: a["KeyCount"] == 4,
)
good(
    "s3.ListObjectsV2",
    {"Bucket": "herder-output", "Prefix": "put/", "Delimiter": "/", "FetchOwner": True, "StartAfter": "a", "MaxKeys": 2},
    lambda w, a: a["CommonPrefixes"] == [{"Prefix": "put/d/"}],
)
bad("s3.ListObjectsV2", "NoSuchBucket", {"Bucket": "nowhere-at-all"})
bad("s3.ListObjectsV2", "AccessDenied", {"Bucket": "locked"})
bad("s3.ListObjectsV2", "InvalidArgument", {"Bucket": "herder-output", "ContinuationToken": "nonsense"})
good("s3.GetObject", {"Bucket": "herder-output", "Key": "put/a b+c"}, lambda w, a: a["ContentLength"] == 4)
good(
    "s3.GetObject",
    {"Bucket": "herder-output", "Key": "put/a b+c", "Range": "bytes=1-2"},
    lambda w, a: a["ContentRange"] == "bytes 1-2/4",
)
bad("s3.GetObject", "NoSuchKey", {"Bucket": "herder-output", "Key": "nowhere"})
bad("s3.GetObject", "AccessDenied", {"Bucket": "locked", "Key": "a"})
bad("s3.GetObject", "InvalidRange", {"Bucket": "herder-output", "Key": "put/a b+c", "Range": "bytes=9-"})
bad("s3.GetObject", "PreconditionFailed", {"Bucket": "herder-output", "Key": "put/a b+c", "IfMatch": '"0"'})
good("s3.HeadObject", {"Bucket": "herder-output", "Key": "put/a b+c"}, lambda w, a: a["ContentLength"] == 4)
bad("s3.HeadObject", "404", {"Bucket": "herder-output", "Key": "nowhere"})
good("s3.DeleteObject", {"Bucket": "herder-output", "Key": "put/gone"})
bad("s3.DeleteObject", "NoSuchBucket", {"Bucket": "nowhere-at-all", "Key": "a"})


def events(w: World) -> dict[str, str]:
    return {"logGroupName": "judged", "logStreamName": w.stream}


good("logs.DescribeLogGroups", lambda w: {"logGroupNamePrefix": w.executed and "jud"}, lambda w, a: len(a["logGroups"]) == 1)
good(
    "logs.DescribeLogStreams",
    lambda w: {"logGroupName": "judged", "logStreamNamePrefix": w.executed},
    lambda w, a: a["logStreams"],
)
good("logs.DescribeLogStreams", lambda w: {"logGroupName": "judged", "orderBy": "LastEventTime", "descending": bool(w.executed)})
good(
    "logs.FilterLogEvents",
    lambda w: {"logGroupName": "judged", "logStreamNames": [w.stream], "filterPattern": "line"},
    lambda w, a: "".join(event["message"] for event in a["events"]).startswith("line 1"),
)
good("logs.GetLogEvents", lambda w: {**events(w), "startFromHead": True}, lambda w, a: a["events"] and a["nextForwardToken"])
for operation, more in [("DescribeLogStreams", {}), ("FilterLogEvents", {}), ("GetLogEvents", {"logStreamName": "x"})]:
    bad(f"logs.{operation}", "ResourceNotFoundException", {"logGroupName": "nowhere", **more})
    bad(
        f"logs.{operation}",
        "InvalidParameterException",
        lambda w, more=more: {
            "logGroupName": w.executed and "judged",
            "nextToken": "nonsense",
            **more,
            **({"logStreamName": w.stream} if more else {}),
        },
    )
bad(
    "logs.GetLogEvents",
    "ResourceNotFoundException",
    lambda w: {"logGroupName": w.executed and "judged", "logStreamName": "nowhere"},
)
bad(
    "logs.FilterLogEvents",
    "InvalidParameterException",
    {"logGroupName": "judged", "logStreamNames": ["a"], "logStreamNamePrefix": "b"},
    {"logGroupName": "judged", "limit": 10_001},
)
bad("logs.DescribeLogGroups", "InvalidParameterException", {"limit": 51}, {"nextToken": "nonsense"})
