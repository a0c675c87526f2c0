//! S3, as far as the output of commands needs it: buckets, small objects that callers put there, and what nodes upload.

mod list;
mod object;
mod store;
pub(crate) mod upload;

pub(crate) use store::Store;

use crate::clock::At;
use crate::core::Call;
use crate::credentials::Principal;
use crate::service::ssm;
use crate::spec::Spec;
use crate::wire::rest_xml::{self, Place, place};
use crate::wire::{ApiError, Reply, Service};
use crate::world::World;
use base64::Engine as _;

/// What a call is answered from.
#[derive(Debug)]
pub(crate) struct S3<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) world: &'a mut World,
    pub(crate) principal: &'a Principal,
    pub(crate) now: At,
    /// How far the clock that callers see is off, in microseconds.
    pub(crate) skew: i64,
}

impl S3<'_> {
    /// A time as callers see it.
    fn shown(&self, at: At) -> At {
        At(at.0.saturating_add(self.skew))
    }
}

/// The operations that are simulated: no other gets to [`answer`].
pub(crate) const OPERATIONS: &[&str] = &[
    "ListBuckets",
    "CreateBucket",
    "HeadBucket",
    "GetBucketLocation",
    "ListObjectsV2",
    "GetObject",
    "HeadObject",
    "PutObject",
    "DeleteObject",
];

/// Answers a call; `None` for an operation that is not simulated.
pub(crate) fn answer(s3: &mut S3<'_>, call: &Call) -> Option<Result<Reply, ApiError>> {
    let place = place(call.incoming.header("host").unwrap_or_default(), &call.incoming.path);
    let operation: fn(&mut S3<'_>, &Place, &Call) -> Result<Reply, ApiError> = match call.api.as_str() {
        "ListBuckets" => list_buckets,
        "CreateBucket" => create_bucket,
        "HeadBucket" => head_bucket,
        "GetBucketLocation" => bucket_location,
        "ListObjectsV2" => list::objects,
        "GetObject" => object::get,
        "HeadObject" => object::head,
        "PutObject" => object::put,
        "DeleteObject" => object::delete,
        _ => return None,
    };
    let reply = admit(s3, &place, call).and_then(|()| operation(s3, &place, call));
    // Refusals name the bucket's region too.
    let region = s3.world.store.bucket(&place.bucket).map(|bucket| bucket.region.clone());
    Some(match reply {
        Ok(reply) => {
            let reply = reply.header("x-amz-request-id", call.request_id.as_str());
            Ok(with_region(reply.header("x-amz-id-2", "simulated"), region, call))
        }
        Err(error) => Err(region.into_iter().fold(error, |e, r| e.header("x-amz-bucket-region", r))),
    })
}

fn with_region(reply: Reply, region: Option<String>, call: &Call) -> Reply {
    match region {
        Some(region) if call.api == "HeadBucket" => reply.header("x-amz-bucket-region", region),
        _ => reply,
    }
}

/// Checks that a bucket exists and lets itself be used for this.
fn admit(s3: &S3<'_>, place: &Place, call: &Call) -> Result<(), ApiError> {
    if matches!(call.api.as_str(), "ListBuckets" | "CreateBucket") {
        return Ok(());
    }
    let bucket = s3.world.store.bucket(&place.bucket).ok_or_else(no_bucket)?;
    if bucket.region != call.region && call.api != "GetBucketLocation" {
        let message = "The bucket you are attempting to access must be addressed using the specified endpoint. \
                       Please send all future requests to this endpoint.";
        return Err(ApiError::new("PermanentRedirect", message).status(301));
    }
    if bucket.deny.contains(&call.api) {
        let resource = format!("arn:aws:s3:::{}/{}", place.bucket, place.key);
        let resource = resource.trim_end_matches('/');
        return Err(ApiError::denied(Service::S3, action(&call.api), &s3.principal.arn, resource));
    }
    Ok(())
}

/// The name that IAM has for an operation.
fn action(api: &str) -> &str {
    match api {
        "ListObjectsV2" | "HeadBucket" => "ListBucket",
        "HeadObject" => "GetObject",
        other => other,
    }
}

