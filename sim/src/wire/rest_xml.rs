//! restXml as S3 speaks it: bucket and key are in the host and the path, the rest in the query and in headers.

use super::form::{Form, percent_decoded};
use super::xml::Xml;
use super::{ApiError, Reply};

const CONTENT_TYPE: &str = "application/xml";
pub(crate) const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Place {
    /// Empty for the list of buckets.
    pub(crate) bucket: String,
    /// Empty for the bucket itself.
    pub(crate) key: String,
}

/// Reads path style (`/BUCKET/KEY`) and virtual-host style (`BUCKET.localhost/KEY`).
pub(crate) fn place(host: &str, path: &str) -> Place {
    let host = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { host }
    });
    let path = path.strip_prefix('/').unwrap_or(path);
    let bucket = [".localhost", ".127.0.0.1"].iter().find_map(|end| host.strip_suffix(end)).or_else(|| {
        let (bucket, rest) = host.split_once(".s3")?;
        (rest.starts_with(['.', '-']) && rest.ends_with(".amazonaws.com")).then_some(bucket)
    });
    match bucket.filter(|bucket| !bucket.is_empty() && *bucket != "s3") {
        Some(bucket) => Place { bucket: bucket.to_owned(), key: percent_decoded(path) },
        None => {
            let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
            Place { bucket: percent_decoded(bucket), key: percent_decoded(key) }
        }
    }
}

/// The operation of a method, a place and a query.
pub(crate) fn operation(method: &str, place: &Place, query: &Form) -> &'static str {
    let has = |name: &str| query.get(name).is_some();
    match (method, place.bucket.is_empty(), place.key.is_empty()) {
        ("GET", true, _) => "ListBuckets",
        ("GET", _, true) if query.get("list-type") == Some("2") => "ListObjectsV2",
        ("GET", _, true) if has("location") => "GetBucketLocation",
        ("HEAD", false, true) => "HeadBucket",
        ("PUT", false, true) if query.is_empty() => "CreateBucket",
        ("GET", false, false) if !has("acl") && !has("tagging") => "GetObject",
        ("HEAD", false, false) => "HeadObject",
        ("PUT", false, false) if !has("partNumber") && !has("acl") && !has("tagging") => "PutObject",
        ("DELETE", false, false) => "DeleteObject",
        _ => "NotImplemented",
    }
}

/// Bytes of a range that is asked for, and one past the last.
///
/// `Ok(None)` is the whole: also where the header is none that S3 knows.
pub(crate) fn range(header: Option<&str>, length: u64) -> Result<Option<(u64, u64)>, ApiError> {
    let Some((first, last)) = header.and_then(|header| header.trim().strip_prefix("bytes=")?.split_once('-'))
    else {
        return Ok(None);
    };
    let (from, to) = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(from), Ok(to)) if from <= to => (from, to.saturating_add(1).min(length)),
        (Ok(from), Err(_)) if last.trim().is_empty() => (from, length),
        (Err(_), Ok(count)) if first.trim().is_empty() && count > 0 => (length.saturating_sub(count), length),
        _ => return Ok(None),
    };
    if from >= length {
        return Err(ApiError::new("InvalidRange", "The requested range is not satisfiable").status(416));
    }
    Ok(Some((from, to)))
}

/// Takes the framing of `aws-chunked` off a body: `SIZE[;…]\r\n…\r\n`, up to a chunk of size zero.
pub(crate) fn unchunked(mut body: &[u8]) -> Result<Vec<u8>, ApiError> {
    let refused = || ApiError::new("IncompleteBody", "The request body terminated unexpectedly");
    let mut out = Vec::new();
    loop {
        let end = body.windows(2).position(|pair| pair == b"\r\n").ok_or_else(refused)?;
        let (line, rest) = body.split_at_checked(end).ok_or_else(refused)?;
        let line = String::from_utf8_lossy(line).into_owned();
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| refused())?;
        let rest = rest.get(2..).ok_or_else(refused)?;
        if size == 0 {
            return Ok(out);
        }
        let (data, rest) = rest.split_at_checked(size).ok_or_else(refused)?;
        out.extend_from_slice(data);
        body = rest.strip_prefix(b"\r\n").ok_or_else(refused)?;
    }
}

/// Writes an answer with a document.
pub(crate) fn ok(name: &str, fill: impl FnOnce(&mut Xml)) -> Reply {
    Reply::new(200, CONTENT_TYPE, Xml::document(name, NAMESPACE, fill))
}

/// Writes an error; answers to HEAD lose the document on their way.
pub(crate) fn error(error: &ApiError, request_id: &str) -> Reply {
    let body = Xml::document("Error", "", |xml| {
        xml.text("Code", &error.code);
        xml.text("Message", error.message.as_deref().unwrap_or_default());
        xml.text("RequestId", request_id);
        xml.text("HostId", "simulated");
    });
    Reply { headers: error.headers.clone(), ..Reply::new(error.status, CONTENT_TYPE, body) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(bucket: &str, key: &str) -> Place {
        Place { bucket: bucket.into(), key: key.into() }
    }

    #[test]
    fn places_are_in_hosts_and_paths() {
        assert_eq!(place("127.0.0.1:4566", "/logs/a/b%20c+d"), at("logs", "a/b c+d"));
        assert_eq!(place("logs.localhost:4566", "/a/b"), at("logs", "a/b"));
        assert_eq!(place("my.logs.s3.eu-west-1.amazonaws.com", "/a"), at("my.logs", "a"));
        assert_eq!(place("logs.s3.amazonaws.com:443", "/"), at("logs", ""));
        assert_eq!(place("s3.eu-west-1.amazonaws.com", "/logs/a"), at("logs", "a"));
        assert_eq!(place("localhost:1", "/"), at("", ""));
        assert_eq!(place("x", "/logs"), at("logs", ""));
    }

    #[test]
    fn ranges() {
        for (header, expected) in [
            ("bytes=0-9", Some((0, 10))),
            ("bytes=5-", Some((5, 100))),
            ("bytes=-10", Some((90, 100))),
            ("bytes=-1000", Some((0, 100))),
            ("bytes=90-1000", Some((90, 100))),
            ("bytes=9-5", None),
            ("lines=1-2", None),
        ] {
            assert_eq!(range(Some(header), 100).unwrap(), expected, "{header}");
        }
        assert_eq!(range(None, 100).unwrap(), None);
        assert_eq!(range(Some("bytes=100-"), 100).unwrap_err().status, 416);
        assert_eq!(range(Some("bytes=0-"), 0).unwrap_err().code, "InvalidRange");
    }

    #[test]
    fn chunks_lose_their_frames() {
        let framed = b"5;chunk-signature=ab\r\nhello\r\n3\r\n wo\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n";
        assert_eq!(unchunked(framed).unwrap(), b"hello wo");
        assert_eq!(unchunked(b"5\r\nhel").unwrap_err().code, "IncompleteBody");
    }

    proptest! {
        #[test]
        fn nothing_panics(host in ".*", path in ".*", body in proptest::collection::vec(any::<u8>(), 0..100), length: u64) {
            let here = place(&host, &path);
            let _ = (operation("GET", &here, &Form::parse(&path)), unchunked(&body), range(Some(&path), length));
        }

        #[test]
        fn ranges_stay_inside(first: u64, last: u64, length in 1_u64..) {
            if let Ok(Some((from, to))) = range(Some(&format!("bytes={first}-{last}")), length) {
                prop_assert!(from < to && to <= length);
            }
        }
    }
}
