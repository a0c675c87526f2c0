//! Selectors, patterns, and lists of nodes.

use std::collections::BTreeMap;

use herder_core::target::{
    NodeFacts, Pattern, Platform, Query, Selector, ServiceTarget, parse_list, suggest,
};
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use serde_json::json;

use crate::mutate::mutate;
use crate::rounds::{made, rounds};

/// What the grammar is made of.
const PIECES: [&str; 56] = [
    "and",
    "not",
    "or",
    "all",
    "&",
    "!",
    "(",
    ")",
    " ",
    "\t",
    "\u{a0}",
    ",",
    ":",
    "=",
    "@",
    "\"",
    "'",
    "\\",
    "*",
    "?",
    "-",
    "name:",
    "tag:",
    "asg:",
    "tg:",
    "az:",
    "vpc:",
    "subnet:",
    "ami:",
    "rg:",
    "platform:",
    "ping:",
    "agent:",
    "lt:",
    "ge:",
    "3.2",
    "99999999999999999999",
    "linux",
    "windows",
    "online",
    "lost",
    "last",
    "failed",
    "bad",
    "20261121-093000-1f2e3d",
    "i-0123456789abcdef0",
    "mi-0123456789abcdef0",
    "i-01234567",
    "I-0123456789abcdef0",
    "web-1",
    "Grüße",
    "\u{1f600}",
    "e\u{301}",
    "\u{202e}",
    "prod",
    "loop",
];

/// A value as somebody writes it.
fn value(rng: &mut SmallRng) -> String {
    let mut text = String::new();
    for _ in 0..rng.random_range(1..4) {
        text.push_str(PIECES.choose(rng).unwrap());
    }
    match rng.random_range(0..4) {
        0 => format!("\"{}\"", text.replace(['\\', '"'], "x")),
        1 => format!("'{}'", text.replace(['\\', '\''], "x")),
        2 => text.chars().flat_map(|c| ['\\', c]).collect(),
        _ => text
            .chars()
            .map(|c| if c.is_alphanumeric() { c } else { *['-', '.', '*', '?'].choose(rng).unwrap() })
            .collect(),
    }
}

fn values(rng: &mut SmallRng) -> String {
    let count = rng.random_range(1..4);
    (0..count).map(|_| value(rng)).collect::<Vec<_>>().join(",")
}

/// A condition that parses more often than not.
fn condition(rng: &mut SmallRng) -> String {
    match rng.random_range(0..12) {
        0 => values(rng),
        1 => format!("name:{}", values(rng)),
        2 => format!("tag:{}={}", value(rng), values(rng)),
        3 => format!("tag:{}", value(rng)),
        4 => format!(
            "{}{}",
            ["asg:", "az:", "vpc:", "subnet:", "ami:", "tg:", "rg:"].choose(rng).unwrap(),
            values(rng)
        ),
        5 => format!("platform:{}", ["linux", "windows,linux", "macos"].choose(rng).unwrap()),
        6 => format!("ping:{}", ["online", "lost", "Online"].choose(rng).unwrap()),
        7 => format!(
            "agent:{}:{}",
            ["lt", "le", "eq", "ge", "gt", "x"].choose(rng).unwrap(),
            ["3.2", "0", "3..1"].choose(rng).unwrap()
        ),
        8 => ["all", "-", "@last:failed", "@20261121-093000-1f2e3d:bad", "@20261121-093000-1f2e3d"]
            .choose(rng)
            .unwrap()
            .to_string(),
        9 => format!("@{}", value(rng)),
        10 if rng.random_bool(0.1) => ["loop", "wide8", "wide40", "deep30"].choose(rng).unwrap().to_string(),
        10 => ["i-0123456789abcdef0,web-1", "prod", "wide0", "deep0"].choose(rng).unwrap().to_string(),
        _ => value(rng),
    }
}

fn grammatical(rng: &mut SmallRng, depth: u32) -> String {
    match rng.random_range(0..8) {
        0 if depth > 0 => format!("not {}", grammatical(rng, depth - 1)),
        1 if depth > 0 => format!("!{}", grammatical(rng, depth - 1)),
        2 if depth > 0 => format!("({})", grammatical(rng, depth - 1)),
        3 | 4 if depth > 0 => format!("{} and {}", grammatical(rng, depth - 1), grammatical(rng, depth - 1)),
        5 if depth > 0 => format!("{}&{}", grammatical(rng, depth - 1), grammatical(rng, depth - 1)),
        _ => condition(rng),
    }
}

fn selector(rng: &mut SmallRng) -> String {
    let text = match rng.random_range(0..10) {
        0..3 => (0..rng.random_range(0..30)).map(|_| *PIECES.choose(rng).unwrap()).collect(),
        3 => ["(", "not ", "!", "& "].choose(rng).unwrap().repeat(rng.random_range(1..5000)) + "all",
        _ => grammatical(rng, 4),
    };
    if rng.random_bool(0.3) {
        let mut bytes = text.into_bytes();
        mutate(rng, &mut bytes, 3);
        return String::from_utf8_lossy(&bytes).into_owned();
    }
    text
}

