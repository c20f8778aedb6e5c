//! The files of a mail that are in the stack's bucket, in memory for as long as the mail is being sent.
//!
//! How much memory that may be is bounded for the whole process. While the SDK writes a request, a file is there as it was read,
//! as the SDK's own copy, as its base64 and as a part of the body, which grows by copying itself: 5.6 times its length was
//! measured, of 10 MB and of 28 MB. So [`COPIES`] times its length are reserved. With the 256 MB of template.yaml, 88 MB of which
//! are for everything else (a batch of 6 MB, its parsed mails, the process), one mail with the most bytes fits, or seven with
//! 4 MB each.

use std::sync::Arc;
use std::time::Duration;

use shared::mail::{FileSource, MAX_FILE_BYTES, Mail, StoredFile};
use shared::runtime::{Bucket, BucketError, ColdStart, MissingVariable, ObjectHead};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::rejection::{Rejection, RejectionReason};

/// How often a file is in memory at once.
const COPIES: u64 = 6;

/// What the process needs beside files, in KiB.
const OTHER_MEMORY_KIB: u32 = 88 * 1024;

/// How long a mail waits for memory that others hold, before it goes back to the queue.
const MEMORY_WAIT: Duration = Duration::from_secs(2);

/// The files of mails.
pub(crate) struct Files {
    bucket: Bucket,
    memory: Arc<Semaphore>,
    memory_kib: u32,
}

/// The bytes of a mail's stored files, by their places among its attachments, and the memory that they take.
#[derive(Default)]
pub(crate) struct LoadedFiles {
    files: Vec<(usize, Vec<u8>)>,
    _memory: Option<OwnedSemaphorePermit>,
}

/// Why a mail's files are not there.
#[derive(Debug)]
pub(crate) enum FilesUnavailable {
    /// The mail can never be sent with them.
    Rejected(Rejection),
    /// S3 does not answer.
    Bucket(BucketError),
    /// Other mails hold the memory.
    NoMemory,
}

impl Files {
    /// The files in the bucket that `ATTACHMENTS_BUCKET` names, within the memory that the function has.
    pub(crate) fn new(start: &ColdStart) -> Result<Self, MissingVariable> {
        let memory_mb = start.environment.required_number("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")?;
        // A process of less memory sends one mail at a time.
        let memory_kib = (memory_mb * 1024).saturating_sub(OTHER_MEMORY_KIB).max(1);
        let memory = Arc::new(Semaphore::new(usize::try_from(memory_kib).unwrap_or(usize::MAX)));
        Ok(Self { bucket: start.bucket("ATTACHMENTS_BUCKET")?, memory, memory_kib })
    }

    /// Reads a mail's files. Their lengths are asked first, so that no more is read than there is memory for.
    pub(crate) async fn load(&self, mail: &Mail) -> Result<LoadedFiles, FilesUnavailable> {
        let stored: Vec<(usize, &StoredFile)> = mail.stored_files().collect();
        if stored.is_empty() {
            return Ok(LoadedFiles::default());
        }
        let mut heads: Vec<ObjectHead> = Vec::with_capacity(stored.len());
        for (place, file) in &stored {
            let head = self.bucket.head(&file.key).await.map_err(|error| unavailable(*place, error))?;
            if file.version.as_ref().is_some_and(|version| *version != head.etag) {
                return Err(changed(*place));
            }
            heads.push(head);
        }
        let bytes: u64 = heads.iter().map(|head| head.size).sum::<u64>() + inline_bytes(mail);
        if bytes > MAX_FILE_BYTES {
            return Err(FilesUnavailable::Rejected(too_large()));
        }
        let memory = self.reserve(bytes).await.ok_or(FilesUnavailable::NoMemory)?;
        let mut files = Vec::with_capacity(stored.len());
        for ((place, file), head) in stored.into_iter().zip(heads) {
            let read = self.bucket.get(&file.key, &head.etag).await.map_err(|error| unavailable(place, error))?;
            files.push((place, read));
        }
        Ok(LoadedFiles { files, _memory: Some(memory) })
    }

    async fn reserve(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let kib = u32::try_from((bytes * COPIES).div_ceil(1024)).unwrap_or(u32::MAX).min(self.memory_kib);
        let acquired = timeout(MEMORY_WAIT, Arc::clone(&self.memory).acquire_many_owned(kib)).await;
        acquired.ok()?.ok()
    }
}

impl LoadedFiles {
    /// The bytes of the stored file at this place among the mail's attachments.
    pub(crate) fn bytes(&self, place: usize) -> Option<&[u8]> {
        self.files.iter().find(|(at, _)| *at == place).map(|(_, bytes)| bytes.as_slice())
    }

    /// These files, in a test.
    #[cfg(test)]
    pub(crate) fn of(files: Vec<(usize, Vec<u8>)>) -> Self {
        Self { files, _memory: None }
    }
}

fn inline_bytes(mail: &Mail) -> u64 {
    let inline = mail.attachments.iter().filter_map(|attachment| match &attachment.source {
        FileSource::Message(bytes) => u64::try_from(bytes.len()).ok(),
        FileSource::Bucket(_) => None,
    });
    inline.sum()
}

fn unavailable(place: usize, error: BucketError) -> FilesUnavailable {
    match error {
        BucketError::Missing { .. } => {
            let field = format!("attachments[{place}].s3.key");
            let problem = "names no file of the bucket; files expire".to_owned();
            FilesUnavailable::Rejected(Rejection { reason: RejectionReason::FileMissing, field, problem })
        }
        BucketError::Changed { .. } => changed(place),
        error @ BucketError::Unavailable { .. } => FilesUnavailable::Bucket(error),
    }
}

fn changed(place: usize) -> FilesUnavailable {
    let field = format!("attachments[{place}].s3.version");
    let problem = "is not the version of the file in the bucket".to_owned();
    FilesUnavailable::Rejected(Rejection { reason: RejectionReason::FileMissing, field, problem })
}

fn too_large() -> Rejection {
    let problem = format!("are more than {MAX_FILE_BYTES} bytes together");
    Rejection { reason: RejectionReason::FileTooLarge, field: "attachments".to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::template_resource;

    #[test]
    fn the_largest_mail_fits_into_the_memory_of_the_function() {
        let template = include_str!("../../../template.yaml");
        let globals = template.split_once("\nGlobals:").unwrap().1.split_once("\nResources:").unwrap().0;
        assert!(!template_resource("SendFunction").contains("MemorySize"), "the function has memory of its own");
        let (_, rest) = globals.split_once("MemorySize: ").unwrap();
        let memory_mb: u64 = rest.lines().next().unwrap().trim().parse().unwrap();
        assert!(MAX_FILE_BYTES * COPIES <= (memory_mb * 1024 - u64::from(OTHER_MEMORY_KIB)) * 1024, "{memory_mb}");
    }
}
