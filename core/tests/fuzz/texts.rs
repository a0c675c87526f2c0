//! Durations, instants, shares, waves, names.

use std::time::Duration;

use herder_core::fold;
use herder_core::run_id::RunId;
use herder_core::target::{Share, natural, spread, wave_ends};
use herder_core::time::{Bounds, for_people, parse_duration, parse_instant, written};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

use crate::mutate::mutate;
use crate::rounds::{made, rounds};

/// A text of these pieces, spoiled now and then.
fn text(rng: &mut SmallRng, pieces: &[&str], most: usize) -> String {
    let text: String = (0..rng.random_range(0..most)).map(|_| *pieces.choose(rng).unwrap()).collect();
    if rng.random_bool(0.2) {
        let mut bytes = text.into_bytes();
        mutate(rng, &mut bytes, 2);
        return String::from_utf8_lossy(&bytes).into_owned();
    }
    text
}

#[test]
fn durations() {
    const PIECES: [&str; 16] = [
        "w",
        "d",
        "h",
        "m",
        "s",
        "ms",
        ".",
        "-",
        " ",
        "0",
        "1",
        "30",
        "5.25",
        "999999999",
        "18446744073709551616",
        "ß",
    ];
    rounds("durations", |rng| {
        for _ in 0..2000 {
            made();
            let text = text(rng, &PIECES, 8);
            let (one, other) = (rng.random_range(0..100_000_000), rng.random_range(0..100_000_000));
            let bounds = Bounds {
                min: Duration::from_millis(one.min(other)),
                max: Duration::from_millis(one.max(other)),
            };
            match parse_duration(&text, Bounds::ANY) {
                Ok(duration) => {
                    assert!(duration <= Bounds::ANY.max, "{text}");
                    assert_eq!(parse_duration(&written(duration), Bounds::ANY), Ok(duration), "{text}");
                    let is_within = duration >= bounds.min && duration <= bounds.max;
                    assert_eq!(parse_duration(&text, bounds).is_ok(), is_within, "{text}");
                }
                Err(error) => {
                    parse_duration(&text, bounds).unwrap_err();
                    assert!(!error.to_string().is_empty());
                }
            }
            let any = Duration::new(rng.random(), rng.random_range(0..1_000_000_000));
            assert!(!for_people(any).is_empty() && !written(any).is_empty());
        }
    });
}

#[test]
fn instants() {
    const PIECES: [&str; 24] = [
        "now",
        "-",
        " ago",
        ":",
        "T",
        "Z",
        " ",
        "+02:00",
        "2026",
        "-11-21",
        "2026-11-21",
        "09:30",
        "24:00",
        "02:30:00",
        ".5",
        "-9999",
        "+275760",
        "9999-12-31",
        "[Europe/Berlin]",
        "2h",
        "1h30m",
        "520w",
        "00",
        "7",
    ];
    rounds("instants", |rng| {
        // A zone in which an hour is missing and another comes twice.
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        for _ in 0..1000 {
            made();
            let now = match rng.random_range(0..4) {
                0 => *[Timestamp::MIN, Timestamp::MAX, Timestamp::UNIX_EPOCH].choose(rng).unwrap(),
                _ => Timestamp::from_second(1_774_700_000 + rng.random_range(0..20_000_000)).unwrap(),
            };
            let zoned = now.to_zoned(zone.clone());
            let text = text(rng, &PIECES, 5);
            if let Ok(at) = parse_instant(&text, &zoned) {
                // Without a date nothing lies ahead.
                let has_date = text.matches('-').count() > 1 || text.contains('T') || text.contains('+');
                assert!(has_date || at <= now, "{text} at {now} is {at}");
                let _first_and_last = RunId::new(at, rng.random());
            }
        }
    });
}

#[test]
fn shares_and_waves() {
    const PIECES: [&str; 12] = [
        "0",
        "1",
        "5",
        "10",
        "100",
        ".",
        "%",
        "25",
        "18446744073709551615",
        "18446744073709551616",
        "-",
        " ",
    ];
    rounds("shares and waves", |rng| {
        for _ in 0..1000 {
            made();
            let total = if rng.random_bool(0.1) { rng.random() } else { rng.random_range(0..2000) };
            let text = text(rng, &PIECES, 5);
            let mut waves = Vec::new();
            if let Ok(share) = text.parse::<Share>() {
                assert_eq!(share.to_string().parse(), Ok(share), "{text}");
                assert!(matches!(share, Share::Count(_)) || share.of(total) <= total);
                assert!(share.at_least_one_of(total) >= 1);
                waves.push(share);
            }
            for _ in 0..rng.random_range(0..5) {
                waves.push(match rng.random_range(0..2) {
                    0 => Share::Count(rng.random_range(0..50)),
                    _ => Share::Percent(rng.random_range(0..=10_000)),
                });
            }
            if let Ok(ends) = wave_ends(&waves, total) {
                assert!(ends.is_sorted_by(|a, b| a < b), "{waves:?} of {total}: {ends:?}");
                assert_eq!(ends.last().copied().unwrap_or(0) as u64, total);
            }
            let count = rng.random_range(0..40_u32);
            let groups: Vec<String> = (0..count).map(|_| rng.random_range(0..4).to_string()).collect();
            let mut order = spread((0..count).collect(), |n| groups[*n as usize].clone());
            order.sort_unstable();
            assert!(order.into_iter().eq(0..count));
        }
    });
}

/// What folds outputs and names.
#[test]
fn folding() {
    const PIECES: [&str; 16] = [
        "web-",
        "1",
        "09",
        "10",
        "99999999999999999999999",
        "-",
        ".",
        "eu",
        "\n",
        "ß",
        "\u{1f600}",
        "\u{200d}",
        "0x1f",
        "2026-11-21T09:30:00Z",
        "i-0123456789abcdef0",
        "\t",
    ];
    rounds("folding", |rng| {
        for _ in 0..200 {
            made();
            let mut names: Vec<String> =
                (0..rng.random_range(0..30)).map(|_| text(rng, &PIECES, 5)).collect();
            names.sort_by(|a, b| natural(a, b));
            assert!(names.is_sorted_by(|a, b| natural(a, b).is_le()));
            let _short = fold::compact(&names, rng.random_range(0..100));
            let (one, other) = (text(rng, &PIECES, 60), text(rng, &PIECES, 60));
            let limits = fold::DiffLimits {
                context: rng.random_range(0..4),
                max_bytes: rng.random_range(0..300),
                max_lines: rng.random_range(0..30),
            };
            let lines = fold::diff(&one, &other, limits);
            assert_eq!(lines.is_empty(), one == other, "{one:?} {other:?}");
            assert_eq!(fold::mask(&fold::mask(&one)), fold::mask(&one));
        }
    });
}
