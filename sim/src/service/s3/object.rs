//! Objects: read, looked at, written, deleted.

use super::store::Object;
use super::upload::{self, Found};
use super::{S3, no_bucket};
use crate::content::Content;
use crate::core::Call;
use crate::draw::Draw;
use crate::wire::rest_xml::{Place, range, unchunked};
use crate::wire::{ApiError, Reply};

/// An entity tag of the right shape. It is not the digest of the content, which would have to be made for it.
pub(super) fn etag(key: &str, size: u64) -> String {
    format!("\"{}\"", Draw::new(15).text(key).with(size).hex(32))
}

fn find(s3: &S3<'_>, place: &Place) -> Result<Found, ApiError> {
    let bucket = s3.world.store.bucket(&place.bucket).ok_or_else(no_bucket)?;
    if let Some(Object { body, modified }) = bucket.objects.get(&place.key) {
        return Ok(Found { content: Content::Bytes(body.clone()), at: *modified });
    }
    upload::all(s3.world, s3.spec, &place.bucket, s3.now)
        .into_iter()
        .find_map(|upload| upload.find(&place.key))
        .ok_or_else(|| ApiError::new("NoSuchKey", "The specified key does not exist.").status(404))
}

/// The answer to a request for an object, with the part of it that is asked for.
fn reply(s3: &S3<'_>, place: &Place, call: &Call, found: Found) -> Result<Reply, ApiError> {
    let size = found.content.length();
    let wanted = call.incoming.header("if-match");
    if wanted.is_some_and(|wanted| wanted != "*" && wanted != etag(&place.key, size)) {
        let message = "At least one of the pre-conditions you specified did not hold";
        return Err(ApiError::new("PreconditionFailed", message).status(412));
    }
    let part = range(call.incoming.header("range"), size)?;
    let (from, to) = part.unwrap_or((0, size));
    let mut reply = Reply::new(if part.is_some() { 206 } else { 200 }, "binary/octet-stream", Vec::new())
        .header("accept-ranges", "bytes")
        .header("etag", etag(&place.key, size))
        .header("last-modified", s3.shown(found.at).http_date());
    if part.is_some() {
        reply = reply.header("content-range", format!("bytes {from}-{}/{size}", to.saturating_sub(1)));
    }
    reply.stream = Some((found.content, from, to));
    Ok(reply)
}

pub(super) fn get(s3: &mut S3<'_>, place: &Place, call: &Call) -> Result<Reply, ApiError> {
    let found = find(s3, place)?;
    reply(s3, place, call, found)
}

pub(super) fn head(s3: &mut S3<'_>, place: &Place, call: &Call) -> Result<Reply, ApiError> {
    let found = find(s3, place)?;
    reply(s3, place, call, found)
}

pub(super) fn put(s3: &mut S3<'_>, place: &Place, call: &Call) -> Result<Reply, ApiError> {
    let is_framed = call.incoming.header("x-amz-decoded-content-length").is_some()
        || call.incoming.header("content-encoding").is_some_and(|coding| coding.contains("aws-chunked"));
    let body = if is_framed { unchunked(&call.incoming.body)? } else { call.incoming.body.clone() };
    if place.key.len() > 1024 {
        return Err(ApiError::new("KeyTooLongError", "Your key is too long"));
    }
    let tag = etag(&place.key, body.len() as u64);
    let modified = s3.now;
    let bucket = s3.world.store.bucket_mut(&place.bucket).ok_or_else(no_bucket)?;
    bucket.objects.insert(place.key.clone(), Object { body, modified });
    Ok(Reply::new(200, "", Vec::new()).header("etag", tag))
}

pub(super) fn delete(s3: &mut S3<'_>, place: &Place, _call: &Call) -> Result<Reply, ApiError> {
    let bucket = s3.world.store.bucket_mut(&place.bucket).ok_or_else(no_bucket)?;
    bucket.objects.remove(&place.key);
    Ok(Reply::new(204, "", Vec::new()))
}
