use serde_json::json;

use super::*;
use crate::io::{Captured, Fake};

const COLUMNS: [Column; 5] = [
    Column::usual("id"),
    Column::usual("name"),
    Column::usual("last_ping").of_times(),
    Column::extra("cpus"),
    Column::extra("tags"),
];

fn rows() -> Vec<Value> {
    vec![
        json!({"id": "i-1", "name": "web-10", "last_ping": "2026-11-21T09:30:00Z", "cpus": 16, "tags": {"env": "prod"}}),
        json!({"id": "i-2", "name": "漢字\t\u{1b}[31m", "last_ping": null, "cpus": null, "tags": {}}),
        json!({"id": "i-3", "name": "web-9", "last_ping": null, "cpus": 2, "tags": {"env": "a,b", "x": "\"q\""}}),
    ]
}

fn list(fake: Fake, format: Format, columns: &[&str], sort: Option<&str>) -> Captured {
    let (io, captured) = Io::test(fake);
    let options = ListOptions {
        format,
        columns: columns.iter().map(|c| (*c).to_owned()).collect(),
        sort: sort.map(str::to_owned),
        zone: TimeZone::fixed(jiff::tz::Offset::constant(1)),
        is_qualified: false,
    };
    let mut writer = ListWriter::new(&io, &COLUMNS, &options).unwrap();
    rows().iter().for_each(|row| writer.push(row).unwrap());
    writer.finish().unwrap();
    captured
}

fn piped(format: Format, columns: &[&str], sort: Option<&str>) -> String {
    list(Fake::default(), format, columns, sort).stdout()
}

#[test]
fn a_table_on_a_terminal() {
    let shown =
        list(Fake { is_stdout_tty: true, ..Fake::default() }, Format::Auto, &[], Some("name")).stdout();
    insta::assert_snapshot!(shown, @r#"
    ID   NAME          LAST PING
    i-3  web-9         -
    i-1  web-10        2026-11-21 10:30:00 +01:00
    i-2  漢字^I^[[31m  -
    "#);
    let narrow = Fake { is_stdout_tty: true, width: 30, ..Fake::default() };
    let shown = list(narrow, Format::Auto, &["id", "tag:env", "tags"], None).stdout();
    assert!(shown.lines().all(|line| super::super::text::width(line) <= 30), "{shown}");
}

#[test]
fn tsv_in_a_pipe() {
    assert_eq!(
        piped(Format::Auto, &[], None),
        "i-1\tweb-10\t2026-11-21T09:30:00Z\ni-2\t漢字\\t\u{1b}[31m\t\ni-3\tweb-9\t\n"
    );
    assert_eq!(piped(Format::Auto, &["tag:env", "cpus"], None), "prod\t16\n\t\na,b\t2\n");
}

#[test]
fn sorted_either_way_with_unknowns_last() {
    assert_eq!(piped(Format::Quiet, &[], Some("cpus")), "i-3\ni-1\ni-2\n");
    assert_eq!(piped(Format::Quiet, &[], Some("-cpus")), "i-1\ni-3\ni-2\n");
    assert_eq!(piped(Format::Quiet, &[], Some("name")), "i-3\ni-1\ni-2\n");
}

#[test]
fn machine_formats_parse() {
    let array: Vec<Value> = serde_json::from_str(&piped(Format::Json, &[], None)).unwrap();
    assert_eq!(array, rows());
    let array: Vec<Value> = serde_json::from_str(&piped(Format::Json, &["name", "tag:env"], None)).unwrap();
    assert_eq!(array[0], json!({"name": "web-10", "tag:env": "prod"}));
    let lines: Vec<Value> =
        piped(Format::Jsonl, &[], None).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, rows());
    assert!(piped(Format::Csv, &["id", "tags"], None).ends_with("i-3,\"env=a,b,x=\"\"q\"\"\"\r\n"));
    let (io, captured) = Io::test(Fake::default());
    let options = ListOptions {
        format: Format::Json,
        columns: vec![],
        sort: None,
        zone: TimeZone::UTC,
        is_qualified: false,
    };
    ListWriter::new(&io, &COLUMNS, &options).unwrap().finish().unwrap();
    assert_eq!(captured.stdout(), "[]\n");
}

#[test]
fn unknown_columns_are_refused() {
    let (io, _) = Io::test(Fake::default());
    let mut options = ListOptions {
        format: Format::Auto,
        columns: vec!["nmae".into()],
        sort: None,
        zone: TimeZone::UTC,
        is_qualified: false,
    };
    let error = ListWriter::new(&io, &COLUMNS, &options).err().unwrap().to_string();
    assert_eq!(
        error,
        "`nmae` is not a column (did you mean `name`?); there are id, name, last_ping, cpus, tags"
    );
    options = ListOptions { columns: vec![], sort: Some("size".into()), ..options };
    assert!(ListWriter::new(&io, &COLUMNS, &options).is_err());
}
