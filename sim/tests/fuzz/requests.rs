//! Requests as clients send them, in each protocol, and with values that no client sends.

use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use serde_json::{Map, Value, json};

use crate::values::{Kind, Known, encoded, fill, odd_text, spoil};

/// A request before it is bytes.
#[derive(Clone)]
pub(crate) struct Request {
    service: &'static str,
    method: &'static str,
    path: String,
    headers: String,
    pub(crate) body: Vec<u8>,
    /// It wants to become something else, and its body is what follows.
    pub(crate) is_upgrade: bool,
}

impl Request {
    fn new(service: &'static str, method: &'static str, path: &str, body: impl Into<Vec<u8>>) -> Request {
        Request {
            service,
            method,
            path: path.to_owned(),
            headers: String::new(),
            body: body.into(),
            is_upgrade: false,
        }
    }

    fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub(crate) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// The bytes, in one piece or in chunks.
    pub(crate) fn bytes(&self, key: &str, is_chunked: bool) -> Vec<u8> {
        let Request { service, method, path, headers, body, is_upgrade } = self;
        let host = if headers.contains("Host: ") { "" } else { "Host: 127.0.0.1:1\r\n" };
        let mut signed = format!(
            "Authorization: AWS4-HMAC-SHA256 Credential={key}/20260501/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=00\r\n"
        );
        if service.is_empty() {
            signed.clear();
        }
        let connection = if *is_upgrade { "Upgrade" } else { "close" };
        let head = format!("{method} {path} HTTP/1.1\r\n{host}Connection: {connection}\r\n{signed}{headers}");
        if *is_upgrade {
            return [head.as_bytes(), b"\r\n", body].concat();
        }
        if !is_chunked {
            return [head.as_bytes(), format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body]
                .concat();
        }
        let mut bytes = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
        for (n, chunk) in body.chunks(7).enumerate() {
            let extension = if n == 0 { ";a=b" } else { "" };
            bytes.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\nx-late: 1\r\n\r\n");
        bytes
    }
}

/// awsJson: the service it is signed for, the target, and a body that is right.
fn of_json(rng: &mut SmallRng) -> (&'static str, String, Value) {
    let ssm = [
        (
            "SendCommand",
            json!({"DocumentName": "AWS-RunShellScript", "InstanceIds": ["?node"], "Comment": "c", "TimeoutSeconds": 60,
            "Parameters": {"commands": ["echo $((1+2)) | tr a-z A-Z; uptime"], "executionTimeout": ["60"], "workingDirectory": ["/tmp"]},
            "MaxConcurrency": "10%", "MaxErrors": "1", "OutputS3BucketName": "herder-output", "OutputS3KeyPrefix": "p",
            "CloudWatchOutputConfig": {"CloudWatchOutputEnabled": true, "CloudWatchLogGroupName": "g"}}),
        ),
        (
            "SendCommand",
            json!({"DocumentName": "AWS-RunPowerShellScript", "Targets": [{"Key": "tag:env", "Values": ["prod"]}],
            "Parameters": {"commands": ["Get-Date"]}}),
        ),
        (
            "ListCommands",
            json!({"MaxResults": 5, "NextToken": "?token", "Filters": [{"key": "InvokedAfter", "value": "2026-11-21T09:30:00Z"}]}),
        ),
        ("ListCommands", json!({"CommandId": "?command", "InstanceId": "?node"})),
        (
            "ListCommandInvocations",
            json!({"CommandId": "?command", "Details": true, "MaxResults": 1, "NextToken": "?token",
            "Filters": [{"key": "Status", "value": "Success"}]}),
        ),
        (
            "GetCommandInvocation",
            json!({"CommandId": "?command", "InstanceId": "?node", "PluginName": "aws:runShellScript"}),
        ),
        ("CancelCommand", json!({"CommandId": "?command", "InstanceIds": ["?node"]})),
        (
            "DescribeInstanceInformation",
            json!({"Filters": [{"Key": "tag:env", "Values": ["prod"]}], "MaxResults": 5, "NextToken": "?token"}),
        ),
        (
            "DescribeInstanceInformation",
            json!({"InstanceInformationFilterList": [{"key": "PingStatus", "valueSet": ["Online"]}]}),
        ),
        (
            "DescribeInstanceProperties",
            json!({"FiltersWithOperator": [{"Key": "InstanceIds", "Values": ["?node"], "Operator": "Equal"}],
            "MaxResults": 5, "NextToken": "?token"}),
        ),
        (
            "GetCalendarState",
            json!({"CalendarNames": ["change-calendar", "?arn"], "AtTime": "2026-11-21T09:30:00Z"}),
        ),
        (
            "StartSession",
            json!({"Target": "?node", "DocumentName": "AWS-StartPortForwardingSession", "Reason": "r",
            "Parameters": {"portNumber": ["80"], "localPortNumber": ["8080"]}}),
        ),
        ("StartSession", json!({"Target": "?node"})),
        ("ResumeSession", json!({"SessionId": "?session"})),
        ("TerminateSession", json!({"SessionId": "?session"})),
        (
            "DescribeSessions",
            json!({"State": "History", "MaxResults": 1, "NextToken": "?token", "Filters": [{"key": "Target", "value": "?node"}]}),
        ),
        ("GetConnectionStatus", json!({"Target": "?node"})),
        (
            "UpdateInstanceInformation",
            json!({"InstanceId": "?node", "AgentVersion": "3.3.0.0", "AgentStatus": "Active", "PlatformType": "Linux"}),
        ),
        ("ListInstanceAssociations", json!({"InstanceId": "?node", "MaxResults": 5, "NextToken": "?token"})),
        (
            "RegisterManagedInstance",
            json!({"ActivationId": "5a5a5a5a-0000-4000-8000-000000000001", "ActivationCode": "simulated-activation-code",
            "PublicKey": "?token", "PublicKeyType": "Rsa", "Fingerprint": "?"}),
        ),
        ("RequestManagedInstanceRoleToken", json!({"Fingerprint": "?"})),
        ("UpdateManagedInstancePublicKey", json!({"NewPublicKey": "?token", "NewPublicKeyType": "Rsa"})),
        ("DescribeDocument", json!({"Name": "AWS-RunShellScript", "DocumentVersion": "$LATEST"})),
        ("GetDocument", json!({"Name": "SSM-SessionManagerRunShell", "DocumentFormat": "JSON"})),
        (
            "ListDocuments",
            json!({"Filters": [{"Key": "Owner", "Values": ["Amazon"]}], "MaxResults": 1, "NextToken": "?token"}),
        ),
        (
            "AddTagsToResource",
            json!({"ResourceType": "ManagedInstance", "ResourceId": "?node", "Tags": [{"Key": "a", "Value": "b"}]}),
        ),
        (
            "RemoveTagsFromResource",
            json!({"ResourceType": "ManagedInstance", "ResourceId": "?node", "TagKeys": ["a"]}),
        ),
        ("ListTagsForResource", json!({"ResourceType": "ManagedInstance", "ResourceId": "?node"})),
    ];
    let logs = [
        ("DescribeLogGroups", json!({"logGroupNamePrefix": "/", "limit": 1, "nextToken": "?token"})),
        (
            "DescribeLogStreams",
            json!({"logGroupName": "g", "logStreamNamePrefix": "?", "limit": 5, "nextToken": "?token"}),
        ),
        (
            "FilterLogEvents",
            json!({"logGroupName": "g", "startTime": 0, "endTime": 9_999_999_999_999_u64, "limit": 1, "nextToken": "?token",
            "filterPattern": "up", "logStreamNames": ["?"]}),
        ),
        (
            "GetLogEvents",
            json!({"logGroupName": "g", "logStreamName": "?", "startFromHead": true, "limit": 1, "nextToken": "?token"}),
        ),
    ];
    let kms = [
        (
            "GenerateDataKey",
            json!({"KeyId": "alias/sessions", "NumberOfBytes": 64, "EncryptionContext": {"aws:ssm:SessionId": "a"}}),
        ),
        ("Decrypt", json!({"CiphertextBlob": "?", "EncryptionContext": {"aws:ssm:SessionId": "a"}})),
        ("DescribeKey", json!({"KeyId": "alias/sessions"})),
    ];
    let organizations = [
        ("ListAccounts", json!({"MaxResults": 1, "NextToken": "?token"})),
        ("ListAccountsForParent", json!({"ParentId": "r-sim1", "MaxResults": 1})),
        ("ListRoots", json!({})),
        (
            "ListOrganizationalUnitsForParent",
            json!({"ParentId": "r-sim1", "MaxResults": 1, "NextToken": "?token"}),
        ),
        ("DescribeOrganization", json!({})),
    ];
    let of = |rng: &mut SmallRng, (service, prefix): (&'static str, &str), all: &[(&str, Value)]| {
        let (api, body) = all.choose(rng).unwrap();
        (service, format!("{prefix}.{api}"), body.clone())
    };
    match rng.random_range(0..10) {
        0 => of(rng, ("logs", "Logs_20140328"), &logs),
        1 => of(rng, ("kms", "TrentService"), &kms),
        2 => of(rng, ("organizations", "AWSOrganizationsV20161128"), &organizations),
        3 => {
            let (api, body) = alarms(rng);
            ("monitoring", format!("GraniteServiceVersion20100801.{api}"), body)
        }
        _ => of(rng, ("ssm", "AmazonSSM"), &ssm),
    }
}

fn alarms(rng: &mut SmallRng) -> (&'static str, Value) {
    match rng.random_range(0..2) {
        0 => (
            "DescribeAlarms",
            json!({"AlarmNames": ["web-5xx"], "AlarmTypes": ["MetricAlarm"], "MaxRecords": 1, "NextToken": "?token"}),
        ),
        _ => (
            "SetAlarmState",
            json!({"AlarmName": "web-5xx", "StateValue": "ALARM", "StateReason": "r", "StateReasonData": "{}"}),
        ),
    }
}

/// awsQuery and ec2Query: the service it is signed for, and the form.
fn of_form(rng: &mut SmallRng, known: &Known) -> (&'static str, Vec<(String, String)>) {
    const FORMS: [(&str, &str); 20] = [
        ("sts", "Action=GetCallerIdentity&Version=2011-06-15"),
        (
            "sts",
            "Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::222222222222:role/HerderExec&RoleSessionName=me&DurationSeconds=900&SerialNumber=arn:aws:iam::1:mfa/x&TokenCode=123456",
        ),
        ("sts", "Action=GetSessionToken&Version=2011-06-15&DurationSeconds=900"),
        (
            "ec2",
            "Action=DescribeInstances&Version=2016-11-15&MaxResults=5&NextToken=?token&Filter.1.Name=tag:Name&Filter.1.Value.1=web-*&Filter.2.Name=instance-state-name&Filter.2.Value.1=run*",
        ),
        ("ec2", "Action=DescribeInstances&Version=2016-11-15&InstanceId.1=?node&InstanceId.2=?node"),
        (
            "ec2",
            "Action=DescribeRegions&Version=2016-11-15&AllRegions=true&RegionName.1=us-east-1&Filter.1.Name=opt-in-status&Filter.1.Value.1=opted-in",
        ),
        (
            "ec2",
            "Action=DescribeTags&Version=2016-11-15&Filter.1.Name=resource-id&Filter.1.Value.1=?node&MaxResults=5&NextToken=?token",
        ),
        ("ec2", "Action=CreateTags&Version=2016-11-15&ResourceId.1=?node&Tag.1.Key=a&Tag.1.Value=b"),
        ("ec2", "Action=DeleteTags&Version=2016-11-15&ResourceId.1=?node&Tag.1.Key=a"),
        ("ec2", "Action=StartInstances&Version=2016-11-15&InstanceId.1=?node"),
        ("ec2", "Action=StopInstances&Version=2016-11-15&InstanceId.1=?node&DryRun=true"),
        ("ec2", "Action=RebootInstances&Version=2016-11-15&InstanceId.1=?node"),
        ("ec2", "Action=TerminateInstances&Version=2016-11-15&InstanceId.1=?node"),
        (
            "autoscaling",
            "Action=DescribeAutoScalingGroups&Version=2011-01-01&MaxRecords=1&NextToken=?token&Filters.member.1.Name=tag:env&Filters.member.1.Values.member.1=prod",
        ),
        ("autoscaling", "Action=DescribeAutoScalingInstances&Version=2011-01-01&InstanceIds.member.1=?node"),
        ("elasticloadbalancing", "Action=DescribeTargetGroups&Version=2015-12-01&PageSize=1&Marker=?token"),
        (
            "elasticloadbalancing",
            "Action=DescribeTargetHealth&Version=2015-12-01&TargetGroupArn=?arn&Targets.member.1.Id=?node&Targets.member.1.Port=80",
        ),
        (
            "elasticloadbalancing",
            "Action=DescribeLoadBalancers&Version=2015-12-01&LoadBalancerArns.member.1=?arn",
        ),
        (
            "monitoring",
            "Action=DescribeAlarms&Version=2010-08-01&AlarmNames.member.1=web-5xx&MaxRecords=1&NextToken=?token",
        ),
        (
            "monitoring",
            "Action=SetAlarmState&Version=2010-08-01&AlarmName=web-5xx&StateValue=ALARM&StateReason=r",
        ),
    ];
    let (service, form) = FORMS.choose(rng).unwrap();
    let mut pairs = Vec::new();
    for pair in form.split('&') {
        let (key, value) = pair.split_once('=').unwrap();
        if value != "?token" || rng.random_bool(0.3) {
            pairs.push((key.to_owned(), known.filled(rng, value).unwrap_or_else(|| value.to_owned())));
        }
    }
    (service, pairs)
}

fn joined(pairs: &[(String, String)]) -> String {
    pairs
        .iter()
        .map(|(key, value)| format!("{}={}", encoded(key), encoded(value)))
        .collect::<Vec<_>>()
        .join("&")
}

/// A value as CBOR: heads of four bytes, which all readers take.
fn cbor(value: &Value, out: &mut Vec<u8>) {
    let mut head = |major: u8, count: u64| {
        out.push(major << 5 | 27);
        out.extend_from_slice(&count.to_be_bytes());
    };
    match value {
        Value::Null => out.push(0xF6),
        Value::Bool(flag) => out.push(0xF4 + u8::from(*flag)),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => head(0, number),
            (_, Some(number)) => head(1, number.unsigned_abs() - 1),
            _ => {
                out.push(0xFB);
                out.extend_from_slice(&number.as_f64().unwrap_or(f64::NAN).to_be_bytes());
            }
        },
        Value::String(text) => {
            head(3, text.len() as u64);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Array(items) => {
            head(4, items.len() as u64);
            items.iter().for_each(|item| cbor(item, out));
        }
        Value::Object(members) => {
            head(5, members.len() as u64);
            for (key, value) in members {
                cbor(&json!(key), out);
                cbor(value, out);
            }
        }
    }
}

/// restXml: paths, queries, ranges and bodies.
fn of_s3(rng: &mut SmallRng, known: &Known) -> Request {
    let key = *["a", "b/c%20d", "p/?/stdout", "%E2%82", "\u{e9}"].choose(rng).unwrap();
    let key = encoded(&key.replace('?', &known.any(rng))).replace("%2F", "/").replace("%25", "%");
    let object = format!("/herder-output/{key}");
    let token = if rng.random_bool(0.3) {
        format!("&continuation-token={}", encoded(&known.one(rng, Kind::Token)))
    } else {
        String::new()
    };
    match rng.random_range(0..10) {
        0 => Request::new("s3", "GET", "/", ""),
        1 => Request::new(
            "s3",
            "GET",
            &format!(
                "/herder-output?list-type=2&prefix=&delimiter=%2F&max-keys=1{token}&start-after=a&encoding-type=url"
            ),
            "",
        ),
        2 => Request::new("s3", "GET", "/herder-output?location", ""),
        3 => Request::new("s3", "PUT", &format!("/{}", encoded(&odd_text(rng, known))), ""),
        4 => Request::new("s3", "HEAD", &object, ""),
        5 => Request::new("s3", "DELETE", &object, ""),
        6 => Request::new(
            "s3",
            "PUT",
            &object,
            "5;chunk-signature=0\r\nhello\r\n0;chunk-signature=0\r\nx-amz-checksum: a\r\n\r\n",
        )
        .header("Content-Encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", "5"),
        7 => Request::new("s3", "PUT", &object, "0123456789"),
        8 => Request::new("s3", "GET", &format!("/{key}"), "").header("Host", "herder-output.localhost:80"),
        _ => {
            let range = [
                "bytes=0-3",
                "bytes=-2",
                "bytes=4-",
                "bytes=18446744073709551615-",
                "bytes=0-18446744073709551615",
                "bytes=-0",
            ];
            Request::new("s3", "GET", &object, "")
                .header("Range", range.choose(rng).unwrap())
                .header("If-Match", "*")
        }
    }
}

/// restJson, and the control interface as far as it stops nothing.
fn other(rng: &mut SmallRng, known: &Known, spoiled: usize) -> Request {
    let token = if rng.random_bool(0.3) { encoded(&known.one(rng, Kind::Token)) } else { String::new() };
    let (service, path, mut body) = match rng.random_range(0..8) {
        0 => (
            "resource-groups",
            format!("/groups-list?maxResults=1&nextToken={token}"),
            json!({"Filters": [{"Name": "resource-type", "Values": ["AWS::EC2::Instance"]}]}),
        ),
        1 | 2 => (
            "resource-groups",
            "/list-group-resources".to_owned(),
            json!({"Group": "env-prod", "MaxResults": 1, "NextToken": "?token"}),
        ),
        3 => {
            let path = ["/get-group", "/get-group-query"].choose(rng).unwrap();
            ("resource-groups", (*path).to_owned(), json!({"GroupName": "env-prod"}))
        }
        4 => {
            let what =
                ["requests", "stats", "truth", "nodes", "all-nodes", "sessions", "operations", "faults", ""];
            return Request::new("", "GET", &format!("/_sim/{}", what.choose(rng).unwrap()), "");
        }
        5 => ("", "/_sim/floor".to_owned(), json!({"comment": "c", "concurrency": 5, "batch": 50})),
        6 => (
            "",
            "/_sim/alarm".to_owned(),
            json!({"region": "us-east-1", "name": "web-5xx", "state": "ALARM"}),
        ),
        _ => ("", "/_sim/clock".to_owned(), json!({"skew_ms": 1000})),
    };
    fill(rng, known, &mut body);
    (0..spoiled).for_each(|_| spoil(rng, known, &mut body));
    Request::new(service, "POST", &path, body.to_string())
}

/// What knocks at the gateway's doors: a WebSocket, with its first messages behind it.
fn knock(rng: &mut SmallRng, known: &Known) -> Request {
    let id = encoded(&known.one(rng, Kind::Session));
    let path = match rng.random_range(0..5) {
        0 => format!("/v1/control-channel/{id}"),
        _ => format!("/v1/data-channel/{id}?role=publish_subscribe"),
    };
    if rng.random_bool(0.2) {
        let body = json!({"MessageSchemaVersion": "1.0", "RequestId": "r"});
        return Request::new("ssmmessages", "POST", &path, body.to_string());
    }
    let mut body = json!({"MessageSchemaVersion": "1.0", "RequestId": "r", "ClientId": "c", "TokenValue": known.one(rng, Kind::Token)});
    if rng.random_bool(0.3) {
        spoil(rng, known, &mut body);
    }
    let mut frames = frame(0x81, body.to_string().as_bytes());
    for _ in 0..rng.random_range(0..4) {
        let bytes: Vec<u8> = (0..rng.random_range(0..300)).map(|_| rng.random()).collect();
        frames.extend(frame(*[0x82, 0x82, 0x81, 0x02, 0x80, 0x89, 0x88, 0xF3].choose(rng).unwrap(), &bytes));
    }
    Request { is_upgrade: true, ..Request::new("", "GET", &path, frames) }
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}

/// A frame of a WebSocket, masked with zeros.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![opcode, 0x80 | 126];
    frame.extend_from_slice(&(payload.len() as u16).to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// A request, with odd values in it or without.
pub(crate) fn request(rng: &mut SmallRng, known: &Known) -> Request {
    let spoiled = if rng.random_bool(0.5) { rng.random_range(1..3) } else { 0 };
    match rng.random_range(0..12) {
        0..6 => {
            let (service, target, mut body) = of_json(rng);
            fill(rng, known, &mut body);
            (0..spoiled).for_each(|_| spoil(rng, known, &mut body));
            Request::new(service, "POST", "/", body.to_string()).header("X-Amz-Target", &target)
        }
        6 => {
            let (api, mut body) = alarms(rng);
            fill(rng, known, &mut body);
            (0..spoiled).for_each(|_| spoil(rng, known, &mut body));
            let mut bytes = Vec::new();
            cbor(&body, &mut bytes);
            Request::new(
                "monitoring",
                "POST",
                &format!("/service/GraniteServiceVersion20100801/operation/{api}"),
                bytes,
            )
            .header("smithy-protocol", "rpc-v2-cbor")
            .header("Content-Type", "application/cbor")
        }
        7..9 => {
            let (service, mut pairs) = of_form(rng, known);
            for _ in 0..spoiled {
                let at = rng.random_range(0..pairs.len());
                match rng.random_range(0..6) {
                    0 => drop(pairs.remove(at)),
                    1 => {
                        pairs[at].0 =
                            pairs[at].0.replace('1', ["0", "4294967296", "x", ""].choose(rng).unwrap())
                    }
                    _ => pairs[at].1 = odd_text(rng, known),
                }
                if pairs.is_empty() {
                    break;
                }
            }
            if rng.random_bool(0.1) {
                return Request::new(service, "GET", &format!("/?{}", joined(&pairs)), "");
            }
            Request::new(service, "POST", "/", joined(&pairs))
        }
        9 => of_s3(rng, known),
        10 => other(rng, known, spoiled),
        _ => knock(rng, known),
    }
}

/// What is asked for in every round, and has to be answered whatever came before.
pub(crate) fn good() -> Request {
    Request::new("ssm", "POST", "/", Value::Object(Map::new()).to_string())
        .header("X-Amz-Target", "AmazonSSM.DescribeInstanceInformation")
}
