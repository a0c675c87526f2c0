//! Alarms, target groups, resource groups and calendars: what is asked in which protocol, and what is made of the answers.

use herder_aws::cloudwatch::AlarmState;
use herder_aws::elbv2::{HealthState, TargetKind};
use herder_aws::ssm::CalendarState;

use super::support::{Answer, Server};
use super::{CallErrorKind, scope};

/// CBOR, as much of it as answers need.
enum Item<'a> {
    Text(&'a str),
    Seconds(f64),
    List(Vec<Item<'a>>),
    Map(Vec<(&'a str, Item<'a>)>),
}

impl Item<'_> {
    fn head(out: &mut Vec<u8>, major: u8, length: usize) {
        match u8::try_from(length).unwrap() {
            short @ ..24 => out.push(major << 5 | short),
            long => out.extend([major << 5 | 24, long]),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Item::Text(text) => {
                Item::head(out, 3, text.len());
                out.extend(text.as_bytes());
            }
            Item::Seconds(seconds) => {
                // Tag 1, a double.
                out.extend([0xc1, 0xfb]);
                out.extend(seconds.to_be_bytes());
            }
            Item::List(items) => {
                Item::head(out, 4, items.len());
                items.iter().for_each(|item| item.write(out));
            }
            Item::Map(members) => {
                Item::head(out, 5, members.len());
                for (name, item) in members {
                    Item::Text(name).write(out);
                    item.write(out);
                }
            }
        }
    }

    fn answer(&self, status: u16) -> Answer {
        let mut out = Vec::new();
        self.write(&mut out);
        Answer::Cbor(status, out)
    }
}

fn alarm<'a>(name: &'a str, state: &'a str) -> Item<'a> {
    Item::Map(vec![
        ("AlarmName", Item::Text(name)),
        ("StateValue", Item::Text(state)),
        ("StateReason", Item::Text("because")),
        ("StateTransitionedTimestamp", Item::Seconds(1_795_253_400.25)),
    ])
}

#[tokio::test]
async fn alarms_of_every_kind_are_asked_for_by_exact_names_page_by_page() {
    let server = Server::start(|n, _| {
        let page = match n {
            0 => Item::Map(vec![
                ("MetricAlarms", Item::List(vec![alarm("web-5xx", "OK")])),
                ("NextToken", Item::Text("more")),
            ]),
            _ => Item::Map(vec![
                ("CompositeAlarms", Item::List(vec![alarm("anything", "ALARM")])),
                ("LogAlarms", Item::List(vec![alarm("panics", "INSUFFICIENT_DATA")])),
            ]),
        };
        page.answer(200)
    });
    let scope = scope(&server.url).await;
    let names = ["web-5xx", "anything", "panics", "gone"].map(str::to_owned);
    let alarms = scope.cloudwatch().describe_alarms(&names).await.unwrap();
    let told: Vec<(&str, &AlarmState)> = alarms.iter().map(|a| (a.name.as_str(), &a.state)).collect();
    let expected = [
        ("web-5xx", &AlarmState::Ok),
        ("anything", &AlarmState::Alarm),
        ("panics", &AlarmState::InsufficientData),
    ];
    assert_eq!(told, expected);
    assert_eq!(alarms[0].reason, "because");
    assert_eq!(alarms[0].transitioned.unwrap().to_string(), "2026-11-21T09:30:00.25Z");
    assert_eq!(server.count("DescribeAlarms"), 2);
    for request in server.seen() {
        for word in ["CompositeAlarm", "MetricAlarm", "LogAlarm", "gone"] {
            assert!(request.body.contains(word), "{request:?}");
        }
    }
    assert!(server.seen()[1].body.contains("more"));
    assert_eq!(scope.cloudwatch().describe_alarms(&[]).await.unwrap(), []);
    assert_eq!(server.count("DescribeAlarms"), 2, "nothing is asked for nothing");
}

#[tokio::test]
async fn many_alarms_go_a_hundred_at_a_time() {
    let server = Server::start(|_, _| Item::Map(Vec::new()).answer(200));
    let names: Vec<String> = (0..101).map(|n| format!("alarm-{n}")).collect();
    let alarms = scope(&server.url).await.cloudwatch().describe_alarms(&names).await.unwrap();
    assert_eq!((alarms.len(), server.count("DescribeAlarms")), (0, 2));
}

