//! `ListObjectsV2`: what callers put and what nodes uploaded, in the order of the keys.

use super::upload::{self, Upload};
use super::{S3, no_bucket, object, owner};
use crate::clock::At;
use crate::core::Call;
use crate::service::ssm::decoded;
use crate::service::ssm::engine::Invocation;
use crate::wire::rest_xml::{self, Place};
use crate::wire::xml::Xml;
use crate::wire::{ApiError, Reply};
use base64::Engine as _;
use std::collections::BTreeMap;

/// Largest page, and the page of a call that names none.
const PAGE: usize = 1000;

/// Where an object comes from.
enum Source<'a> {
    Put(u64, At),
    Node(Upload<'a>, &'a Invocation, bool),
}

/// A line of the list.
enum Entry {
    Object { key: String, size: u64, at: At },
    Prefix(String),
}

struct Query {
    prefix: String,
    delimiter: String,
    most: usize,
    /// The last key of the page before.
    after: String,
    start_after: Option<String>,
    continuation: Option<String>,
    encoded: bool,
    with_owner: bool,
}

fn query(call: &Call) -> Result<Query, ApiError> {
    let text = |key: &str| call.form.get(key).unwrap_or_default().to_owned();
    let most = match call.form.get("max-keys") {
        None => PAGE,
        Some(number) => number.parse::<usize>().map_err(|_| {
            ApiError::new("InvalidArgument", "Provided max-keys not an integer or within integer range")
        })?,
    };
    let continuation = call.form.get("continuation-token").map(str::to_owned);
    let start_after = call.form.get("start-after").map(str::to_owned);
    let after = match &continuation {
        Some(token) => {
            decoded(token).and_then(|text| text.strip_prefix("k:").map(str::to_owned)).ok_or_else(|| {
                ApiError::new("InvalidArgument", "The continuation token provided is incorrect")
            })?
        }
        None => start_after.clone().unwrap_or_default(),
    };
    if call.form.get("encoding-type").is_some_and(|encoding| encoding != "url") {
        return Err(ApiError::new("InvalidArgument", "Invalid Encoding Method specified in Request"));
    }
    Ok(Query {
        prefix: text("prefix"),
        delimiter: text("delimiter"),
        most: most.min(PAGE),
        after,
        start_after,
        continuation,
        encoded: call.form.get("encoding-type") == Some("url"),
        with_owner: call.form.is_true("fetch-owner"),
    })
}

pub(super) fn objects(s3: &mut S3<'_>, place: &Place, call: &Call) -> Result<Reply, ApiError> {
    let query = query(call)?;
    let (entries, next) = page(s3, place, &query)?;
    let encode = |text: &str| if query.encoded { url_encoded(text) } else { text.to_owned() };
    Ok(rest_xml::ok("ListBucketResult", |xml| {
        xml.text("Name", &place.bucket);
        xml.text("Prefix", &encode(&query.prefix));
        if !query.delimiter.is_empty() {
            xml.text("Delimiter", &encode(&query.delimiter));
        }
        xml.text("MaxKeys", &query.most.to_string());
        if query.encoded {
            xml.text("EncodingType", "url");
        }
        xml.text("KeyCount", &entries.len().to_string());
        xml.text("IsTruncated", if next.is_some() { "true" } else { "false" });
        xml.optional("ContinuationToken", query.continuation.as_deref());
        xml.optional("NextContinuationToken", next.as_deref());
        xml.optional("StartAfter", query.start_after.as_deref().map(encode).as_deref());
        for entry in &entries {
            shown(s3, xml, &query, entry);
        }
    }))
}

fn shown(s3: &S3<'_>, xml: &mut Xml, query: &Query, entry: &Entry) {
    let encode = |text: &str| if query.encoded { url_encoded(text) } else { text.to_owned() };
    match entry {
        Entry::Prefix(prefix) => {
            xml.element("CommonPrefixes", |xml| xml.text("Prefix", &encode(prefix)));
        }
        Entry::Object { key, size, at } => xml.element("Contents", |xml| {
            xml.text("Key", &encode(key));
            xml.text("LastModified", &s3.shown(*at).rfc3339_millis());
            xml.text("ETag", &object::etag(key, *size));
            xml.text("Size", &size.to_string());
            if query.with_owner {
                xml.element("Owner", |xml| xml.text("ID", &owner(&s3.principal.account)));
            }
            xml.text("StorageClass", "STANDARD");
        }),
    }
}

/// The entries of a page, and the token of the next.
fn page(s3: &S3<'_>, place: &Place, query: &Query) -> Result<(Vec<Entry>, Option<String>), ApiError> {
    let bucket = s3.world.store.bucket(&place.bucket).ok_or_else(no_bucket)?;
    let is_wanted = |key: &str| key.starts_with(&query.prefix) && key > query.after.as_str();
    let mut keys: BTreeMap<String, Source<'_>> = bucket
        .objects
        .iter()
        .filter(|(key, _)| is_wanted(key))
        .map(|(key, object)| (key.clone(), Source::Put(object.body.len() as u64, object.modified)))
        .collect();
    for upload in upload::all(s3.world, s3.spec, &place.bucket, s3.now) {
        for (key, (upload, invocation, is_error)) in upload.keys((&query.prefix, &query.after)) {
            keys.entry(key).or_insert(Source::Node(upload, invocation, is_error));
        }
    }
    let mut entries: Vec<Entry> = Vec::new();
    let mut last = query.after.clone();
    // A page that ended with a common prefix does not show it again.
    let ended = common(&query.after, query);
    for (key, source) in keys {
        let prefix = common(&key, query);
        let seen = prefix.is_some()
            && (prefix == ended
                || matches!(entries.last(), Some(Entry::Prefix(last)) if Some(last) == prefix.as_ref()));
        if seen {
            last = key;
            continue;
        }
        let Some((size, at)) = measured(&source) else { continue };
        if entries.len() == query.most {
            let token = base64::engine::general_purpose::STANDARD.encode(format!("k:{last}"));
            return Ok((entries, (query.most > 0).then_some(token)));
        }
        last.clone_from(&key);
        entries.push(prefix.map_or(Entry::Object { key, size, at }, Entry::Prefix));
    }
    Ok((entries, None))
}

/// Size and time of an object; nothing where the stream was empty.
fn measured(source: &Source<'_>) -> Option<(u64, At)> {
    match source {
        Source::Put(size, at) => Some((*size, *at)),
        Source::Node(upload, invocation, is_error) => {
            let found = upload.read(invocation, *is_error)?;
            Some((found.content.length(), found.at))
        }
    }
}

/// The common prefix that a key is shown as, if it is.
fn common(key: &str, query: &Query) -> Option<String> {
    if query.delimiter.is_empty() {
        return None;
    }
    let rest = key.strip_prefix(&query.prefix)?;
    let end = rest.find(&query.delimiter)? + query.delimiter.len();
    Some(format!("{}{}", query.prefix, rest.get(..end)?))
}

fn url_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
