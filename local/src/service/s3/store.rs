//! The buckets, their policies and objects.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use fakecloud_core::auth::ResourcePolicyProvider;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::BucketResource;

/// How often objects past their time are looked for. S3 does so once a day
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-expire-general-considerations.html>).
const EXPIRY_INTERVAL: Duration = Duration::from_secs(60);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An object.
#[derive(Clone)]
pub(super) struct Object {
    /// Its bytes.
    pub(super) content: Bytes,
    /// In quotes, as the header has it. "The ETag may or may not be an MD5 digest of the object data" (S3 API reference, Object).
    pub(super) etag: String,
    put_at: Instant,
}

struct BucketContents {
    owner: String,
    policy: Option<String>,
    expiration: Option<Duration>,
    objects: BTreeMap<String, Object>,
}

/// All buckets, by name.
#[derive(Default)]
pub(super) struct Store(Mutex<BTreeMap<String, BucketContents>>);

impl Object {
    /// An object that is put now.
    pub(super) fn new(content: Bytes) -> Self {
        let digest: String = Sha256::digest(&content).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self { content, etag: format!("\"{digest}\""), put_at: Instant::now() }
    }
}

impl Store {
    /// Creates a bucket of the stack, empty.
    pub(super) fn create_bucket(&self, resource: &BucketResource, owner: &str) {
        let bucket = BucketContents {
            owner: owner.to_owned(),
            policy: resource.policy.as_ref().map(ToString::to_string),
            expiration: resource.expiration_days.map(|days| DAY * days),
            objects: BTreeMap::new(),
        };
        self.0.lock().insert(resource.name.clone(), bucket);
    }

    /// Whether there is such a bucket.
    pub(super) fn has_bucket(&self, bucket: &str) -> bool {
        self.0.lock().contains_key(bucket)
    }

    /// An object, if it is there.
    pub(super) fn object(&self, bucket: &str, key: &str) -> Option<Object> {
        self.0.lock().get(bucket)?.objects.get(key).cloned()
    }

    /// Puts an object in the place of any other with its key.
    pub(super) fn put(&self, bucket: &str, key: &str, object: Object) {
        if let Some(bucket) = self.0.lock().get_mut(bucket) {
            bucket.objects.insert(key.to_owned(), object);
        }
    }

    /// Deletes an object, if it is there.
    pub(super) fn delete(&self, bucket: &str, key: &str) {
        if let Some(bucket) = self.0.lock().get_mut(bucket) {
            bucket.objects.remove(key);
        }
    }

    /// The keys that begin so, in their order, so many at most; and whether there are more.
    pub(super) fn keys(&self, bucket: &str, prefix: &str, limit: usize) -> (Vec<String>, bool) {
        let buckets = self.0.lock();
        let keys = buckets.get(bucket).into_iter().flat_map(|bucket| bucket.objects.keys());
        let mut keys: Vec<String> = keys.filter(|key| key.starts_with(prefix)).take(limit + 1).cloned().collect();
        let is_more = keys.len() > limit;
        keys.truncate(limit);
        (keys, is_more)
    }

    /// Deletes objects past their time, for as long as the stand-in runs.
    pub(super) async fn expire(&self) {
        loop {
            tokio::time::sleep(EXPIRY_INTERVAL).await;
            self.expire_at(Instant::now());
        }
    }

    fn expire_at(&self, now: Instant) {
        for bucket in self.0.lock().values_mut() {
            if let Some(expiration) = bucket.expiration {
                bucket.objects.retain(|_, object| now.duration_since(object.put_at) < expiration);
            }
        }
    }
}

/// Buckets have no account in their ARNs.
impl ResourcePolicyProvider for Store {
    fn resource_policy(&self, service: &str, resource_arn: &str) -> Option<String> {
        self.0.lock().get(bucket_name(service, resource_arn)?)?.policy.clone()
    }

    fn resource_owner_account(&self, service: &str, resource_arn: &str) -> Option<String> {
        self.0.lock().get(bucket_name(service, resource_arn)?).map(|bucket| bucket.owner.clone())
    }
}

fn bucket_name<'a>(service: &str, resource_arn: &'a str) -> Option<&'a str> {
    let path = resource_arn.strip_prefix("arn:aws:s3:::").filter(|_| service == "s3")?;
    path.split('/').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_goes_when_its_days_are_over() {
        let store = Store::default();
        let resource = BucketResource {
            logical_id: "Files".to_owned(),
            name: "files".to_owned(),
            expiration_days: Some(2),
            policy: None,
        };
        store.create_bucket(&resource, "123456789012");
        store.put("files", "a", Object::new(Bytes::from_static(b"x")));
        let put_at = Instant::now();
        store.expire_at(put_at + DAY);
        assert!(store.object("files", "a").is_some());
        store.expire_at(put_at + DAY * 2);
        assert!(store.object("files", "a").is_none());
    }
}
