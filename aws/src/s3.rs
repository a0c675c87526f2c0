//! S3: the objects that nodes uploaded, found and downloaded.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::config::Region;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use jiff::Timestamp;

use crate::call::Call;
use crate::ec2::Page;
use crate::error::{CallError, CallErrorKind};
use crate::scope::Scope;
use crate::times;

/// Objects of a page, the most that S3 lists.
const PAGE: i32 = 1000;
/// Connections of one download in a row that bring nothing, before it is given up.
const CUTS: u32 = 4;
/// The pause before a cut download goes on, times the number of cuts in a row.
const PAUSE: Duration = Duration::from_millis(250);

/// S3, as one scope's credentials see it.
#[derive(Clone, Debug)]
pub struct S3 {
    scope: Scope,
    client: aws_sdk_s3::Client,
}

impl S3 {
    pub(crate) fn new(scope: Scope, client: aws_sdk_s3::Client) -> S3 {
        S3 { scope, client }
    }

    /// `HeadBucket`: finds out where a bucket is, and that its list may be read. A bucket of another region costs a
    /// second call, there.
    ///
    /// # Errors
    /// There is no such bucket (`NotFound`), `s3:ListBucket` is missing on it (`AccessDenied`), or the call failed.
    pub async fn bucket(&self, name: &str) -> Result<Bucket, CallError> {
        let here = self.scope.region().to_owned();
        match self.head_bucket(name, &here).await {
            (Ok(()), region) => Ok(self.found(name, region.unwrap_or(here))),
            (Err(_), Some(there)) if there != here => {
                self.head_bucket(name, &there).await.0.map(|()| self.found(name, there))
            }
            (Err(error), _) => Err(error),
        }
    }

    fn found(&self, name: &str, region: String) -> Bucket {
        Bucket(Arc::new(Inner {
            scope: self.scope.clone(),
            client: self.client.clone(),
            name: name.to_owned(),
            region,
        }))
    }

    /// With the region that the answer named: refusals name it as well.
    async fn head_bucket(&self, name: &str, region: &str) -> (Result<(), CallError>, Option<String>) {
        let named = Mutex::new(None);
        let note = |region: Option<&str>| {
            *named.lock().unwrap_or_else(PoisonError::into_inner) = region.map(str::to_owned);
        };
        let call = Call::read("s3", "HeadBucket", format!("of {name}"));
        let attempt = || async {
            let request = self.client.head_bucket().bucket(name).customize();
            let answer = request.config_override(in_region(region)).send().await;
            match &answer {
                Ok(answer) => note(answer.bucket_region()),
                Err(error) => {
                    note(error.raw_response().and_then(|raw| raw.headers().get("x-amz-bucket-region")));
                }
            }
            answer
        };
        let answer = self.scope.call(call, attempt).await.map(|_| ());
        (answer, named.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

fn in_region(region: &str) -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::config::Builder::new().region(Region::new(region.to_owned()))
}

/// A bucket that exists. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Bucket(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    scope: Scope,
    client: aws_sdk_s3::Client,
    name: String,
    region: String,
}

/// An object as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// When it was uploaded.
    pub modified: Option<Timestamp>,
}

