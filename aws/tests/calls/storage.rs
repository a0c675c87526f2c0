//! S3 and CloudWatch Logs against canned answers: regions, cuts, pages, and what is not there.

use herder_aws::CallErrorKind;
use herder_aws::logs::EventsQuery;

use super::scope;
use super::support::{Answer, Request, Server};

/// An answer of S3 of which only a part of the body arrives.
fn raw(head: &str, length: usize, body: &str) -> Answer {
    Answer::Raw(format!("HTTP/1.1 {head}\r\nETag: \"e1\"\r\nContent-Length: {length}\r\n\r\n{body}"))
}

fn found() -> Answer {
    raw("200 OK\r\nx-amz-bucket-region: eu-central-1", 0, "")
}

fn header(request: &Request, name: &str) -> Option<String> {
    request.head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

/// The first line of a request.
fn line(request: &Request) -> &str {
    request.head.lines().next().unwrap()
}

#[tokio::test]
async fn a_bucket_of_another_region_is_asked_there() {
    let server = Server::start(|n, _| match n {
        0 => raw("301 Moved Permanently\r\nx-amz-bucket-region: us-west-2", 0, ""),
        1 => raw("200 OK\r\nx-amz-bucket-region: us-west-2", 0, ""),
        _ => raw("200 OK", 2, "up"),
    });
    let bucket = scope(&server.url).await.s3().bucket("logs").await.unwrap();
    assert_eq!((bucket.region(), bucket.uri("a/b")), ("us-west-2", "s3://logs/a/b".into()));
    let mut download = bucket.download("run 1/stdout").await.unwrap().unwrap();
    assert_eq!(download.next().await.unwrap(), Some(&b"up"[..]));
    assert_eq!(download.next().await.unwrap(), None);
    let seen = server.seen();
    let regions: Vec<bool> = seen
        .iter()
        .map(|request| header(request, "authorization").unwrap().contains("/us-west-2/s3/"))
        .collect();
    assert_eq!(regions, [false, true, true]);
    assert!(line(&seen[2]).starts_with("GET /logs/run%201/stdout"), "{}", line(&seen[2]));
}

#[tokio::test]
async fn a_bucket_that_is_not_there_or_not_open_says_so() {
    let server = Server::start(|_, request| match request.head.contains("/gone") {
        true => raw("404 Not Found", 0, ""),
        false => raw("403 Forbidden\r\nx-amz-bucket-region: eu-central-1", 0, ""),
    });
    let s3 = scope(&server.url).await.s3();
    let gone = s3.bucket("gone").await.unwrap_err();
    assert_eq!(
        (&gone.kind, gone.to_string().as_str()),
        (&CallErrorKind::NotFound, "s3:HeadBucket of gone failed: not found (NotFound)")
    );
    let denied = s3.bucket("theirs").await.unwrap_err();
    let CallErrorKind::AccessDenied { action, .. } = &denied.kind else { panic!("{denied:?}") };
    assert_eq!(action, "s3:ListBucket");
    assert_eq!(server.seen().len(), 2);
}

/// Reads to the end, or to the error.
async fn read(server: &Server) -> (String, Result<(), CallErrorKind>) {
    let bucket = scope(&server.url).await.s3().bucket("logs").await.unwrap();
    let mut text = String::new();
    let mut download = match bucket.download("key").await {
        Ok(download) => download.unwrap(),
        Err(error) => return (text, Err(error.kind)),
    };
    loop {
        match download.next().await {
            Ok(Some(piece)) => text.push_str(std::str::from_utf8(piece).unwrap()),
            Ok(None) => return (text, Ok(())),
            Err(error) => return (text, Err(error.kind)),
        }
    }
}

#[tokio::test]
async fn a_download_that_is_cut_goes_on_where_it_was() {
    let server = Server::start(|n, _| match n {
        0 => found(),
        1 => raw("200 OK", 10, "0123"),
        2 => Answer::HangUp,
        3 => raw("206 Partial Content\r\nContent-Range: bytes 4-9/10", 6, "4567"),
        _ => raw("206 Partial Content\r\nContent-Range: bytes 8-9/10", 2, "89"),
    });
    assert_eq!(read(&server).await, ("0123456789".into(), Ok(())));
    let seen = server.seen();
    let asked = |n: usize| (header(&seen[n], "range"), header(&seen[n], "if-match"));
    let (first, rest) = (asked(1), [asked(2), asked(3), asked(4)]);
    assert_eq!(first, (None, None));
    let from = |at: &str| (Some(format!("bytes={at}-")), Some("\"e1\"".to_owned()));
    assert_eq!(rest, [from("4"), from("4"), from("8")]);
}

#[tokio::test]
async fn a_download_that_can_not_go_on_is_no_whole() {
    let cut = |n: usize| if n == 0 { found() } else { raw("200 OK", 10, "0123") };
    // The same beginning again in place of the rest.
    let server = Server::start(move |n, _| cut(n));
    assert_eq!(read(&server).await, ("0123".into(), Err(CallErrorKind::Lost)));
    // Somebody replaced the object.
    let server = Server::start(move |n, _| match n {
        0 | 1 => cut(n),
        _ => Answer::Xml(412, "<Error><Code>PreconditionFailed</Code></Error>".into()),
    });
    assert_eq!(read(&server).await, ("0123".into(), Err(CallErrorKind::Refused)));
    // Nothing more ever comes.
    let server = Server::start(move |n, _| match n {
        0 | 1 => cut(n),
        _ => raw("206 Partial Content\r\nContent-Range: bytes 4-9/10", 6, ""),
    });
    assert_eq!(read(&server).await, ("0123".into(), Err(CallErrorKind::Lost)));
    assert_eq!(server.seen().len(), 5);
}

#[tokio::test]
async fn objects_are_listed_page_by_page_and_may_be_missing() {
    let server = Server::start(|n, _| {
        match n {
        0 => found(),
        1 => Answer::Xml(
            200,
            "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t1</NextContinuationToken>\
             <Contents><Key>a/stdout</Key><Size>3000000000</Size><LastModified>2026-11-21T09:30:00.000Z</LastModified></Contents>\
             </ListBucketResult>"
                .into(),
        ),
        2 => Answer::Xml(200, "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>".into()),
        _ => Answer::Xml(404, "<Error><Code>NoSuchKey</Code></Error>".into()),
    }
    });
    let bucket = scope(&server.url).await.s3().bucket("logs").await.unwrap();
    let page = bucket.list("a/", None).await.unwrap();
    assert_eq!((page.items[0].key.as_str(), page.items[0].size), ("a/stdout", 3_000_000_000));
    assert_eq!(page.items[0].modified, Some("2026-11-21T09:30:00Z".parse().unwrap()));
    let last = bucket.list("a/", page.next.as_deref()).await.unwrap();
    assert_eq!((last.items.len(), last.next), (0, None));
    assert!(line(&server.seen()[2]).contains("continuation-token=t1"));
    assert!(bucket.download("a/stderr").await.unwrap().is_none());
}

#[tokio::test]
async fn events_come_page_by_page_and_groups_may_be_missing() {
    let server = Server::start(|n, _| match n {
        0 => Answer::Json(
            200,
            r#"{"events":[{"logStreamName":"c/i/p/stdout","timestamp":1795253400250,"message":"up\n","eventId":"1"},{"message":"nameless"}],"nextToken":"t"}"#,
        ),
        1 => Answer::Json(200, r#"{"events":[]}"#),
        _ => Answer::Json(400, r#"{"__type":"ResourceNotFoundException"}"#),
    });
    let logs = scope(&server.url).await.logs();
    let query = EventsQuery {
        group: "ops".into(),
        stream_prefix: "c/".into(),
        since: Some("2026-11-21T09:30:00.25Z".parse().unwrap()),
        most: Some(7),
    };
    let page = logs.events(&query, None).await.unwrap().unwrap();
    assert_eq!((page.items.len(), page.items[0].message.as_str()), (1, "up\n"));
    assert_eq!((page.items[0].at, page.next.as_deref()), (query.since.unwrap(), Some("t")));
    let sent: serde_json::Value = serde_json::from_str(&server.seen()[0].body).unwrap();
    assert_eq!((&sent["startTime"], &sent["limit"]), (&1_795_253_400_250_i64.into(), &7.into()));
    assert_eq!(logs.events(&query, Some("t")).await.unwrap().unwrap().next, None);
    assert_eq!(logs.events(&query, None).await.unwrap(), None);
}
