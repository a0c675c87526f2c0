//! What befalls a file or a request on its way: cut, flipped, doubled, swapped, garbage in between, numbers too large.

use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

/// What no reader likes to see in the middle.
const GARBAGE: [&[u8]; 22] = [
    b"\n",
    b"\0",
    b"\r\n",
    b"{",
    b"}",
    b"[",
    b"\"",
    b"\\",
    b",",
    b":",
    b"null",
    b"{}",
    b"\xff\xfe",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\\ud800",
    b"1e999",
    b"-1",
    b"%",
    b"=",
    b"<a>",
    b"\xef\xbb\xbf",
];

/// What no counter counts to.
const NUMBERS: [&str; 10] = [
    "0",
    "-1",
    "1.5",
    "1e999",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "340282366920938463463374607431768211456",
];

/// A stretch of so many bytes.
fn stretch(rng: &mut SmallRng, length: usize) -> std::ops::Range<usize> {
    let start = rng.random_range(0..=length);
    let longest = if rng.random_bool(0.1) { length } else { 20 };
    start..rng.random_range(start..=length.min(start + longest))
}

/// Does something to it, up to so many times.
pub(crate) fn mutate(rng: &mut SmallRng, bytes: &mut Vec<u8>, most: usize) {
    for _ in 0..rng.random_range(1..=most) {
        let length = bytes.len();
        match rng.random_range(0..11) {
            0 => bytes.truncate(rng.random_range(0..=length)),
            1 | 2 if length > 0 => bytes[rng.random_range(0..length)] ^= 1 << rng.random_range(0..8),
            3 if length > 0 => bytes[rng.random_range(0..length)] = rng.random(),
            4 => {
                let part = bytes[stretch(rng, length)].to_vec();
                insert(rng, bytes, &part);
            }
            5 => drop(bytes.drain(stretch(rng, length))),
            6 => lines(rng, bytes),
            7 => {
                let part = *GARBAGE.choose(rng).unwrap();
                insert(rng, bytes, part);
            }
            8 => {
                let opening = *[&b"["[..], b"{\"a\":", b"(", b"\x81", b"<a>"].choose(rng).unwrap();
                let part = opening.repeat(rng.random_range(1..400));
                insert(rng, bytes, &part);
            }
            _ => renumber(rng, bytes),
        }
    }
}

fn insert(rng: &mut SmallRng, bytes: &mut Vec<u8>, part: &[u8]) {
    let at = rng.random_range(0..=bytes.len());
    bytes.splice(at..at, part.iter().copied());
}

/// Swaps, doubles or takes away whole lines.
fn lines(rng: &mut SmallRng, bytes: &mut Vec<u8>) {
    let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    if lines.is_empty() {
        return;
    }
    let (one, other) = (rng.random_range(0..lines.len()), rng.random_range(0..lines.len()));
    match rng.random_range(0..3) {
        0 => lines.swap(one, other),
        1 => lines.insert(other, lines[one].clone()),
        _ => drop(lines.remove(one)),
    }
    *bytes = lines.concat();
}

/// Puts another number in the place of one.
fn renumber(rng: &mut SmallRng, bytes: &mut Vec<u8>) {
    let starts = |n: &usize| bytes[*n].is_ascii_digit() && (*n == 0 || !bytes[*n - 1].is_ascii_digit());
    let numbers: Vec<usize> = (0..bytes.len()).filter(starts).collect();
    if let Some(start) = numbers.choose(rng).copied() {
        let count = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        bytes.splice(start..start + count, NUMBERS.choose(rng).unwrap().bytes());
    }
}