impl Bucket {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The region that it is in.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.0.region
    }

    /// How an object is written for people and for other tools.
    #[must_use]
    pub fn uri(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.0.name)
    }

    /// One page of `ListObjectsV2`: up to 1,000 whose keys begin so, in the order of the keys.
    ///
    /// # Errors
    /// The call failed.
    pub async fn list(&self, prefix: &str, token: Option<&str>) -> Result<Page<Object>, CallError> {
        let request = self
            .0
            .client
            .list_objects_v2()
            .bucket(&self.0.name)
            .prefix(prefix)
            .max_keys(PAGE)
            .set_continuation_token(token.map(str::to_owned));
        let call = Call::read("s3", "ListObjectsV2", format!("of {}", self.uri(prefix)));
        let attempt = || request.clone().customize().config_override(in_region(&self.0.region)).send();
        let answer = self.0.scope.call(call, attempt).await?;
        let object = |object: &aws_sdk_s3::types::Object| {
            Some(Object {
                key: object.key()?.to_owned(),
                size: u64::try_from(object.size().unwrap_or(0)).unwrap_or(0),
                modified: times::optional(object.last_modified()),
            })
        };
        let next = answer.next_continuation_token().filter(|_| answer.is_truncated() == Some(true));
        Ok(Page {
            items: answer.contents().iter().filter_map(object).collect(),
            next: next.filter(|token| !token.is_empty()).map(str::to_owned),
        })
    }

    /// Begins to download an object; `None` where there is none of this key.
    ///
    /// # Errors
    /// The call failed.
    pub async fn download(&self, key: &str) -> Result<Option<Download>, CallError> {
        let call = self.get_call(key);
        let answer = match self.get(&call, key, None).await {
            Ok(answer) => answer,
            Err(error) if error.code.as_deref() == Some("NoSuchKey") => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(size) = answer.content_length().and_then(|n| u64::try_from(n).ok()) else {
            return Err(CallError::new(&call, CallErrorKind::Lost, "the answer doesn't say how long it is"));
        };
        Ok(Some(Download {
            bucket: self.clone(),
            key: key.to_owned(),
            etag: answer.e_tag().map(str::to_owned),
            size,
            at: 0,
            cuts: 0,
            body: answer.body,
            piece: Bytes::new(),
        }))
    }

    fn get_call(&self, key: &str) -> Call {
        Call::read("s3", "GetObject", format!("of {}", self.uri(key)))
    }

    /// `GetObject`; with a position, only what comes from there on, and only of the very same object.
    async fn get(
        &self,
        call: &Call,
        key: &str,
        from: Option<(u64, Option<&str>)>,
    ) -> Result<GetObjectOutput, CallError> {
        let mut request = self.0.client.get_object().bucket(&self.0.name).key(key);
        if let Some((at, etag)) = from {
            request = request.range(format!("bytes={at}-")).set_if_match(etag.map(str::to_owned));
        }
        let attempt = || request.clone().customize().config_override(in_region(&self.0.region)).send();
        self.0.scope.call(call.clone(), attempt).await
    }
}

/// A download in pieces, of which one is in memory. A connection that is cut is replaced by one that goes on where it was,
/// as long as the object is still the same.
#[derive(Debug)]
pub struct Download {
    bucket: Bucket,
    key: String,
    etag: Option<String>,
    size: u64,
    at: u64,
    /// Connections in a row that brought nothing.
    cuts: u32,
    body: ByteStream,
    piece: Bytes,
}

impl Download {
    /// Bytes of the whole.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The next piece; `None` at the end, which is reached only when every byte has come.
    ///
    /// # Errors
    /// It was cut again and again, the object was replaced, or what came is not what was stored.
    pub async fn next(&mut self) -> Result<Option<&[u8]>, CallError> {
        loop {
            let cut = match self.body.next().await {
                Some(Ok(piece)) if piece.is_empty() => continue,
                Some(Ok(piece)) => {
                    (self.at, self.cuts) = (self.at + piece.len() as u64, 0);
                    self.piece = piece;
                    break;
                }
                None if self.at == self.size => return Ok(None),
                None => "the connection was closed".to_owned(),
                Some(Err(error)) => deepest(&error),
            };
            self.go_on(&cut).await?;
        }
        Ok(Some(&self.piece))
    }

    async fn go_on(&mut self, cut: &str) -> Result<(), CallError> {
        let call = self.bucket.get_call(&self.key);
        self.cuts += 1;
        // Nothing is left to be asked for: the checksum of the whole doesn't fit.
        if self.at >= self.size || self.cuts >= CUTS {
            let message = format!("after {} of {} bytes: {cut}", self.at, self.size);
            return Err(CallError::new(&call, CallErrorKind::Lost, message));
        }
        tokio::time::sleep(PAUSE * self.cuts).await;
        let answer = self.bucket.get(&call, &self.key, Some((self.at, self.etag.as_deref()))).await?;
        let wanted = format!("bytes {}-", self.at);
        if !answer.content_range().is_some_and(|range| range.starts_with(&wanted)) {
            let message = format!("byte {} was asked for, and the answer begins elsewhere", self.at);
            return Err(CallError::new(&call, CallErrorKind::Lost, message));
        }
        self.body = answer.body;
        Ok(())
    }
}

fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    crate::error::causes(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}
