use proptest::prelude::*;

use super::*;

fn shown(text: &str) -> String {
    match text.parse::<Selector>() {
        Ok(selector) => selector.to_string(),
        Err(error) => format!("{}: {}", error.column, error.problem),
    }
}

fn parse(text: &str) -> Selector {
    text.parse().unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn every_kind_is_read() {
    for same in [
        "i-0123456789abcdef0",
        "i-01234567,mi-0123456789abcdef0",
        "i-01234567,111122223333/eu-west-1/mi-0123456789abcdef0,web-1",
        "web-*",
        "tag:env",
        "tag:env=prod,stag?",
        "tag:aws:autoscaling:groupName=web",
        "asg:web",
        "tg:arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/web/0123456789abcdef",
        "az:eu-west-1a,eu-west-1b",
        "vpc:vpc-1",
        "subnet:subnet-1",
        "ami:ami-1",
        "rg:web",
        "platform:linux,macos",
        "ping:lost",
        "agent:lt:3.2",
        "all",
        "@nodes.txt",
        "@/tmp/a-b/nodes.jsonl",
        "-",
        "@last",
        "@last:bad",
        "@20261121-093000-1f2e3d:timed_out",
        "tag:env=prod and not az:eu-west-1a and web-*",
        "not (web-1 and api)",
    ] {
        assert_eq!(shown(same), same);
    }
}

#[test]
fn other_spellings() {
    for (text, canonical) in [
        ("name:web-1", "web-1"),
        ("web-1&!tag:env=prod", "web-1 and not tag:env=prod"),
        ("a AND NOT b", "a and not b"),
        ("a and (b and c)", "a and b and c"),
        ("(((a)))", "a"),
        ("!(a&b)", "not (a and b)"),
        ("web**", "web*"),
        ("name:all", "\"all\""),
        // A name that looks like a node of an account and region, and what is none.
        ("name:111122223333/eu-west-1/i-01234567", "\"111122223333/eu-west-1/i-01234567\""),
        ("11112222333/eu-west-1/i-01234567", "11112222333/eu-west-1/i-01234567"),
        ("'a b'", "\"a b\""),
        ("a\\ b", "\"a b\""),
        ("bob's", "\"bob's\""),
        ("tag:\"my=key\"='x,y',z", "tag:\"my=key\"=\"x,y\",z"),
        ("tag:k=\"\"", "tag:k=\"\""),
        ("name:i-0123456789abcdef0", "\"i-0123456789abcdef0\""),
        ("name:web\\*", "web\\*"),
        ("b,a,b", "a,b"),
        ("@'last'", "@\"last\""),
        ("i-team", "\"i-team\""),
        ("\"a:b\"", "\"a:b\""),
    ] {
        assert_eq!(shown(text), canonical, "{text}");
        assert_eq!(shown(canonical), canonical);
    }
}

#[test]
fn errors_point_and_propose() {
    for (text, says) in [
        ("", "1: it is empty"),
        ("  ", "1: it is empty"),
        ("tags:env=prod", "1: `tags:` is not a kind of selector; did you mean `tag:`?"),
        ("web and colour:red", "9: `colour:` is not a kind of selector"),
        ("web api", "5: expected `and`"),
        ("web or api", "5: there is no `or` within a selector"),
        ("web and", "8: it ends where a condition is expected"),
        ("and web", "1: a condition is expected here"),
        ("(web", "1: this `(` is not closed"),
        ("web)", "4: this `)` closes nothing"),
        ("name:'web", "6: the quote ' has no end"),
        ("web\\", "4: nothing stands behind `\\`"),
        ("tag:", "5: the tag's key is missing"),
        ("tag:env=", "5: no value stands behind `env=`"),
        ("tag:env=a,,b", "11: a value is missing"),
        ("tag:\"e v\"='a',", "15: a value is missing"),
        ("az:", "4: a value is missing"),
        ("i-0123456789abcde", "1: `i-0123456789abcde` is not an instance's id"),
        ("platform:linux,windoze", "16: `windoze` is not a platform; did you mean `windows`?"),
        ("ping:on", "6: `on` is not a state of the agent"),
        ("agent:3.2", "7: `3.2` is not a comparison of versions"),
        ("agent:lr:3.2", "7: `lr` is not a comparison; did you mean `lt`?"),
        ("agent:lt:3.x", "10: `3.x` is not a version"),
        ("@", "1: nothing stands behind `@`"),
        ("@last:fialed", "7: `fialed` is not a verdict; did you mean `failed`?"),
        ("@20261121:failed", "2: `20261121` is not a run's id"),
    ] {
        assert_eq!(shown(text), says, "{text}");
    }
    let error = "tags:x".parse::<Selector>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "selector `tags:x`, column 1: `tags:` is not a kind of selector; did you mean `tag:`?"
    );
    assert!(error.hint.starts_with("Give an id, a name"));
    assert!("!".repeat(100_000).parse::<Selector>().is_err());
    assert!("(".repeat(100_000).parse::<Selector>().is_err());
}

