use proptest::prelude::*;

use super::*;
use crate::target::Members;

fn selector(text: &str) -> Selector {
    text.parse().unwrap_or_else(|e| panic!("{e}"))
}

fn query(chosen: &[&str], excluded: &[&str]) -> Query {
    let all = |texts: &[&str]| texts.iter().map(|t| selector(t)).collect();
    Query::new(all(chosen), all(excluded)).unwrap()
}

fn web_1() -> NodeFacts {
    NodeFacts {
        id: "i-0123456789abcdef0".into(),
        name: Some("web-1".into()),
        tags: [("env", "prod"), (ASG_TAG, "web"), ("empty", "")].map(|(k, v)| (k.into(), v.into())).into(),
        az: Some("eu-west-1a".into()),
        vpc: Some("vpc-1".into()),
        subnet: Some("subnet-1".into()),
        image: Some("ami-1".into()),
        asg: None,
        platform: Some(Platform::Linux),
        ping: Some(Ping::Online),
        agent_version: Some("3.2.985.0".into()),
        state: Some("running".into()),
        ..NodeFacts::default()
    }
}

/// What is not known of a node keeps commands from it, whichever way round a condition is written.
#[test]
fn a_partial_node_is_chosen_only_by_what_is_known() {
    let hybrid = NodeFacts {
        id: "mi-0123456789abcdef0".into(),
        name: Some("db-1".into()),
        tags: [("role".to_owned(), "db".to_owned())].into(),
        lacks: [("env".to_owned(), "prod".to_owned())].into(),
        is_partial: true,
        ..NodeFacts::default()
    };
    let decide = |chosen: &str, excluded: &[&str], node: &NodeFacts| query(&[chosen], excluded).decide(node);
    for (chosen, decided) in [
        ("tag:role=db", Some(true)),
        ("not tag:role=db", Some(false)),
        ("tag:role=web", Some(false)),
        ("tag:env=prod", Some(false)),
        ("not tag:env=prod", Some(true)),
        ("tag:env=stage", None),
        ("not tag:env=stage", None),
        ("not tag:env=p*", None),
        ("not tag:owner", None),
        ("tag:role=db and not tag:owner", None),
        ("tag:role=web and not tag:owner", Some(false)),
        ("not az:us-east-1a", Some(true)),
        ("not db-2", Some(true)),
        ("all", Some(true)),
    ] {
        assert_eq!(decide(chosen, &[], &hybrid), decided, "{chosen}");
    }
    assert_eq!(decide("all", &["tag:owner"], &hybrid), None);
    assert_eq!(decide("all", &["tag:env=prod"], &hybrid), Some(true));
    assert_eq!(decide("db-2", &["tag:owner"], &hybrid), Some(false));
    // An instance of which EC2 says nothing may have any name and zone.
    let instance = NodeFacts { id: "i-0123456789abcdef0".into(), is_partial: true, ..NodeFacts::default() };
    for chosen in ["web-1", "not web-*", "not az:us-east-1a", "not asg:web"] {
        assert_eq!(decide(chosen, &[], &instance), None, "{chosen}");
    }
    assert_eq!(decide("i-0123456789abcdef0", &[], &instance), Some(true));
    assert_eq!(decide("not i-0123456789abcdef1", &[], &instance), Some(true));
    let pairs = query(&["tag:env=prod,st* and not tag:role=db"], &["tag:x=y"]).tag_values();
    let expected = [("env", "prod"), ("role", "db"), ("x", "y")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(pairs, expected.into());
}

#[test]
fn terms_decide_on_facts() {
    let chosen = |text: &str| query(&[text], &[]).matches(&web_1());
    for yes in [
        "i-0123456789abcdef0",
        "web-1",
        "web-*",
        "w?b-1",
        "tag:env",
        "tag:env=stage,pr*",
        "tag:empty=\"\"",
        "asg:web",
        "az:*a",
        "vpc:vpc-1",
        "subnet:subnet-1",
        "ami:ami-1",
        "platform:windows,linux",
        "ping:online",
        "agent:ge:3.2",
        "all",
        "web-1 and tag:env=prod",
        "not web-2",
        "not (web-1 and web-2)",
    ] {
        assert!(chosen(yes), "{yes}");
    }
    for no in
        ["web", "tag:ENV", "tag:env=", "ping:lost", "agent:lt:3.2", "not all", "all and not web-*", "asg:we"]
    {
        assert!(no.parse::<Selector>().is_err() || !chosen(no), "{no}");
    }
    assert!(!query(&["all"], &["tag:env=prod"]).matches(&web_1()));
    let unknown = NodeFacts { id: "mi-0123456789abcdef0".into(), ..NodeFacts::default() };
    assert!(!query(&["ping:lost", "az:*", "platform:linux", "agent:lt:9"], &[]).matches(&unknown));
}

#[test]
fn what_cannot_be_decided_is_refused() {
    for text in ["@nodes.txt", "-", "@last:failed", "tg:web", "web and not rg:x"] {
        assert!(Query::new(vec![selector(text)], vec![]).is_err(), "{text}");
        assert!(Query::new(vec![selector("all")], vec![selector(text)]).is_err(), "{text}");
    }
    assert_eq!(
        Query::new(vec![selector("not tg:web")], vec![]).unwrap_err().to_string(),
        "`tg:web` can't be resolved"
    );
    let replaced = selector("az:a and not @f").replace_terms(&mut |term| match term {
        Term::Source(_) => {
            Ok::<_, ()>(Some(Term::Nodes(["web-1", "i-0123456789abcdef0"].into_iter().collect())))
        }
        _ => Ok(None),
    });
    assert_eq!(replaced.unwrap().to_string(), "az:a and not i-0123456789abcdef0,web-1");
}

#[test]
fn few_questions_are_asked() {
    let asked = |chosen: &[&str]| match query(chosen, &[]).reach() {
        Reach::Everything => "everything".to_owned(),
        Reach::Some { ids, filters, hybrid } => {
            let calls = filters.iter().map(|call| {
                let each: Vec<_> =
                    call.iter().map(|f| format!("{}={}", f.name, f.values.join(","))).collect();
                each.join("&")
            });
            let all: Vec<String> = ids.into_iter().chain(calls).collect();
            format!("{}{}", all.join(" | "), if hybrid { " +hybrid" } else { "" })
        }
    };
    assert_eq!(asked(&["tag:env=prod"]), "tag:env=prod +hybrid");
    assert_eq!(asked(&["tag:env", "web-*", "tag:env"]), "tag-key=env | tag:Name=web-* +hybrid");
    assert_eq!(
        asked(&["tag:env=prod and az:eu-west-1a and not web-1"]),
        "tag:env=prod&availability-zone=eu-west-1a"
    );
    assert_eq!(asked(&["asg:web and ping:online"]), "tag:aws:autoscaling:groupName=web");
    assert_eq!(asked(&["i-01234567 and tag:env=prod"]), "i-01234567");
    assert_eq!(asked(&["i-01234567,web-1"]), "i-01234567 | tag:Name=web-1 +hybrid");
    assert_eq!(asked(&["name:\"a*\\*\""]), "tag:Name=a*\\* +hybrid");
    assert_eq!(asked(&["web-1", "not web-2"]), "everything");
    assert_eq!(asked(&["all"]), "everything");
    assert_eq!(asked(&["ping:online"]), "everything");
    let many: Vec<String> = (0..450).map(|i| format!("n{i}")).collect();
    assert_eq!(asked(&[&many.join(",")]).matches("tag:Name=").count(), 3);
}

#[test]
fn named_ids_and_all() {
    let q = query(&["i-01234567,web-1", "i-76543210", "i-00000000 and az:a"], &["i-76543210"]);
    assert_eq!(q.named_ids().into_iter().collect::<Vec<_>>(), ["i-01234567"]);
    assert!(!q.is_all());
    assert!(query(&["web", "all"], &[]).is_all());
    assert!(!query(&["all and web"], &[]).is_all());
}

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "ab", "web-1", ""]).prop_map(str::to_owned)
}