/// Among them some that mean themselves, that double with each step and that nest with each step.
fn aliases(rng: &mut SmallRng) -> BTreeMap<String, String> {
    let mut all = BTreeMap::from([
        ("prod".to_owned(), grammatical(rng, 3)),
        ("loop".to_owned(), format!("{} and loop", condition(rng))),
        ("wide0".to_owned(), condition(rng)),
        ("deep0".to_owned(), selector(rng)),
    ]);
    for n in 1..=40 {
        all.insert(format!("wide{n}"), format!("wide{} and wide{}", n - 1, n - 1));
        all.insert(format!("deep{n}"), format!("not (az:a and not deep{})", n - 1));
    }
    all
}

fn node(rng: &mut SmallRng) -> NodeFacts {
    let mut maybe = || rng.random::<bool>().then(|| PIECES.choose(rng).unwrap().to_string());
    NodeFacts {
        id: "i-0123456789abcdef0".into(),
        name: maybe(),
        tags: maybe().into_iter().chain(maybe()).map(|text| (text.clone(), text)).collect(),
        az: maybe(),
        asg: maybe(),
        agent_version: maybe(),
        platform: Some(Platform::Linux),
        ..NodeFacts::default()
    }
}

#[test]
fn selectors() {
    rounds("selectors", |rng| {
        let aliases = aliases(rng);
        for _ in 0..200 {
            made();
            let text = selector(rng);
            match Selector::with_aliases(&text, &aliases) {
                Ok(selector) => {
                    // What is shown is what was meant.
                    let shown = selector.to_string();
                    assert_eq!(
                        shown.parse::<Selector>().as_ref(),
                        Ok(&selector),
                        "{text:?} is shown as {shown:?}"
                    );
                    let _words = ServiceTarget::of(std::slice::from_ref(&selector));
                    if let Ok(query) = Query::new(vec![selector.clone()], vec![selector]) {
                        let node = node(rng);
                        let _all = (query.reach(), query.decide(&node), query.tag_values());
                        assert!(!query.matches(&node), "{text:?} chooses what it excludes");
                    }
                }
                Err(error) => {
                    assert!((1..=text.chars().count() + 1).contains(&error.column), "{text:?}: {error}");
                    assert!(error.selector == text && !error.problem.is_empty() && !error.hint.is_empty());
                }
            }
        }
    });
}

/// Whether a text fits, by trying everything.
fn fits(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        (['*', rest @ ..], _) => {
            fits(rest, text) || text.split_first().is_some_and(|(_, text)| fits(pattern, text))
        }
        (['?', pattern @ ..], [_, text @ ..]) => fits(pattern, text),
        ([one, pattern @ ..], [other, text @ ..]) => one == other && fits(pattern, text),
        ([], []) => true,
        _ => false,
    }
}

#[test]
fn patterns() {
    rounds("patterns", |rng| {
        for _ in 0..1000 {
            made();
            let mut letters = |letters: &[char], most| -> Vec<char> {
                (0..rng.random_range(0..most)).map(|_| *letters.choose(rng).unwrap()).collect()
            };
            let (pattern, text) = (letters(&['a', 'ß', '*', '?'], 8), letters(&['a', 'ß'], 10));
            let (written, seen): (String, String) = (pattern.iter().collect(), text.iter().collect());
            let glob = Pattern::glob(&written);
            assert_eq!(glob.matches(&seen), fits(&pattern, &text), "{written} {seen}");
            assert_eq!(Pattern::glob(&glob.escaped()), glob);
            assert!(Pattern::literal(&written).matches(&written));
            let _near = suggest(&seen, [written.as_str(), "web-1"]);
        }
        let long = "a".repeat(rng.random_range(0..1000));
        let _soon = Pattern::glob(&"*a".repeat(rng.random_range(0..100))).matches(&(long + "b"));
    });
}

#[test]
fn lists() {
    const WHOLE: [&str; 5] = [
        "i-0123456789abcdef0\tup 3 days\nweb-1 # old\n# ours\n111122223333/eu-west-1/i-0123456789abcdef0\n",
        "{\"v\":1,\"type\":\"run_started\",\"targets\":2}\n{\"v\":1,\"type\":\"target_finished\",\"target\":\"i-2\",\"stdout\":\"a # b\"}\n",
        "{\"run\":{},\"targets\":[{\"target\":\"i-1\",\"region\":\"eu-west-1\"},{\"id\":\"i-2\"}],\"tally\":{}}",
        "[\n {\"id\":\"i-1\",\"name\":null},\n \"web-2\"]",
        "# first\n{\"target\":\"i-1\",\"name\":\"web # 1\"}\nweb-2",
    ];
    rounds("lists", |rng| {
        for _ in 0..500 {
            made();
            let mut bytes = WHOLE.choose(rng).unwrap().as_bytes().to_vec();
            if rng.random_bool(0.1) {
                bytes =
                    (0..rng.random_range(0..9)).flat_map(|_| WHOLE.choose(rng).unwrap().bytes()).collect();
            }
            mutate(rng, &mut bytes, 4);
            match parse_list(&bytes) {
                Ok(nodes) => {
                    // What was read can be written and read again.
                    let document: Vec<_> = nodes
                        .iter()
                        .map(|n| json!({"target": n.node, "account": n.account, "region": n.region}))
                        .collect();
                    let again = parse_list(serde_json::to_string(&document).unwrap().as_bytes());
                    assert_eq!(again.as_ref(), Ok(&nodes));
                }
                Err(error) => {
                    let lines = 1 + bytes.iter().filter(|byte| **byte == b'\n').count();
                    assert!(
                        (1..=lines).contains(&error.line),
                        "{error}: {:?}",
                        String::from_utf8_lossy(&bytes)
                    );
                }
            }
        }
    });
}