#[test]
fn versions_compare_as_far_as_given() {
    let admits = |text: &str, version: &str| match parse(text) {
        Selector::Term(Term::Agent(c, v)) => v.admits(c, &Version::parse(version).unwrap()),
        _ => panic!(),
    };
    assert!(admits("agent:lt:3.10", "3.9.1000.0"));
    assert!(!admits("agent:lt:3.2", "3.2.985.0"));
    assert!(admits("agent:eq:3.2", "3.2.985.0"));
    assert!(!admits("agent:gt:3.2", "3.2.985.0"));
    assert!(admits("agent:ge:3.2.985", "3.2.985.0"));
    assert!(admits("agent:le:3.2.0.0", "3.2"));
}

fn patterns() -> impl Strategy<Value = Vec<Pattern>> {
    prop::collection::vec(glob(), 1..3)
}

fn glob() -> impl Strategy<Value = Pattern> {
    let piece = prop_oneof![
        4 => any::<char>().prop_map(Piece::Char),
        4 => prop::sample::select(" \t\"'\\*?:=,@&()!-and".chars().collect::<Vec<_>>()).prop_map(Piece::Char),
        1 => Just(Piece::Any),
        1 => Just(Piece::One),
    ];
    prop::collection::vec(piece, 0..6).prop_map(Pattern::from_pieces)
}

fn some_text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{1,8}", "\\PC{1,5}", Just("last".to_owned()), Just("last:bad".to_owned())]
}

fn any_term() -> impl Strategy<Value = Term> {
    let node_set = (prop::collection::vec(glob(), 0..3), prop::collection::vec("[a-z -]{0,5}", 1..3));
    prop_oneof![
        node_set.prop_map(|(globs, names)| {
            let mut set: NodeSet = names.iter().collect();
            globs.into_iter().for_each(|g| set.add_name(g));
            Term::Nodes(set)
        }),
        (some_text(), prop::option::of(patterns()))
            .prop_map(|(key, values)| Term::Tag { key, values: values.unwrap_or_default() }),
        (prop::sample::select(&Attribute::ALL[..]), patterns()).prop_map(|(a, v)| Term::Attribute(a, v)),
        prop::collection::vec(prop::sample::select(&Platform::ALL[..]), 1..3).prop_map(Term::Platform),
        Just(Term::Ping(Ping::Lost)),
        (prop::sample::select(&Comparison::ALL[..]), "[0-9]{1,4}(\\.[0-9]{1,3}){0,3}")
            .prop_map(|(c, v)| Term::Agent(c, Version::parse(&v).unwrap())),
        Just(Term::All),
        some_text().prop_map(|path| Term::Source(Source::File(path))),
        Just(Term::Source(Source::Stdin)),
        prop::sample::select(vec![Which::All, Which::Bad, Which::Verdict(Verdict::NotRun)])
            .prop_map(|w| Term::Source(Source::Run(RunRef::Last, w))),
    ]
}