fn facts() -> impl Strategy<Value = NodeFacts> {
    let places = (prop::option::of(word()), prop::option::of(word()), prop::option::of(word()));
    let tags = prop::collection::btree_map(word(), word(), 0..3);
    let state = (
        prop::option::of(Just(Platform::Linux)),
        prop::option::of(Just(Ping::Lost)),
        prop::option::of(Just("3.1".to_owned())),
    );
    (prop::sample::select(vec!["i-01234567", "i-76543210"]), prop::option::of(word()), tags, places, state)
        .prop_map(|(id, name, tags, (az, vpc, asg), (platform, ping, agent_version))| NodeFacts {
            id: id.into(),
            name,
            tags,
            az,
            vpc,
            asg,
            platform,
            ping,
            agent_version,
            ..NodeFacts::default()
        })
}

fn simple() -> impl Strategy<Value = Selector> {
    let terms = vec![
        "i-01234567",
        "a*",
        "web-1,b",
        "tag:a=a,b",
        "tag:b",
        "az:a?",
        "vpc:a",
        "asg:*b",
        "platform:linux",
        "ping:lost",
        "agent:le:3.1",
        "all",
        "i-76543210,a",
    ];
    prop::sample::select(terms).prop_map(selector).prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|s| Selector::Not(Box::new(s))),
            prop::collection::vec(inner, 2..4).prop_map(Selector::And),
        ]
    })
}

