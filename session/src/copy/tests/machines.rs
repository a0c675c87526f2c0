//! The machines that read what scripts print, without a script.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use crate::copy::download::{Download, Downloaded, RemoteFile, Wanted, command};
use crate::copy::list::{self, Entry, EntryKind, Listing};
use crate::copy::{CopyError, FileTime, Marker, Reason, RemotePath};

fn marker() -> Marker {
    Marker::new([0x11; 16])
}

/// What a script prints for two files and one that can't be had.
fn printed(first: &[u8], second: &[u8]) -> Vec<u8> {
    let m = marker();
    let mut text =
        format!("Welcome\nto web-1\n{m} file {} 644 1700000000 0 250000000\n", first.len()).into_bytes();
    for line in STANDARD.encode(first).as_bytes().chunks(76) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(format!("{m} end aa\n{m} no sh: 1: cannot open x: No such file\n").as_bytes());
    text.extend_from_slice(
        format!("{m} file {} - - 5\n{}\n", second.len() + 5, STANDARD.encode(second)).as_bytes(),
    );
    text.extend_from_slice(format!("{m} end bb\n{m} over\n").as_bytes());
    text
}

/// Events, with bytes that belong together joined.
fn read(pieces: &[&[u8]]) -> Result<Vec<Downloaded>, CopyError> {
    let mut download = Download::new(marker(), 3);
    let mut events: Vec<Downloaded> = Vec::new();
    for piece in pieces {
        for event in download.stdout(piece)? {
            match (events.last_mut(), event) {
                (Some(Downloaded::Bytes(all)), Downloaded::Bytes(more)) => {
                    *all = [&all[..], &more[..]].concat().into();
                }
                (_, event) => events.push(event),
            }
        }
    }
    assert!(download.is_over());
    Ok(events)
}

proptest! {
    #[test]
    fn it_does_not_matter_how_the_output_is_cut(
        first in proptest::collection::vec(any::<u8>(), 1..400),
        second in proptest::collection::vec(any::<u8>(), 1..50),
        cuts in proptest::collection::vec(1_usize..120, 1..12),
    ) {
        let text = printed(&first, &second);
        let (mut pieces, mut rest): (Vec<&[u8]>, &[u8]) = (Vec::new(), &text);
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        let size = first.len() as u64;
        let file = |size, mode, modified, offset| {
            Downloaded::File(RemoteFile { size, mode, modified, offset })
        };
        let modified = FileTime { seconds: 1_700_000_000, nanos: 250_000_000 };
        let expected = vec![
            file(size, Some(0o644), Some(modified), 0),
            Downloaded::Bytes(first.into()),
            Downloaded::End("aa".into()),
            Downloaded::Failed(Reason::NotFound),
            file(second.len() as u64 + 5, None, None, 5),
            Downloaded::Bytes(second.into()),
            Downloaded::End("bb".into()),
        ];
        prop_assert_eq!(read(&pieces).unwrap(), expected);
    }

    #[test]
    fn any_output_is_read_or_an_error(pieces in proptest::collection::vec(
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            "(file|end|over|no|dir|tool)( [0-9a-z-]{0,5}){0,5}\n".prop_map(|text| format!("{} {text}", marker()).into_bytes()),
            "[A-Za-z0-9+/]{0,80}\n".prop_map(String::into_bytes),
        ], 0..30,
    )) {
        let mut download = Download::new(marker(), 3);
        for piece in &pieces { if download.stdout(piece).is_err() { break; } }
        let mut listing = Listing::new(marker(), RemotePath::new("x").unwrap());
        for piece in &pieces { if listing.stdout(piece).is_err() { break; } }
    }
}

#[test]
fn answers_out_of_turn_are_errors() {
    let m = marker();
    for text in [
        format!("{m} over\n"),
        format!("{m} end aa\n"),
        format!("{m} file x 644 0 0\n"),
        format!("{m} file 1 644 0 0\nYQ==\n{m} file 1 644 0 0\n"),
        format!("{m} file 1 644 0 0\nYQ\n{m} end aa\n"),
        format!("{m} file 1 644 0 0\n@somebody else\n"),
    ] {
        let result = Download::new(marker(), 1).stdout(text.as_bytes());
        assert!(matches!(result, Err(CopyError::Garbled(_))), "{text}: {result:?}");
    }
    let result = Download::new(marker(), 1).stdout(format!("{m} tool base64\n").as_bytes());
    assert!(matches!(result, Err(CopyError::Tool(_))), "{result:?}");
}

#[test]
fn scripts_are_one_word_for_every_agent() {
    let nasty = RemotePath::new("a'b\"c\n{{d}}").unwrap();
    let wanted = vec![Wanted { path: nasty.clone(), have: Some((7, "ab".into())) }];
    for command in [command(&marker(), &wanted), list::command(&marker(), &nasty)] {
        assert_eq!(command.matches('\'').count(), 2, "{command}");
        assert!(command.starts_with("sh -c '") && command.ends_with('\''));
        assert!(!command.contains('\n') && !command.contains("{{") && !command.contains("}}"), "{command}");
        assert!(command.len() < 2048, "{} bytes", command.len());
    }
}

fn listed(records: &[u8]) -> Result<Vec<Entry>, CopyError> {
    let m = marker();
    let text = format!("{m} list\n{}\n{m} over\n", STANDARD.encode(records));
    let mut listing = Listing::new(marker(), RemotePath::new("/dir").unwrap());
    let entries = listing.stdout(text.as_bytes())?;
    assert!(listing.is_over());
    Ok(entries)
}

#[test]
fn entries_are_read() {
    let entries =
        listed(b"d 4096 755 1700000000.5 .\0f 12 640 - ./a b\nc\0l 3 777 -5.25 ./x/y\0p 0 - - ./q\0")
            .unwrap();
    let entry = |kind, size, mode, modified_unix, name: &[u8]| Entry {
        kind,
        size,
        mode,
        modified_unix,
        name: name.to_vec(),
    };
    assert_eq!(
        entries,
        [
            entry(EntryKind::Directory, 4096, Some(0o755), Some(1_700_000_000), b""),
            entry(EntryKind::File, 12, Some(0o640), None, b"a b\nc"),
            entry(EntryKind::Link, 3, Some(0o777), Some(-5), b"x/y"),
            entry(EntryKind::Other, 0, None, None, b"q"),
        ]
    );
}

/// A node that was taken over must not write where it likes.
#[test]
fn names_that_lead_out_of_the_directory_are_refused() {
    for name in ["./../x", "./a/../../x", "./a//b", "././x", "./..", "./a/."] {
        let result = listed(format!("f 1 644 0 {name}\0").as_bytes());
        assert!(matches!(result, Err(CopyError::Escapes(_))), "{name}: {result:?}");
    }
    for record in ["f 1 644 0 /etc/passwd\0", "f 1 644 0 ../x\0", "f x 644 0 ./x\0", "f 1\0"] {
        let result = listed(record.as_bytes());
        assert!(matches!(result, Err(CopyError::Garbled(_))), "{record:?}: {result:?}");
    }
}
