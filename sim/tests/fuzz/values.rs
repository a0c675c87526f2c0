//! Values for requests: what earlier answers named, and what no client sends.

use base64::Engine as _;
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};

/// What earlier answers named, by what it is.
#[derive(Default)]
pub(crate) struct Known {
    texts: Vec<(Kind, String)>,
}

/// What a text names. In requests that are to be filled in it is written as here, behind a `?`.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Node,
    Command,
    Session,
    Token,
    Arn,
    Other,
}

/// The texts behind these names are of these kinds.
const NAMED: [(&str, Kind); 12] = [
    ("\"InstanceId\":\"", Kind::Node),
    ("\"CommandId\":\"", Kind::Command),
    ("\"SessionId\":\"", Kind::Session),
    ("Token\":\"", Kind::Token),
    ("Token>", Kind::Token),
    ("Marker>", Kind::Token),
    ("Arn\":\"", Kind::Arn),
    ("Arn>", Kind::Arn),
    ("TokenValue\":\"", Kind::Other),
    ("Blob\":\"", Kind::Other),
    ("Name\":\"", Kind::Other),
    ("logStreamName\":\"", Kind::Other),
];

impl Known {
    pub(crate) fn add(&mut self, kind: Kind, text: &str) {
        if self.texts.len() < 300 && !text.is_empty() && text.len() < 300 {
            self.texts.push((kind, text.to_owned()));
        }
    }

    /// Notes what an answer names.
    pub(crate) fn learn(&mut self, body: &[u8]) {
        let text = String::from_utf8_lossy(body);
        for (name, kind) in NAMED {
            for value in text.split(name).skip(1).take(2) {
                self.add(kind, value.split(['"', '<']).next().unwrap_or_default());
            }
        }
    }

    pub(crate) fn any(&self, rng: &mut SmallRng) -> String {
        self.texts.choose(rng).map(|(_, text)| text.clone()).unwrap_or_default()
    }

    /// One of a kind, now and then of another.
    pub(crate) fn one(&self, rng: &mut SmallRng, kind: Kind) -> String {
        if kind == Kind::Token && rng.random_bool(0.5) {
            return forged(rng);
        }
        let fitting: Vec<&String> =
            self.texts.iter().filter(|(one, _)| *one == kind).map(|(_, text)| text).collect();
        match fitting.choose(rng) {
            Some(text) if rng.random_bool(0.9) => (*text).clone(),
            _ => self.any(rng),
        }
    }

    /// What stands for `?node` and the like.
    pub(crate) fn filled(&self, rng: &mut SmallRng, text: &str) -> Option<String> {
        Some(self.one(
            rng,
            match text {
                "?node" => Kind::Node,
                "?command" => Kind::Command,
                "?session" => Kind::Session,
                "?token" => Kind::Token,
                "?arn" => Kind::Arn,
                "?" => Kind::Other,
                _ => return None,
            },
        ))
    }
}

/// The token of a page that nobody was given.
fn forged(rng: &mut SmallRng) -> String {
    let kind = ["at:", "l:", "e:", "k:", "x:"].choose(rng).unwrap();
    let mut number =
        || *["0", "1", "5", "-1", "9223372036854775807", "18446744073709551615"].choose(rng).unwrap();
    let text = match *kind {
        "e:" => format!("{kind}{}:{}:stream", number(), number()),
        _ => format!("{kind}{}", number()),
    };
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// Fills in what earlier answers named. Most first pages have no token.
pub(crate) fn fill(rng: &mut SmallRng, known: &Known, value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, value| *value != "?token" || rng.random_bool(0.3));
            members.values_mut().for_each(|value| fill(rng, known, value));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill(rng, known, item)),
        Value::String(text) => {
            if let Some(filled) = known.filled(rng, text) {
                *text = filled;
            }
        }
        _ => {}
    }
}

/// A text that may be anything.
pub(crate) fn odd_text(rng: &mut SmallRng, known: &Known) -> String {
    const TEXTS: [&str; 30] = [
        "",
        " ",
        "0",
        "-1",
        "1.5",
        "NaN",
        "9223372036854775807",
        "18446744073709551615",
        "99999999999999999999",
        "true",
        "all",
        "*",
        "%",
        "%41%zz",
        "../..",
        "\u{0}",
        "\r\nX: y",
        "<a>&\"'",
        "Grüße",
        "\u{1f600}",
        "\u{ffff}",
        "{{ x }}",
        "${a:-$(b)}",
        "i-0123456789abcdef0",
        "2026-11-21T09:30:00Z",
        "-9999-01-01T00:00:00Z",
        "tag:env",
        "resource-groups:Name",
        "10%",
        "AAAA",
    ];
    match rng.random_range(0..8) {
        0 => known.any(rng),
        1 => "x".repeat(*[63, 64, 100, 101, 163, 256, 512, 1025, 5000, 100_000].choose(rng).unwrap()),
        2 => (0..rng.random_range(0..9)).map(|_| rng.random::<char>()).collect(),
        3 => {
            let mut text: Vec<char> = known.any(rng).chars().collect();
            if !text.is_empty() {
                let at = rng.random_range(0..text.len());
                text[at] = *['0', 'f', 'z', '/', '='].choose(rng).unwrap();
            }
            text.into_iter().collect()
        }
        _ => TEXTS.choose(rng).unwrap().to_string(),
    }
}

fn odd(rng: &mut SmallRng, known: &Known) -> Value {
    match rng.random_range(0..10) {
        0 => Value::Null,
        1 => json!(rng.random::<bool>()),
        2 => json!(*[0, 1, -1, 50, 51, 1000, i64::MAX, i64::MIN].choose(rng).unwrap()),
        3 => json!(*[0.5, -0.0, 1e308, u64::MAX as f64].choose(rng).unwrap()),
        4 => json!([]),
        5 => json!({}),
        6 => (0..*[1, 5, 51, 2000].choose(rng).unwrap()).map(|_| json!("i-0123456789abcdef0")).collect(),
        _ => json!(odd_text(rng, known)),
    }
}

/// Puts odd values in the places of some, doubles and takes away others.
pub(crate) fn spoil(rng: &mut SmallRng, known: &Known, value: &mut Value) {
    match value {
        Value::Object(members) if !members.is_empty() && rng.random_bool(0.9) => {
            let keys: Vec<String> = members.keys().cloned().collect();
            let key = keys.choose(rng).unwrap();
            match rng.random_range(0..8) {
                0 => drop(members.remove(key)),
                1 => drop(members.insert(odd_text(rng, known), json!(1))),
                _ => spoil(rng, known, &mut members[key]),
            }
        }
        Value::Array(items) if !items.is_empty() && rng.random_bool(0.8) => {
            let at = rng.random_range(0..items.len());
            match rng.random_range(0..4) {
                0 => items.push(items[at].clone()),
                _ => spoil(rng, known, &mut items[at]),
            }
        }
        // Of the same type more often than not: what is of another is refused before anybody looks at it.
        Value::String(text) if rng.random_bool(0.7) => *text = odd_text(rng, known),
        Value::Number(number) if rng.random_bool(0.7) => {
            *number = (*[0_i64, 1, -1, 50, 51, 1000, 10_000, i64::MAX, i64::MIN].choose(rng).unwrap()).into();
        }
        other => *other = odd(rng, known),
    }
}

/// As in paths and forms.
pub(crate) fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'.' | b'-' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}