pub(in crate::target) fn any_selector() -> impl Strategy<Value = Selector> {
    any_term().prop_map(Selector::Term).prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|s| Selector::Not(Box::new(s))),
            prop::collection::vec(inner, 2..4).prop_map(|parts| {
                let flat = parts.into_iter().flat_map(|part| match part {
                    Selector::And(inner) => inner,
                    other => vec![other],
                });
                Selector::And(flat.collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn never_panics(text in "\\PC{0,30}") {
        let _ = text.parse::<Selector>();
    }

    #[test]
    fn never_panics_near_the_grammar(text in "(tag:|name:|@last:|agent:lt:|and|not| |[()!&,='\"\\\\:@*-]|[a-z0-9]){0,12}") {
        if let Err(error) = text.parse::<Selector>() {
            prop_assert!(error.column >= 1 && error.column <= text.chars().count() + 1, "{}", error);
        }
    }

    #[test]
    fn what_is_displayed_parses_to_the_same(selector in any_selector()) {
        let text = selector.to_string();
        prop_assert_eq!(text.parse::<Selector>(), Ok(selector), "{}", text);
    }
}

#[test]
fn aliases_stand_wherever_a_condition_does() {
    let aliases: BTreeMap<String, String> = [
        ("web", "tag:role=web"),
        ("live", "web and tag:env=prod"),
        ("me", "not you"),
        ("you", "me"),
        ("broken", "tag:"),
    ]
    .map(|(name, selector)| (name.to_owned(), selector.to_owned()))
    .into();
    let shown = |text: &str| match Selector::with_aliases(text, &aliases) {
        Ok(selector) => selector.to_string(),
        Err(error) => format!("{}: {}", error.column, error.problem),
    };
    for (text, meant) in [
        ("web", "tag:role=web"),
        ("not web", "not tag:role=web"),
        ("web and az:a", "tag:role=web and az:a"),
        ("az:a and (not live)", "az:a and not (tag:role=web and tag:env=prod)"),
        // What is not a condition by itself is what it says.
        ("name:web", "web"),
        ("\"web\"", "web"),
        ("web-1", "web-1"),
        ("tag:web=web", "tag:web=web"),
        ("web*", "web*"),
        (
            "az:a and me",
            "10: the alias `me` stands for `not you`; there, column 5: the alias `you` stands for `me`; there, column 1: the alias `me` means itself",
        ),
        ("broken", "1: the alias `broken` stands for `tag:`; there, column 5: the tag's key is missing"),
        ("db-1,web", "1: the alias `web` stands in a list of names"),
    ] {
        assert_eq!(shown(text), meant, "{text}");
    }
}

#[test]
fn aliases_that_stand_in_each_other_come_to_an_end() {
    let mut aliases =
        BTreeMap::from([("wide0".to_owned(), "az:a".to_owned()), ("deep0".to_owned(), "az:a".to_owned())]);
    for n in 1..100 {
        aliases.insert(format!("wide{n}"), format!("wide{} and wide{}", n - 1, n - 1));
        aliases.insert(format!("deep{n}"), format!("not deep{}", n - 1));
    }
    let read = |text: &str| Selector::with_aliases(text, &aliases);
    assert_eq!(read("wide9").unwrap().terms().len(), 512);
    assert!(read("wide40").unwrap_err().problem.ends_with("it has more than 1000 conditions"));
    assert!(
        read(&("all and ".repeat(1000) + "all"))
            .unwrap_err()
            .problem
            .ends_with("it has more than 1000 conditions")
    );
    // What is shown of one that is accepted nests no deeper than what is accepted.
    let deepest = (0..100).map_while(|n| read(&format!("deep{n}")).ok()).last().unwrap();
    assert_eq!(deepest.to_string().parse(), Ok(deepest));
    assert!(read("deep99").unwrap_err().problem.ends_with("it is nested too deeply"));
}