fn no_bucket() -> ApiError {
    ApiError::new("NoSuchBucket", "The specified bucket does not exist").status(404)
}

/// Largest page of buckets.
const BUCKETS: usize = 10_000;

/// In pages where one asks for them, and then with each bucket's region.
fn list_buckets(s3: &mut S3<'_>, _place: &Place, call: &Call) -> Result<Reply, ApiError> {
    let invalid = |what: &str| ApiError::new("InvalidArgument", what.to_owned());
    let most = match call.form.get("max-buckets").map(str::parse::<usize>) {
        None => BUCKETS,
        Some(Ok(most)) if (1..=BUCKETS).contains(&most) => most,
        Some(_) => return Err(invalid("Argument max-buckets must be an integer between 1 and 10000")),
    };
    let after = match call.form.get("continuation-token") {
        None => String::new(),
        Some(token) => ssm::decoded(token)
            .and_then(|text| text.strip_prefix("b:").map(str::to_owned))
            .ok_or_else(|| invalid("The continuation token provided is incorrect"))?,
    };
    let prefix = call.form.get("prefix").unwrap_or_default();
    let region = call.form.get("bucket-region");
    let mut wanted = s3.world.store.all().filter(|(name, bucket)| {
        name.starts_with(prefix)
            && (after.is_empty() || *name > after.as_str())
            && region.is_none_or(|region| bucket.region == region)
    });
    let page: Vec<_> = wanted.by_ref().take(most).collect();
    let last = page.last().map(|(name, _)| format!("b:{name}"));
    let next = wanted.next().and(last).map(|text| base64::engine::general_purpose::STANDARD.encode(text));
    let created = s3.shown(s3.world.store.born).rfc3339_millis();
    let with_regions = ["max-buckets", "continuation-token", "prefix", "bucket-region"];
    let with_regions = with_regions.iter().any(|name| call.form.get(name).is_some());
    Ok(rest_xml::ok("ListAllMyBucketsResult", |xml| {
        xml.element("Owner", |xml| xml.text("ID", &owner(&s3.principal.account)));
        xml.element("Buckets", |xml| {
            for (name, bucket) in page {
                xml.element("Bucket", |xml| {
                    xml.text("Name", name);
                    xml.text("CreationDate", &created);
                    xml.optional("BucketRegion", with_regions.then_some(bucket.region.as_str()));
                });
            }
        });
        xml.optional("ContinuationToken", next.as_deref());
        xml.optional("Prefix", call.form.get("prefix"));
    }))
}

/// A canonical user id.
fn owner(account: &str) -> String {
    crate::draw::Draw::new(14).text(account).hex(64)
}

fn create_bucket(s3: &mut S3<'_>, place: &Place, call: &Call) -> Result<Reply, ApiError> {
    let fits = (3..=63).contains(&place.bucket.len())
        && place
            .bucket
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.');
    if !fits {
        return Err(ApiError::new("InvalidBucketName", "The specified bucket is not valid."));
    }
    if !s3.world.store.create(&place.bucket, &call.region) {
        let message = "Your previous request to create the named bucket succeeded and you already own it.";
        return Err(ApiError::new("BucketAlreadyOwnedByYou", message).status(409));
    }
    Ok(Reply::new(200, "", Vec::new()).header("Location", format!("/{}", place.bucket)))
}

fn head_bucket(s3: &mut S3<'_>, place: &Place, _call: &Call) -> Result<Reply, ApiError> {
    s3.world.store.bucket(&place.bucket).ok_or_else(no_bucket)?;
    Ok(Reply::new(200, "application/xml", Vec::new()))
}

fn bucket_location(s3: &mut S3<'_>, place: &Place, _call: &Call) -> Result<Reply, ApiError> {
    let bucket = s3.world.store.bucket(&place.bucket).ok_or_else(no_bucket)?;
    // The first region of all has no name here.
    let region = if bucket.region == "us-east-1" { "" } else { bucket.region.as_str() };
    Ok(rest_xml::ok("LocationConstraint", |xml| xml.content(region)))
}