/// Whether EC2 (or SSM, for hybrid nodes) would give the node to one who asks so.
fn would_answer(reach: &Reach, node: &NodeFacts) -> bool {
    let holds = |filter: &Filter| {
        let asks = |text: &str, value: &Option<String>| {
            let pattern = selector(&format!("name:\"{}\"", text));
            let facts = NodeFacts { name: value.clone(), ..NodeFacts::default() };
            value.is_some() && super::holds(&pattern, &facts) == Some(true)
        };
        let key = filter.name.strip_prefix("tag:");
        let value = match (filter.name.as_str(), key) {
            ("tag:Name", _) => node.name.clone(),
            (_, Some(ASG_TAG)) => node.asg.clone().or_else(|| node.tags.get(ASG_TAG).cloned()),
            (_, Some(key)) => node.tags.get(key).cloned(),
            ("tag-key", None) => return filter.values.iter().any(|v| node.tags.contains_key(v)),
            ("availability-zone", None) => node.az.clone(),
            ("vpc-id", None) => node.vpc.clone(),
            _ => panic!("{filter:?}"),
        };
        filter.values.iter().any(|text| asks(text, &value))
    };
    match reach {
        Reach::Everything => true,
        Reach::Some { ids, filters, .. } => {
            ids.contains(&node.id) || filters.iter().any(|call| call.iter().all(holds))
        }
    }
}

/// Who may be in a group is neither chosen by it nor by its negation.
#[test]
fn members_that_are_in_doubt_are_chosen_neither_way() {
    let members = Members {
        asked: "tg:web".into(),
        ids: ["i-1".to_owned()].into(),
        doubtful: ["i-2".to_owned()].into(),
        may_have_hybrid: true,
    };
    let is_in = Selector::Term(Term::Members(members));
    let is_out = Selector::Not(Box::new(is_in.clone()));
    assert_eq!((is_in.to_string(), is_out.to_string()), ("tg:web".to_owned(), "not tg:web".to_owned()));
    let of = |selector: &Selector| Query::new(vec![selector.clone()], Vec::new()).unwrap();
    let decided = |selector: &Selector| {
        let query = of(selector);
        let node = |id: &str, is_partial| NodeFacts { id: id.into(), is_partial, ..NodeFacts::default() };
        [node("i-1", false), node("i-2", false), node("i-3", true), node("mi-1", true)]
            .map(|n| query.decide(&n))
    };
    assert_eq!(decided(&is_in), [Some(true), None, Some(false), None]);
    assert_eq!(decided(&is_out), [Some(false), None, Some(true), None]);
    let both =
        Reach::Some { ids: ["i-1".to_owned(), "i-2".to_owned()].into(), filters: Vec::new(), hybrid: false };
    assert_eq!((of(&is_in).reach(), of(&is_out).reach()), (both, Reach::Everything));
    // They were not named one by one: that one is gone or stopped is nobody's target.
    assert!(of(&is_in).named_ids().is_empty());
}

proptest! {
    #[test]
    fn laws(a in simple(), b in simple(), node in facts()) {
        let holds = |s: &Selector| super::holds(s, &node).unwrap();
        let not = |s: &Selector| Selector::Not(Box::new(s.clone()));
        let and = |a: &Selector, b: &Selector| Selector::And(vec![a.clone(), b.clone()]);
        prop_assert_eq!(holds(&and(&a, &b)), holds(&and(&b, &a)));
        prop_assert_eq!(holds(&and(&a, &a)), holds(&a));
        prop_assert_eq!(holds(&not(&not(&a))), holds(&a));
        prop_assert!(!holds(&and(&a, &not(&a))));
        prop_assert_eq!(holds(&not(&and(&a, &b))), holds(&not(&a)) || holds(&not(&b)));
        let excluded = Query::new(vec![a.clone()], vec![b.clone()]).unwrap();
        prop_assert_eq!(excluded.matches(&node), holds(&and(&a, &not(&b))));
    }

    #[test]
    fn no_chosen_node_is_missed(a in simple(), b in simple(), node in facts()) {
        let query = Query::new(vec![a, b], vec![]).unwrap();
        prop_assert!(!query.matches(&node) || would_answer(&query.reach(), &node));
    }
}