#[tokio::test]
async fn what_is_denied_names_the_action_that_is_missing() {
    let server = Server::start(|_, request| match request.api.as_str() {
        "DescribeAlarms" => Item::Map(vec![
            ("__type", Item::Text("com.amazonaws.cloudwatch#AccessDenied")),
            ("message", Item::Text("User: x is not authorized to perform: cloudwatch:DescribeAlarms")),
        ])
        .answer(403),
        "list-group-resources" => Answer::Header(
            403,
            "x-amzn-errortype: ForbiddenException",
            r#"{"Message":"User: x is not authorized to perform: tag:GetResources"}"#,
        ),
        "GetCalendarState" => Answer::Json(400, r#"{"__type":"AccessDeniedException"}"#),
        _ => Answer::Xml(
            403,
            "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error>\
             <RequestId>r</RequestId></ErrorResponse>"
                .to_owned(),
        ),
    });
    let scope = scope(&server.url).await;
    let errors = [
        scope.cloudwatch().describe_alarms(&["a".to_owned()]).await.unwrap_err(),
        scope.resource_groups().nodes("g", None).await.unwrap_err(),
        scope.ssm().calendar_state("c").await.unwrap_err(),
        scope.elbv2().target_group("t").await.unwrap_err(),
        scope.elbv2().target_health("arn:t").await.unwrap_err(),
    ];
    let actions: Vec<String> = errors
        .iter()
        .map(|error| match &error.kind {
            CallErrorKind::AccessDenied { action, .. } => action.clone(),
            kind => panic!("{kind:?}: {error}"),
        })
        .collect();
    let expected = [
        "cloudwatch:DescribeAlarms",
        "tag:GetResources",
        "ssm:GetCalendarState",
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeTargetHealth",
    ];
    assert_eq!(actions, expected);
    let said = errors[0].to_string();
    assert_eq!(
        said,
        "cloudwatch:DescribeAlarms of a was denied: `cloudwatch:DescribeAlarms` is not allowed (AccessDenied)"
    );
}

#[tokio::test]
async fn what_does_not_exist_is_no_error() {
    let server = Server::start(|_, request| match request.api.as_str() {
        "list-group-resources" => {
            Answer::Header(404, "x-amzn-errortype: NotFoundException", r#"{"Message":"Cannot find group"}"#)
        }
        "GetCalendarState" => Answer::Json(400, r#"{"__type":"InvalidDocument","Message":"no"}"#),
        "DescribeTargetGroups" => Answer::Xml(
            400,
            "<ErrorResponse><Error><Type>Sender</Type><Code>TargetGroupNotFound</Code>\
             <Message>One or more target groups not found</Message></Error></ErrorResponse>"
                .to_owned(),
        ),
        api => panic!("{api}"),
    });
    let scope = scope(&server.url).await;
    assert_eq!(scope.resource_groups().nodes("g", None).await.unwrap(), None);
    assert_eq!(scope.ssm().calendar_state("c").await.unwrap(), None);
    assert_eq!(scope.elbv2().target_group("t").await.unwrap(), None);
}

#[tokio::test]
async fn target_groups_by_name_by_arn_and_all() {
    let server = Server::start(|_, request| {
        let members = match request.api.as_str() {
            "DescribeTargetGroups" => {
                "<TargetGroups><member><TargetGroupArn>arn:aws:elasticloadbalancing:r:1:targetgroup/web/7</TargetGroupArn>\
                 <TargetGroupName>web</TargetGroupName><TargetType>ip</TargetType><VpcId>vpc-1</VpcId></member></TargetGroups>\
                 <NextMarker>more</NextMarker>"
            }
            _ => {
                "<TargetHealthDescriptions><member><Target><Id>10.0.0.7</Id><Port>80</Port></Target><TargetHealth>\
                 <State>unhealthy.draining</State><Reason>Target.DeregistrationInProgress</Reason></TargetHealth></member>\
                 <member><Target><Id>10.0.0.8</Id><Port>80</Port></Target><TargetHealth><State>healthy</State></TargetHealth>\
                 </member></TargetHealthDescriptions>"
            }
        };
        let api = &request.api;
        Answer::Xml(
            200,
            format!(
                "<{api}Response xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\"><{api}Result>{members}</{api}Result></{api}Response>"
            ),
        )
    });
    let elbv2 = scope(&server.url).await.elbv2();
    let group = elbv2.target_group("web").await.unwrap().unwrap();
    assert_eq!(
        (group.name.as_str(), &group.kind, group.vpc.as_deref()),
        ("web", &TargetKind::Ip, Some("vpc-1"))
    );
    assert_eq!(elbv2.target_group(&group.arn).await.unwrap().unwrap(), group);
    let page = elbv2.target_groups(Some("from")).await.unwrap();
    assert_eq!((page.items, page.next.as_deref()), (vec![group.clone()], Some("more")));
    let asked: Vec<String> = server.seen().into_iter().map(|request| request.body).collect();
    assert!(asked[0].contains("Names.member.1=web"), "{asked:?}");
    assert!(asked[1].contains("TargetGroupArns.member.1=arn%3Aaws"), "{asked:?}");
    assert!(asked[2].contains("PageSize=400") && asked[2].contains("Marker=from"), "{asked:?}");
    let health = elbv2.target_health(&group.arn).await.unwrap();
    let told: Vec<(&str, &HealthState)> = health.iter().map(|t| (t.id.as_str(), &t.state)).collect();
    assert_eq!(told, [("10.0.0.7", &HealthState::Draining), ("10.0.0.8", &HealthState::Healthy)]);
    assert_eq!(health[0].reason.as_deref(), Some("Target.DeregistrationInProgress"));
}

#[tokio::test]
async fn nodes_of_a_resource_group_and_what_it_could_not_say() {
    let server = Server::start(|_, request| match request.api.as_str() {
        "list-group-resources" => Answer::Json(
            200,
            r#"{"Resources":[
                {"Identifier":{"ResourceArn":"arn:aws:ec2:r:1:instance/i-0123456789abcdef0","ResourceType":"AWS::EC2::Instance"}},
                {"Identifier":{"ResourceArn":"arn:aws:ssm:r:1:managed-instance/mi-0123456789abcdef0","ResourceType":"AWS::SSM::ManagedInstance"}}],
              "NextToken":"more",
              "QueryErrors":[{"ErrorCode":"CLOUDFORMATION_STACK_INACTIVE","Message":"the stack is gone"}]}"#,
        ),
        _ => Answer::Json(200, r#"{"GroupIdentifiers":[{"GroupName":"env-prod"}],"Groups":[]}"#),
    });
    let groups = scope(&server.url).await.resource_groups();
    let members = groups.nodes("env-prod", Some("from")).await.unwrap().unwrap();
    assert_eq!(members.page.items, ["i-0123456789abcdef0", "mi-0123456789abcdef0"]);
    assert_eq!(members.page.next.as_deref(), Some("more"));
    assert_eq!(members.errors, ["CLOUDFORMATION_STACK_INACTIVE: the stack is gone"]);
    let asked: serde_json::Value = serde_json::from_str(&server.seen()[0].body).unwrap();
    assert_eq!((&asked["Group"], &asked["NextToken"]), (&"env-prod".into(), &"from".into()));
    assert_eq!(asked["Filters"][0]["Name"], "resource-type");
    assert_eq!(asked["Filters"][0]["Values"].as_array().unwrap().len(), 2);
    assert_eq!(groups.groups(None).await.unwrap().items, ["env-prod"]);
}

#[tokio::test]
async fn a_calendar_is_open_or_not() {
    let server = Server::start(|n, _| {
        let body = match n {
            0 => {
                r#"{"State":"OPEN","AtTime":"2026-11-21T09:30:00Z","NextTransitionTime":"2026-11-23T00:00:00Z"}"#
            }
            1 => r#"{"State":"CLOSED","AtTime":"2026-11-21T09:30:00Z"}"#,
            _ => r#"{}"#,
        };
        Answer::Json(200, body)
    });
    let ssm = scope(&server.url).await.ssm();
    let open = ssm.calendar_state("freeze").await.unwrap().unwrap();
    assert_eq!((open.is_open, open.changes_at.unwrap().to_string().as_str()), (true, "2026-11-23T00:00:00Z"));
    let closed = CalendarState { is_open: false, changes_at: None };
    assert_eq!(ssm.calendar_state("freeze").await.unwrap(), Some(closed));
    assert_eq!(ssm.calendar_state("freeze").await.unwrap(), Some(closed), "what says nothing is not open");
    assert!(server.seen()[0].body.contains(r#""CalendarNames":["freeze"]"#), "{:?}", server.seen()[0]);
}
